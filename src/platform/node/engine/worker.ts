/** The worker that runs a model: an EngineHost with this machine's files, devices and clock. */
import { randomInt } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { assert } from '../../../base/assert.ts';
import { EngineHost } from '../../../inference/remote/host.ts';
import type { ToEngine } from '../../../inference/remote/protocol.ts';
import { handWarningsTo } from '../warnings.ts';
import { createDevice } from './devices.ts';
import { openAdapterSource, openSource } from './sources.ts';
import { storage } from './storage.ts';

assert(parentPort !== null, 'engine worker: runs as a worker only');
const port = parentPort;
handWarningsTo(port);

const host = new EngineHost({
  post: (message, transfer) => port.postMessage(message, transfer),
  openSource,
  openAdapter: openAdapterSource,
  createDevice,
  breathe: () => new Promise((resolve) => setImmediate(resolve)),
  clock: () => performance.now(),
  now: () => new Date(),
  storage,
  drawSeed: () => randomInt(2 ** 32),
});
port.on('message', (message: ToEngine) => void host.receive(message));
