/** The worker that reads the server's requests. */
import { parentPort } from 'node:worker_threads';
import { assert } from '../../../base/assert.ts';
import { PreparationHost } from '../../../server/preparing/host.ts';
import type { ToPreparer } from '../../../server/preparing/protocol.ts';

assert(parentPort !== null, 'preparation worker: runs as a worker only');
const port = parentPort;

const host = new PreparationHost(
  (message, transfer) => port.postMessage(message, transfer),
  () => new Date(),
);
port.on('message', (message: ToPreparer) => host.receive(message));
