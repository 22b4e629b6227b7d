// A thread of the wasm device's team, in a browser.
import { createWorker, type WorkerMessage } from '../../devices/wasm/worker.ts';

const take = createWorker();
addEventListener('message', (event: MessageEvent<WorkerMessage>) => take(event.data));
(globalThis as unknown as { postMessage(message: string): void }).postMessage('ready');
