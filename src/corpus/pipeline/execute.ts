/** Runs one task, from whatever worker: the same task always makes the same files. */

import { collectDuplicates, mergeDuplicates } from './dedup-tasks.ts';
import type { TaskContext } from './environment.ts';
import type { DoneRecord, UnitFolder } from './host.ts';
import { mixSources } from './mix-task.ts';
import { trainModel } from './model-task.ts';
import { processUnit } from './process-task.ts';
import { writeShard } from './shard-task.ts';
import type { Task } from './task.ts';
import { tokeniseUnit } from './tokenise-task.ts';

export async function executeTask(task: Task, context: TaskContext): Promise<DoneRecord> {
  const folder = context.host.work.begin(task.id);
  try {
    return folder.commit(task.key, await resultOf(task, folder, context));
  } catch (error) {
    folder.abandon();
    throw error;
  }
}

function resultOf(task: Task, folder: UnitFolder, context: TaskContext): unknown {
  switch (task.kind) {
    case 'model':
      return trainModel(task, folder, context);
    case 'collect':
      return collectDuplicates(task, folder, context);
    case 'merge':
      return mergeDuplicates(task, folder, context);
    case 'process':
      return processUnit(task, folder, context);
    case 'tokenise':
      return tokeniseUnit(task, folder, context);
    case 'mix':
      return mixSources(task, context);
    case 'shard':
      return writeShard(task, folder, context);
    default:
      return task satisfies never;
  }
}
