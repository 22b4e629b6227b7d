/** A worker thread of the corpus: receives a task, answers with its record. Models stay loaded between tasks. */
import { parentPort, workerData } from 'node:worker_threads';
import { createEnvironment } from '../../../corpus/pipeline/environment.ts';
import { executeTask } from '../../../corpus/pipeline/execute.ts';
import type { Task } from '../../../corpus/pipeline/tasks.ts';
import type { Recipe } from '../../../corpus/recipe/recipe.ts';
import { createCorpusHost, type Folders } from './host.ts';
import type { WorkerMessage } from './workers.ts';

const { recipe, folders } = workerData as { recipe: Recipe; folders: Folders };
const host = createCorpusHost(folders);
const context = { recipe, host, environment: createEnvironment(recipe, host) };

parentPort!.on('message', async (task: Task) => {
  let message: WorkerMessage;
  try {
    message = { ok: true, record: await executeTask(task, context) };
  } catch (error) {
    message = { ok: false, error };
  }
  parentPort!.postMessage(message);
});
