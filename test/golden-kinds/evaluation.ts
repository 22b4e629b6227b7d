/**
 * golden/eval-prompts: prompts, filters and scores of the lm-evaluation-harness, and the papers' rules. A file holds one JSON object a
 * line; its `kind` says what it is. Documents come with the items, pools of examples from ../shared/real.
 */
import type { AnyGoldenKind } from '../support/golden-kinds.ts';
import { fileKind } from './evaluation-files.ts';
import { general } from './evaluation-general.ts';
import { paper, runOfficialMmlu } from './evaluation-paper.ts';
import { runTask } from './evaluation-tasks.ts';

const special = ['general', 'paper', 'official_mmlu'];
const isNamed = (name: string, word: string) => name === word || name.startsWith(`${word}-`);

export const evaluationKinds: readonly AnyGoldenKind[] = [
  fileKind(
    'tasks',
    (name) => !special.some((word) => isNamed(name, word)),
    (rows, check) => {
      const task = rows.find(({ kind }) => kind === 'task');
      return runTask(rows, check, task);
    },
  ),
  fileKind(
    'general',
    (name) => isNamed(name, 'general'),
    (rows, check) => {
      for (const row of rows) {
        check.exact(`runner of ${row.kind}`, row.kind in general, true);
        general[row.kind]!(row, check);
      }
    },
  ),
  fileKind(
    'paper',
    (name) => isNamed(name, 'paper'),
    (rows, check, path) => {
      for (const row of rows) {
        check.exact(`runner of ${row.kind}`, row.kind in paper, true);
        paper[row.kind]!(row, check, path);
      }
    },
  ),
  fileKind(
    'official_mmlu',
    (name) => isNamed(name, 'official_mmlu'),
    (rows, check) => runOfficialMmlu(rows, check),
  ),
];
