import { UnsupportedError } from '../base/errors.ts';
import { createWasmDevice, type WasmDevice, type WasmDeviceOptions } from '../devices/wasm/device.ts';
import type { TeamThread, ThreadHost } from '../devices/wasm/team.ts';

/** What a ThreadHost throws where the system, the bundle or the page's policy does not let it start a thread. */
export function threadProblem(reason: string): UnsupportedError {
  return new UnsupportedError('wasm.thread-start', `wasm device: a thread did not start: ${reason}.`);
}

/**
 * The wasm device on several threads. Where one cannot start, the device has one thread: slower, the same bits; `warn` is told, and the
 * device's description says it.
 */
export async function createOnThreads(
  options: WasmDeviceOptions & { readonly host: ThreadHost },
  warn: (message: string) => void,
): Promise<WasmDevice> {
  const started: TeamThread[] = [];
  let isGivenUp = false;
  const spawn: ThreadHost['spawn'] = async (settings) => {
    const thread = await options.host.spawn(settings);
    if (isGivenUp)
      thread.close(); // started while another one failed
    else started.push(thread);
    return thread;
  };
  try {
    return await createWasmDevice({ ...options, host: { ...options.host, spawn } });
  } catch (error) {
    if (!(error instanceof UnsupportedError && error.code === 'wasm.thread-start')) throw error;
    isGivenUp = true;
    for (const thread of started) thread.close();
    warn(`${error.message} The model runs on one thread.`);
    const note = [options.note, 'threads do not start here, so no more'].filter(Boolean).join(', ');
    return createWasmDevice({ ...options, threads: 1, host: null, note });
  }
}
