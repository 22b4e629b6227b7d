/** The tasks of each phase, with the keys that say what they are made from. */
import { groupBy } from '../../base/es2024.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { dedupPlan } from '../stages/table.ts';
import { modelTaskId } from './environment.ts';
import type { CorpusHost } from './host.ts';
import type { DedupInput, Task, Unit } from './task.ts';
import { dedupStages, digest, type ModelKeys, type PlannedUnit, stagesKey, unitName } from './tasks.ts';

export function modelTasks(recipe: Recipe, keys: ModelKeys): Task[] {
  return Object.entries(recipe.models)
    .filter(([, model]) => model.name !== 'fasttext')
    .map(([name, model]) => ({
      kind: 'model',
      id: modelTaskId(name),
      key: digest([keys[name], model.name === 'train-classifier' ? recipe.seed : null]),
      model: name,
    }));
}

type CollectTask = Extract<Task, { kind: 'collect' }>;

/** The units of all sources that have a dedup stage number `round`. */
export function collectTasks(
  recipe: Recipe,
  host: CorpusHost,
  units: readonly PlannedUnit[],
  models: ModelKeys,
  inputs: ReadonlyMap<string, DedupInput[]>,
  round: number,
): CollectTask[] {
  return units.flatMap((unit) => {
    const { stages, reader } = recipe.sources[unit.source]!;
    const stage = dedupStages(stages)[round];
    if (stage === undefined) return [];
    const before = inputs.get(unitName(unit)) ?? [];
    const key = digest([
      unit.digest,
      reader,
      stagesKey(stages.slice(0, stage), models, recipe, host),
      stages[stage],
      before.map(mergeKey(host)),
    ]);
    return [
      { kind: 'collect' as const, id: `collect-${round + 1}/${unitName(unit)}`, key, unit: bare(unit), stage, before },
    ];
  });
}

/** Groups a source's runs, and makes a task per group and slice; notes for each unit where its duplicates will be. */
export function mergeTasks(
  recipe: Recipe,
  collected: readonly CollectTask[],
  inputs: Map<string, DedupInput[]>,
): Task[] {
  const tasks: Task[] = [];
  for (const [source, members] of groupBy(collected, ({ unit }) => unit.source)) {
    const { stage } = members[0]!;
    const plan = dedupPlan(recipe.sources[source]!.stages[stage]!)!;
    const groupSize = plan.kind === 'exact' ? plan.group : members.length;
    const sliceCount = plan.kind === 'exact' ? recipe.dedupSlices : 1;
    for (let first = 0, group = 0; first < members.length; first += groupSize, group++) {
      const runs = members.slice(first, first + groupSize);
      const merges: string[] = [];
      for (let slice = 0; slice < sliceCount; slice++) {
        const id = `merge/${source}-stage${stage}-group${group}-slice${slice}of${sliceCount}`;
        const key = digest([runs.map(({ key }) => key), slice, sliceCount]);
        tasks.push({ kind: 'merge', id, key, source, stage, runs: runs.map(({ id }) => id), slice, sliceCount });
        merges.push(id);
      }
      for (const [run, member] of runs.entries()) {
        const name = unitName(member.unit);
        inputs.set(name, [...(inputs.get(name) ?? []), { stage, merges, run }]);
      }
    }
  }
  return tasks;
}

export function processTask(
  recipe: Recipe,
  host: CorpusHost,
  unit: PlannedUnit,
  models: ModelKeys,
  inputs: ReadonlyMap<string, DedupInput[]>,
): Extract<Task, { kind: 'process' }> {
  const { stages, reader } = recipe.sources[unit.source]!;
  const before = inputs.get(unitName(unit)) ?? [];
  const countsTokens = stages.some(({ name }) => name === 'github') ? (recipe.tokens?.tokenizer ?? null) : null;
  const key = digest([
    unit.digest,
    reader,
    stagesKey(stages, models, recipe, host),
    before.map(mergeKey(host)),
    countsTokens,
  ]);
  return { kind: 'process', id: `process/${unitName(unit)}`, key, unit: bare(unit), before };
}

/** Merge tasks have run by now: their keys stand for all that they saw. */
function mergeKey(host: CorpusHost): (input: DedupInput) => unknown {
  return ({ stage, merges, run }) => [stage, run, merges.map((id) => host.work.done(id)?.key)];
}

function bare({ source, index, files, limit }: PlannedUnit): Unit {
  return { source, index, files, ...(limit === undefined ? {} : { limit }) };
}
