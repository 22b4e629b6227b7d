/** What verbs that may fetch from the hub give to whoever fetches. */
import { formatBytes } from '../../base/units.ts';
import type { PullOptions } from '../../platform/hub/pull.ts';
import type { Io } from '../io.ts';
import { startProgress } from './progress.ts';

export const offlineOption = { kind: 'flag', help: 'use what is in the cache of the hub, and no network' } as const;

/** With a bar on the terminal, or lines of JSON. */
export function hubOptions(
  { offline, json }: { readonly offline: boolean; readonly json: boolean },
  io: Io,
): PullOptions {
  let progress: ReturnType<typeof startProgress> | null = null;
  return {
    offline,
    env: io.env,
    signal: io.signal,
    onProgress: (done: number, total: number, file: string) => {
      progress ??= startProgress(io, { what: 'pulling', total, json, amount: formatBytes });
      progress.update(done, file);
      if (done >= total) {
        progress.end();
        progress = null;
      }
    },
  };
}
