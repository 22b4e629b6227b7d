/** The worker that reads the server's requests. */
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../../../base/assert.ts';
import { PreparationHost } from '../../../server/preparing/host.ts';
import type { ToPreparer } from '../../../server/preparing/protocol.ts';

/** A tenth of a core beside a thread that computes; Linux alone has priorities of threads (setpriority(2), "C library/kernel differences"). */
const LOW = 10;

assert(parentPort !== null, 'preparation worker: runs as a worker only');
const port = parentPort;
if ((workerData as { readonly givesWay: boolean }).givesWay && process.platform === 'linux') setPriority(LOW);

const host = new PreparationHost(
  (message, transfer) => port.postMessage(message, transfer),
  () => new Date(),
);
port.on('message', (message: ToPreparer) => host.receive(message));
