/** Runs one task, from whatever worker: the same task always makes the same files. */

import type { TaskContext } from '../environment.ts';
import type { DoneRecord, UnitFolder } from '../host.ts';
import type { Task } from '../task.ts';
import { fillBucket } from './bucket.ts';
import { collectDuplicates, gatherDuplicates, mergeDuplicates, settleDuplicates } from './dedup.ts';
import { mixSources } from './mix.ts';
import { trainModel } from './model.ts';
import { clusterDocuments } from './near-pages.ts';
import { processUnit } from './process.ts';
import { writeShard } from './shard.ts';
import { tokeniseUnit } from './tokenise.ts';

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
    case 'gather':
      return gatherDuplicates(task, folder, context);
    case 'cluster':
      return clusterDocuments(task, folder, context);
    case 'settle':
      return settleDuplicates(task, folder, context);
    case 'process':
      return processUnit(task, folder, context);
    case 'tokenise':
      return tokeniseUnit(task, folder, context);
    case 'mix':
      return mixSources(task, context);
    case 'bucket':
      return fillBucket(task, folder, context);
    case 'shard':
      return writeShard(task, folder, context);
    default:
      return task satisfies never;
  }
}
