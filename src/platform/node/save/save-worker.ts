// Writes a part of a model in a thread of its own, so that Ctrl-C is heard while it works.
import { parentPort, workerData } from 'node:worker_threads';
import { encodeError } from '../../../inference/remote/wire-errors.ts';
import type { Part, SaveJob } from './job.ts';
import { writePart } from './write-part.ts';

const REPORT_BYTES = 1 << 24;
const { job, path, part } = workerData as { job: SaveJob; path: string; part: Part };
let unreported = 0;
try {
  const tensors = writePart(job, path, part, (bytes) => {
    unreported += bytes;
    if (unreported < REPORT_BYTES) return;
    parentPort!.postMessage({ kind: 'bytes', bytes: unreported });
    unreported = 0;
  });
  parentPort!.postMessage({ kind: 'bytes', bytes: unreported });
  parentPort!.postMessage({ kind: 'done', tensors });
} catch (error) {
  parentPort!.postMessage({ kind: 'error', error: encodeError(error) });
}
