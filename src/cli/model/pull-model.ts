import { formatBytes } from '../../base/units.ts';
import { parseHubName } from '../../platform/hub/names.ts';
import { pull } from '../../platform/hub/pull.ts';
import type { Io } from '../io.ts';
import { startProgress } from '../terminal/progress.ts';

/** Fetches a model from the hub, with a progress bar on a terminal, and gives its path. What is here already costs one question. */
export async function pullModel(
  name: string,
  io: Io,
  { offline = false, json = false }: { readonly offline?: boolean; readonly json?: boolean } = {},
): Promise<string> {
  let progress: ReturnType<typeof startProgress> | null = null;
  try {
    return await pull(parseHubName(name), {
      offline,
      env: io.env,
      signal: io.signal,
      onProgress: (done, total, file) => {
        progress ??= startProgress(io, { what: 'pulling', total, json, amount: formatBytes });
        progress.update(done, file);
      },
    });
  } finally {
    (progress as ReturnType<typeof startProgress> | null)?.end();
  }
}
