/** A worker thread of the corpus: receives a task, answers with its record. Models stay loaded between tasks; language models come in shared memory. */
import { parentPort, workerData } from 'node:worker_threads';
import { CriaError } from '../../../base/errors.ts';
import { isSystemError } from '../../../base/system-error.ts';
import type { NgramParts } from '../../../corpus/ngram/file.ts';
import { createEnvironment } from '../../../corpus/pipeline/environment.ts';
import { executeTask } from '../../../corpus/pipeline/kinds/execute.ts';
import { createCorpusHost } from './host.ts';
import type { WorkerData, WorkerMessage, WorkerRequest } from './workers.ts';

const { recipe, folders, beats } = workerData as WorkerData;
const host = createCorpusHost(folders, () => void Atomics.add(beats, 0, 1));
const models = new Map<string, NgramParts>();
const context = { recipe, host, environment: createEnvironment(recipe, host, models) };

parentPort!.on('message', async ({ task, models: received }: WorkerRequest) => {
  Atomics.add(beats, 0, 1);
  for (const [name, parts] of received) models.set(name, parts);
  let message: WorkerMessage;
  try {
    message = { ok: true, record: await executeTask(task, context) };
  } catch (error) {
    message = {
      ok: false,
      code: error instanceof CriaError ? error.code : undefined,
      system: isSystemError(error)
        ? { code: error.code, syscall: error.syscall, ...(error.path === undefined ? {} : { path: error.path }) }
        : undefined,
      error,
    };
  }
  parentPort!.postMessage(message);
});
