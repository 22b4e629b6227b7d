import type { ThreadHost, WorkerMessage } from '../../devices/wasm/team.ts';

/** Threads of the wasm device as Web Workers. `workerUrl` is the bundled thread-worker.ts of this folder. */
export function browserThreads(workerUrl: URL | string): ThreadHost {
  return {
    async spawn() {
      const worker = new Worker(workerUrl, { type: 'module', name: 'cria kernels' });
      await new Promise<void>((resolve, reject) => {
        worker.onmessage = () => resolve();
        worker.onerror = (event) => reject(new Error(`${workerUrl}: the worker did not start: ${event.message}`));
      });
      return {
        post: (message: WorkerMessage) => worker.postMessage(message),
        close: () => worker.terminate(),
      };
    },
    pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  };
}

/** Whether this page may share memory among threads. */
export function canShareMemory(): boolean {
  return typeof SharedArrayBuffer !== 'undefined' && globalThis.crossOriginIsolated === true;
}
