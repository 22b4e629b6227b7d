/** Writes a model in worker threads. What is written appears under its name only when it is whole. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { CriaError } from '../../../base/errors.ts';
import { formatBytes } from '../../../base/units.ts';
import { decodeError, type WireError } from '../../../inference/remote/wire-errors.ts';
import type { SavedTensor, SaveJob } from './job.ts';
import { openJob } from './write-part.ts';

/** Below this a second thread costs more than it brings. */
const THREAD_BYTES = 1 << 25;

interface SaveOptions {
  readonly threads: number;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

type Message =
  | { readonly kind: 'bytes'; readonly bytes: number }
  | { readonly kind: 'done'; readonly tensors: readonly SavedTensor[] }
  | { readonly kind: 'error'; readonly error: WireError };

/** Throws CriaError `save.no-room`, `save.no-folder`, `save.exists`; what the formats throw; AbortError. */
export async function saveModel(job: SaveJob, path: string, options: SaveOptions): Promise<readonly SavedTensor[]> {
  const total = plannedBytes(job);
  const temporary = `${resolve(path)}.${process.pid}.tmp`;
  checkTarget(job, path, total);
  if (job.format === 'gguf') closeSync(openSync(temporary, 'w'));
  else mkdirSync(temporary);
  const clean = () => rmSync(temporary, { recursive: true, force: true });
  process.on('exit', clean); // a second Ctrl-C
  try {
    const count = Math.max(1, Math.min(options.threads, Math.ceil(total / THREAD_BYTES)));
    const reports = await runWorkers(job, temporary, count, total, options);
    // Random weights can be made again, and are often larger than the disk is fast.
    if (job.source.kind !== 'random') flush(temporary, job.format);
    if (job.format === 'safetensors' && existsSync(path)) rmdirSync(path);
    renameSync(temporary, path);
    return mergeReports(reports);
  } finally {
    clean();
    process.off('exit', clean);
  }
}

function plannedBytes(job: SaveJob): number {
  const { plan, close } = openJob(job);
  close();
  return plan.bytes;
}

function checkTarget(job: SaveJob, path: string, total: number): void {
  const folder = dirname(resolve(path));
  if (job.format === 'safetensors' && existsSync(path) && readdirSync(path).length > 0) {
    throw new CriaError(
      'save.exists',
      `${path}: expected a new or an empty folder, found files in it. Choose another name.`,
    );
  }
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new CriaError(
      'save.no-folder',
      `${path}: expected a folder ${folder} to write into, found none. Make it first.`,
    );
  }
  if (job.format === 'gguf' && statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new CriaError(
      'save.exists',
      `${path}: expected a file or nothing at this name, found a folder. Choose another name.`,
    );
  }
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  if (!(free >= total)) {
    throw new CriaError(
      'save.no-room',
      `${path}: expected ${formatBytes(total)} of free space, found ${formatBytes(free)} in ${folder}. Choose another disk or a smaller type.`,
    );
  }
}

async function runWorkers(
  job: SaveJob,
  path: string,
  count: number,
  total: number,
  { signal, onProgress }: SaveOptions,
): Promise<readonly (readonly SavedTensor[])[]> {
  signal.throwIfAborted();
  let done = 0;
  const workers = Array.from({ length: count }, (_, index) => {
    const workerData = { job, path, part: { index, count } };
    return new Worker(new URL('./save-worker.ts', import.meta.url), { name: 'cria save', workerData });
  });
  try {
    return await Promise.all(
      workers.map(
        (worker) =>
          new Promise<readonly SavedTensor[]>((fulfil, reject) => {
            worker.on('message', (message: Message) => {
              if (message.kind === 'done') fulfil(message.tensors);
              else if (message.kind === 'error') reject(decodeError(message.error));
              else onProgress(Math.min(total, (done += message.bytes)), total);
            });
            worker.on('error', reject);
            worker.on('exit', (code) =>
              reject(new CriaError('save.died', `a writing thread ended with code ${code}.`)),
            );
            signal.addEventListener('abort', () => reject(signal.reason), { once: true });
          }),
      ),
    );
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** The bytes reach the disk before the name does. */
function flush(path: string, format: SaveJob['format']): void {
  const files = format === 'gguf' ? [path] : readdirSync(path).map((file) => join(path, file));
  for (const file of files) {
    const descriptor = openSync(file, 'r+');
    fsyncSync(descriptor);
    closeSync(descriptor);
  }
}

/** Every worker reports all tensors with its own share of the errors. */
function mergeReports(reports: readonly (readonly SavedTensor[])[]): readonly SavedTensor[] {
  return reports[0]!.map((tensor, i) => {
    const errors = reports.flatMap((report) => report[i]!.error ?? []);
    if (errors.length === 0) return tensor;
    const sum = (key: 'squared' | 'energy') => errors.reduce((total, error) => total + error[key], 0);
    return { ...tensor, error: { squared: sum('squared'), energy: sum('energy') } };
  });
}
