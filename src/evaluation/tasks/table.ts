/** Every built-in task and group, by name. */

import { ArgumentError } from '../../base/errors.ts';
import { nearestNames } from '../../base/nearest.ts';
import { type TaskSpec, withDefaults } from '../task/spec.ts';
import { bias } from './bias.ts';
import { bbhSubjects, bigBenchHard } from './big-bench-hard.ts';
import { closedBook } from './closed-book.ts';
import { code } from './code.ts';
import { commonSense } from './common-sense.ts';
import { agiEvalNames, knowledge, mmluCategories } from './knowledge.ts';
import { language } from './language.ts';
import { mathematics, mathSubjects } from './mathematics.ts';
import { reading } from './reading.ts';

export const builtInTasks: ReadonlyMap<string, TaskSpec> = new Map(
  [commonSense, closedBook, reading, mathematics, code, knowledge, bigBenchHard, bias, language]
    .flat()
    .map((form) => [form.task, withDefaults(form)]),
);

/** Tasks whose score is also taken over all their items. */
export const groups: Readonly<Record<string, readonly string[]>> = {
  mmlu: Object.keys(mmluCategories).map((category) => `mmlu_${category}`),
  ...Object.fromEntries(
    Object.entries(mmluCategories).map(([category, subjects]) => [
      `mmlu_${category}`,
      subjects.map((name) => `mmlu_${name}`),
    ]),
  ),
  bbh_cot_fewshot: bbhSubjects.map((name) => `bbh_cot_fewshot_${name}`),
  bbh_fewshot: bbhSubjects.map((name) => `bbh_fewshot_${name}`),
  agieval_en: agiEvalNames,
  hendrycks_math: mathSubjects.map((name) => `hendrycks_math_${name}`),
  minerva_math: mathSubjects.map((name) => `minerva_math_${name}`),
  minerva_math_maj: mathSubjects.map((name) => `minerva_math_maj_${name}`),
};

/** Sets of tasks that are asked together, and not scored as one: the papers' tables. */
export const sets: Readonly<Record<string, readonly string[]>> = {
  commonsense: [
    ...[
      'boolq',
      'piqa',
      'social_iqa',
      'hellaswag',
      'winogrande',
      'arc_easy',
      'arc_challenge',
      'openbookqa',
      'commonsense_qa',
    ],
  ],
  closed_book: ['nq_open', 'triviaqa'],
  reading: ['race', 'squad', 'quac', 'boolq'],
  code: ['humaneval', 'mbpp'],
};

/** The names of the tasks that a name stands for. Throws ArgumentError `eval.task-name`. */
export function tasksNamed(name: string): readonly string[] {
  if (builtInTasks.has(name)) return [name];
  const members = groups[name] ?? sets[name];
  if (members) return [...new Set(members.flatMap(tasksNamed))];
  const known = [...Object.keys(groups), ...Object.keys(sets), ...builtInTasks.keys()];
  const near = nearestNames(name, known, 3);
  throw new ArgumentError(
    'eval.task-name',
    `tasks: expected the name of a task or a .yaml or .json file with one, found ${JSON.stringify(name)}. ` +
      (near.length > 0 ? `Did you mean ${near.join(' or ')}?` : 'cria eval --list shows them all.'),
  );
}

/** Leaf tasks of a group. */
export const leavesOf = (group: string): readonly string[] =>
  groups[group]!.flatMap((name) => (groups[name] ? leavesOf(name) : [name]));
