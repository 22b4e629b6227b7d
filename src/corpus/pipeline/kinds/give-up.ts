/** A unit of input that cannot be done, as a unit that holds nothing: the run goes on, and its books say which files are missing and why. */
import { addProblem, emptyAudit } from '../../report/audit.ts';
import type { WorkStore } from '../host.ts';
import type { Task, TaskOf } from '../task.ts';
import { KEPT_FILE } from './pass.ts';

type InputTask = TaskOf<'collect' | 'process' | 'tokenise'>;

/** Only what stands for some files of the input: a model or a merge stands for everything that follows. */
export function canGiveUp(task: Task): task is InputTask {
  return task.kind === 'collect' || task.kind === 'process' || task.kind === 'tokenise';
}

export function giveUp(task: InputTask, reason: string, work: WorkStore): void {
  const folder = work.begin(task.id);
  const audit = emptyAudit();
  const { files } = task.unit;
  const more = files.length > 1 ? ` and ${files.length - 1} files with it` : '';
  addProblem(audit, files[0]!, 'given-up', `${files[0]}${more}: ${task.kind} failed twice and was given up: ${reason}`);
  const common = { givenUp: reason, audit, seconds: 0 };
  if (task.kind === 'collect') {
    if (task.keeps) for (const file of [KEPT_FILE, 'drops.jsonl']) folder.createCompressed(file);
    folder.commit(task.key, { ...common, documents: 0 });
  } else if (task.kind === 'process') {
    for (const file of ['documents.jsonl', 'attributes.jsonl', 'drops.jsonl']) folder.createCompressed(file);
    folder.commit(task.key, { ...common, measures: {} });
  } else {
    folder.createCompressed('drops.jsonl');
    for (const file of ['tokens.bin', 'index.bin', 'lottery.bin']) folder.create(file);
    folder.commit(task.key, { ...common, tokens: 0, documents: 0 });
  }
}
