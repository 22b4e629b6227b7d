/** Scores of groups: over all items of their tasks, each item counting alike. */
import { type GroupMember, groupError, groupMean } from '../metrics/aggregate.ts';
import type { RuleSet } from '../task/spec.ts';
import { groups, leavesOf } from '../tasks/table.ts';
import type { TaskResult, TaskScore } from './evaluate.ts';

export interface GroupResult {
  readonly group: string;
  readonly rules: RuleSet;
  readonly tasks: number;
  readonly scores: readonly TaskScore[];
}

/** The groups whose tasks were all asked, under each rule set. */
export function groupResults(results: readonly TaskResult[]): GroupResult[] {
  const found: GroupResult[] = [];
  for (const group of Object.keys(groups)) {
    const leaves = leavesOf(group);
    for (const rules of ['harness', 'paper'] as const) {
      const members = results.filter((result) => result.rules === rules && leaves.includes(result.task));
      if (members.length !== leaves.length) continue;
      const scores = members[0]!.scores
        .filter(({ aggregation }) => aggregation === 'mean')
        .map((score): TaskScore => {
          const same = members.flatMap(({ scores: each }) =>
            each.filter(({ metric, filter }) => metric === score.metric && filter === score.filter),
          );
          const list = same.map(({ items, value, error }): GroupMember => ({ items, value, error }));
          return {
            ...score,
            value: groupMean(list),
            error: groupError(list),
            items: list.reduce((n, { items }) => n + items, 0),
          };
        });
      found.push({ group, rules, tasks: members.length, scores });
    }
  }
  return found;
}
