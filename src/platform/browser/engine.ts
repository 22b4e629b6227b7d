/** An engine in a Web Worker. */
import type { EnginePort } from '../../inference/remote/client.ts';
import type { FromEngine } from '../../inference/remote/protocol.ts';

/** Starts a worker; it takes calls at once. The address is spelled so that bundlers see and bundle the worker. */
export function startEngine(): EnginePort {
  const worker = new Worker(new URL('./engine-worker.ts', import.meta.url), { type: 'module', name: 'cria-engine' });
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (handler) => worker.addEventListener('message', ({ data }: MessageEvent<FromEngine>) => handler(data)),
    onDeath: (handler) => {
      worker.addEventListener('error', (event) => {
        worker.terminate();
        handler(new Error(event.message || 'the script of the worker could not be loaded'));
      });
      worker.addEventListener('messageerror', () => handler(new Error('a message could not be read')));
    },
    hold: () => {}, // a page lives on by itself
    terminate: async () => worker.terminate(),
  };
}
