// A thread of the wasm device's team, in Node.
import { parentPort } from 'node:worker_threads';
import { createWorker } from '../../devices/wasm/team.ts';

const take = createWorker();
parentPort!.on('message', take);
parentPort!.postMessage('ready');
