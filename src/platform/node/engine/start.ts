/** An engine in a worker thread of Node. */
import { Worker } from 'node:worker_threads';
import type { EnginePort } from '../../../inference/remote/client.ts';
import type { FromEngine } from '../../../inference/remote/protocol.ts';
import { hearWarningsOf } from '../warnings.ts';

/** Starts a worker; it takes calls at once. */
export function startEngine(): EnginePort {
  // Not the program's own switches: `node --input-type=module -e …` would refuse a file.
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { name: 'cria engine', execArgv: [] });
  let terminated = false;
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (handler) => hearWarningsOf<FromEngine>(worker, handler),
    onDeath: (handler) => {
      worker.on('error', (error) => handler(error instanceof Error ? error : new Error(String(error))));
      worker.on('messageerror', (error) => handler(error));
      worker.on('exit', (code) => {
        if (!terminated) handler(new Error(`exit code ${code}`));
      });
    },
    hold: (waiting) => {
      if (waiting) worker.ref();
      else worker.unref();
    },
    terminate: async () => {
      terminated = true;
      await worker.terminate();
    },
  };
}
