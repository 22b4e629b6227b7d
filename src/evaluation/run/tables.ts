/** Results as rows for people: one table a rule set. */
import type { RuleSet } from '../task/spec.ts';
import type { TaskResult, TaskScore } from './evaluate.ts';
import type { GroupResult } from './groups.ts';
import { publishedScores } from './published.ts';

export interface ScoreTable {
  readonly rules: RuleSet;
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Columns of numbers. */
  readonly right: readonly number[];
}

const titles = {
  harness: 'Rules of the lm-evaluation-harness',
  paper: 'Rules of the papers',
} as const;

/** Shares are printed in per cent. */
const isShare = ({ aggregation, metric }: TaskScore) =>
  aggregation === 'mean' &&
  metric !== 'likelihood_diff' &&
  !metric.startsWith('bleu_max') &&
  !metric.startsWith('bleu_diff');

/** A perplexity of millions says that the model cannot; its digits say nothing. */
const numberText = (value: number) => (Math.abs(value) < 1e5 ? value.toFixed(4) : value.toExponential(2));

export const scoreText = (score: TaskScore): string =>
  isShare(score) ? `${(100 * score.value).toFixed(2)} %` : numberText(score.value);

const errorText = (score: TaskScore) =>
  score.error === null ? '' : `± ${isShare(score) ? (100 * score.error).toFixed(2) : numberText(score.error)}`;

const filterText = (filter: string) => (filter === 'none' ? '' : filter);

/** One table for each rule set that has results. */
export function scoreTables(
  results: readonly TaskResult[],
  groups: readonly GroupResult[],
  parameters: number,
): ScoreTable[] {
  return (['harness', 'paper'] as const).flatMap((rules): ScoreTable[] => {
    const mine = results.filter((result) => result.rules === rules);
    if (mine.length === 0) return [];
    const known = (name: string, shots: number) =>
      publishedScores(name, shots, parameters)
        .map(({ model, percent }) => `${model} ${percent}`)
        .join(', ');
    const named = [
      ...mine.flatMap(({ task, shots, scores, parts }) => [
        { name: task, shots, scores },
        ...Object.entries(parts).map(([part, list]) => ({ name: `  ${part}`, shots, scores: list })),
      ]),
      ...groups
        .filter((group) => group.rules === rules)
        .map(({ group, scores }) => ({ name: group, shots: mine[0]!.shots, scores })),
    ];
    const hasFilters = named.some(({ scores }) => scores.some(({ filter }) => filterText(filter) !== ''));
    const hasPublished = named.some(({ name, shots }) => known(name, shots) !== '');
    const rows = named.flatMap(({ name, shots, scores }) =>
      scores.map((score, i) => [
        i === 0 ? name : '',
        i === 0 ? String(shots) : '',
        i === 0 ? String(score.items) : '',
        ...(hasFilters ? [filterText(score.filter)] : []),
        score.metric,
        scoreText(score),
        errorText(score),
        ...(hasPublished ? [i === 0 ? known(name, shots) : ''] : []),
      ]),
    );
    const head = [
      'task',
      'shots',
      'items',
      ...(hasFilters ? ['filter'] : []),
      'metric',
      'score',
      'error',
      ...(hasPublished ? ['published'] : []),
    ];
    const right = ['shots', 'items', 'score', 'error'].map((name) => head.indexOf(name));
    return [{ rules, title: titles[rules], head, rows, right }];
  });
}

const counted = {
  cut: 'longer than the context, and lost their beginning',
  shortened: 'had less room for an answer than the task allows: half of the context',
  fewerExamples: 'shown fewer examples, so that they fit',
  shownThemselves:
    'stand among their own examples, with the answer: name a training_split or a fewshot_split of other items',
  withoutAnswer: 'have a right answer that is none of the choices; they count as wrong',
  missed: 'hold the right answer in the text, where no filter found it',
} as const satisfies Record<keyof TaskResult['counts'], string>;

/** What happened to items on the way, a line each. */
export function remarksOf(results: readonly TaskResult[]): string[] {
  return results.flatMap(({ task, rules, counts, scores }) =>
    Object.entries(counted).flatMap(([key, words]) => {
      const count = counts[key as keyof typeof counted];
      return count > 0 ? [`${task} (${rules}): ${count} of ${scores[0]!.items} items ${words}`] : [];
    }),
  );
}
