/** Workers that read the server's requests, as threads of Node. */
import { Worker } from 'node:worker_threads';
import type { FromPreparer } from '../../../server/preparing/protocol.ts';
import type { StartPreparer } from '../../../server/preparing/workers.ts';

/** What one may allocate: beyond it the worker ends, and nobody else. */
const resourceLimits = { maxOldGenerationSizeMb: 1024, maxYoungGenerationSizeMb: 64, stackSizeMb: 4 };

export const startPreparer: StartPreparer = ({ givesWay }) => {
  const options = { name: 'cria requests', execArgv: [], resourceLimits, workerData: { givesWay } };
  const worker = new Worker(new URL('./preparation-worker.ts', import.meta.url), options);
  worker.unref();
  let terminated = false;
  const died = (handler: (cause: Error) => void) => (cause: unknown) => {
    if (!terminated) handler(cause instanceof Error ? cause : new Error(String(cause)));
  };
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    onMessage: (handler) => worker.on('message', (message: FromPreparer) => handler(message)),
    onDeath: (handler) => {
      worker.on('error', died(handler));
      worker.on('messageerror', died(handler));
      worker.on('exit', died(handler));
    },
    hold: (waiting) => {
      if (waiting) worker.ref();
      else worker.unref();
    },
    terminate: () => {
      terminated = true;
      void worker.terminate();
    },
  };
};
