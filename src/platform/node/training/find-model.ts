/** The models that recipes name. */
import { resolveModel } from '../../../cli/model-name.ts';
import { findCached } from '../../hub/cache.ts';
import { isHubName, parseHubName } from '../../hub/names.ts';
import { type PullOptions, pull } from '../../hub/pull.ts';

/** The path of a model: a path, a run, a bundled one, or one on the hub, which is fetched where it is not here yet. */
export async function findModel(name: string, hub: PullOptions): Promise<string> {
  if (isHubName(name) && findCached(parseHubName(name)) === null) return pull(parseHubName(name), hub);
  return resolveModel(name);
}
