// A thread of the wasm device's team, in Node.
import { parentPort, workerData } from 'node:worker_threads';
import type { ThreadOptions } from '../../devices/wasm/team.ts';
import { createWorker } from '../../devices/wasm/worker.ts';

const { blas, native } = workerData as ThreadOptions;
const take = createWorker(
  blas && (await import('./native/products.ts')).loadProducts(blas),
  native && (await import('./native/placed-code.ts')).nativeAt(native),
);
parentPort!.on('message', take);
parentPort!.postMessage('ready');
