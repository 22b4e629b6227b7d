// A thread of the wasm device's team, in Node.
import { parentPort, workerData } from 'node:worker_threads';
import { createWorker } from '../../devices/wasm/team.ts';
import type { BlasOperands } from '../../kernels/gemm/blas.ts';

const { blas } = workerData as { readonly blas: readonly BlasOperands[] | null };
const take = createWorker(blas && (await import('./native/products.ts')).loadProducts(blas));
parentPort!.on('message', take);
parentPort!.postMessage('ready');
