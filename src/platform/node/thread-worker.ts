// A thread of the wasm device's team, in Node.
import { parentPort, workerData } from 'node:worker_threads';
import { createWorker } from '../../devices/wasm/team.ts';

const { blas } = workerData as { readonly blas: boolean };
const take = createWorker(blas ? (await import('./native/blas.ts')).loadBlas() : null);
parentPort!.on('message', take);
parentPort!.postMessage('ready');
