/** The tasks of each phase, with the keys that say what they are made from. */
import { groupBy } from '../../base/es2024.ts';
import { isCostly } from '../readers/table.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { areCheap, dedupPlan, type StageChoice } from '../stages/table.ts';
import { modelTaskId } from './environment.ts';
import { type CorpusHost, isGivenUp } from './host.ts';
import type { DedupInput, KeptDocuments, Task, Unit } from './task.ts';
import { dedupStages, digest, type ModelKeys, type PlannedUnit, stagesKey, unitId, unitName } from './tasks.ts';

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

/** The last pass over a unit that kept its documents. */
export interface LastKept extends KeptDocuments {
  readonly key: string;
}

/**
 * The units of all sources that have a dedup stage number `round`. What costs something is done once: a pass that has such stages before its dedup stage, or
 * reads what is costly to read, keeps the documents (`kept`, by unit), and later passes begin there.
 */
export function collectTasks(
  recipe: Recipe,
  host: CorpusHost,
  units: readonly PlannedUnit[],
  models: ModelKeys,
  inputs: ReadonlyMap<string, DedupInput[]>,
  kept: Map<string, LastKept>,
  round: number,
): CollectTask[] {
  return units.flatMap((unit) => {
    const { stages, reader } = recipe.sources[unit.source]!;
    const stage = dedupStages(stages)[round];
    if (stage === undefined) return [];
    const name = unitName(unit);
    const before = inputs.get(name) ?? [];
    const from = kept.get(name);
    const keeps =
      !areCheap(stages.slice(from?.stage ?? 0, stage)) ||
      (from === undefined && (isCostly(reader) || unit.files.some(isAddress)));
    const key = digest([
      unit.digest,
      reader,
      stagesKey(stages.slice(0, stage), models, recipe, host),
      stages[stage],
      before.map(mergeKey(host)),
      keptKey(host, from),
      countsTokens(stages.slice(0, stage), recipe),
    ]);
    const id = unitId(`collect-${round + 1}`, unit);
    if (keeps) kept.set(name, { id, key, stage });
    return [{ kind: 'collect' as const, id, key, unit: bare(unit), stage, before, keeps, ...startOf(from) }];
  });
}

/** What comes over a network comes once. */
function isAddress(file: string): boolean {
  return file.includes('://');
}

function startOf(from: LastKept | undefined): { from?: KeptDocuments } {
  return from === undefined ? {} : { from: { id: from.id, stage: from.stage } };
}

/** A pass that was given up kept nothing. */
function keptKey(host: CorpusHost, from: LastKept | undefined): string | null {
  if (from === undefined) return null;
  return isGivenUp(host.work.done(from.id)) ? `${from.key} given up` : from.key;
}

/** The tokenizer by which some of the stages count. */
function countsTokens(stages: readonly StageChoice[], recipe: Recipe): string | null {
  return stages.some(({ name }) => name === 'github') ? (recipe.tokens?.tokenizer ?? null) : null;
}

/** Phases one after the other. */
export type TaskPhases = Task[][];

/**
 * Groups a source's runs, and makes a task per group and slice; notes for each unit where its duplicates will be. Collected units are done by now.
 */
export function mergeTasks(
  recipe: Recipe,
  host: CorpusHost,
  collected: readonly CollectTask[],
  inputs: Map<string, DedupInput[]>,
): TaskPhases {
  const phases: TaskPhases = [];
  for (const [source, members] of groupBy(collected, ({ unit }) => unit.source)) {
    const { stage } = members[0]!;
    const plan = dedupPlan(recipe.sources[source]!.stages[stage]!)!;
    const groupSize = plan.kind === 'exact' ? plan.group : members.length;
    for (let first = 0, group = 0; first < members.length; first += groupSize, group++) {
      const part = members.slice(first, first + groupSize);
      const tree = new MergeTree(recipe, source, stage, `merge/${source}-stage${stage}-group${group}`);
      const runs = part.map(({ id, key }) => ({ id, key: isGivenUp(host.work.done(id)) ? `${key} given up` : key }));
      const units = runs.map(({ id }) => id);
      const found =
        plan.kind === 'exact'
          ? tree.merge(runs, recipe.dedupSlices)
          : [plan.kind === 'near' ? tree.mergeAtOnce(runs, 1) : tree.cluster(runs, units, recipe.dedupSlices)];
      for (const [i, tasks] of tree.phases.entries()) (phases[i] ??= []).push(...tasks);
      for (const [i, member] of part.entries()) {
        const { merges, run } = plan.kind === 'exact' ? found[i]! : { ...found[0]!, run: i };
        const name = unitName(member.unit);
        const input = { stage, merges, run, ...(plan.kind === 'minhash' ? { units } : {}) };
        inputs.set(name, [...(inputs.get(name) ?? []), input]);
      }
    }
  }
  return phases;
}

/** A task's folder and key. */
interface Run {
  readonly id: string;
  readonly key: string;
}

/** Where a run's duplicates will lie, one task for each slice of the hashes; and its number among those tasks' runs. */
interface Found {
  readonly merges: readonly string[];
  readonly run: number;
}

/** At most `mergeWidth` runs are opened by one task: more are gathered by so many, merged, and settled. */
class MergeTree {
  readonly phases: TaskPhases = [];
  private readonly recipe: Recipe;
  private readonly source: string;
  private readonly stage: number;
  private readonly name: string;

  constructor(recipe: Recipe, source: string, stage: number, name: string) {
    this.recipe = recipe;
    this.source = source;
    this.stage = stage;
    this.name = name;
  }

  merge(runs: readonly Run[], sliceCount: number, level = 0): Found[] {
    const width = this.recipe.mergeWidth;
    if (runs.length <= width) {
      const { merges } = this.mergeAtOnce(runs, sliceCount);
      return runs.map((_, run) => ({ merges, run }));
    }
    const groups = this.gather(runs, 'hashes', level);
    const above = this.merge(groups, sliceCount, level + 1);
    const keys = new Map(this.phases.flat().map((task) => [task.id, task.key]));
    const settle: Task[] = [];
    const found = groups.flatMap(({ members, id: group }, i) => {
      const { merges, run: place } = above[i]!;
      const settled = merges.map((merge, slice) => {
        const id = `${group.replace('-gather', '-settle')}-slice${slice}of${sliceCount}`;
        const key = digest(['settle', keys.get(merge), place, slice, sliceCount]);
        settle.push({
          kind: 'settle',
          id,
          key,
          above: merge,
          place,
          runs: members.map((run) => run.id),
          slice,
          sliceCount,
        });
        return id;
      });
      return members.map((_, run) => ({ merges: settled, run }));
    });
    this.phases.push(settle);
    return found;
  }

  /** Clusters of near duplicates: what meets in each slice of the bands, then all of it. `units`: the collected ones in order. */
  cluster(runs: readonly Run[], units: readonly string[], sliceCount: number): Found {
    let level = 0;
    let merged = runs;
    while (merged.length > this.recipe.mergeWidth) merged = this.gather(merged, 'bands', level++);
    const { merges } = this.mergeAtOnce(merged, sliceCount);
    const id = `${this.name}-clusters`;
    const key = digest(['cluster', this.phases.at(-1)!.map((task) => task.key)]);
    this.phases.push([{ kind: 'cluster', id, key, merges, units }]);
    return { merges: [id], run: 0 };
  }

  private gather(
    runs: readonly Run[],
    of: 'hashes' | 'bands',
    level: number,
  ): (Run & { readonly members: readonly Run[] })[] {
    const width = this.recipe.mergeWidth;
    const groups = Array.from({ length: Math.ceil(runs.length / width) }, (_, i) => {
      const members = runs.slice(i * width, (i + 1) * width);
      return {
        members,
        key: digest(['gather', members.map(({ key }) => key)]),
        id: `${this.name}-gather${level}-${i}`,
      };
    });
    this.phases.push(
      groups.map(({ id, key, members }) => ({ kind: 'gather', of, id, key, runs: members.map((run) => run.id) })),
    );
    return groups;
  }

  mergeAtOnce(runs: readonly Run[], sliceCount: number): Found {
    const { source, stage } = this;
    const tasks = Array.from({ length: sliceCount }, (_, slice) => ({
      kind: 'merge' as const,
      id: `${this.name}-slice${slice}of${sliceCount}`,
      key: digest([runs.map(({ key }) => key), slice, sliceCount]),
      source,
      stage,
      runs: runs.map(({ id }) => id),
      slice,
      sliceCount,
    }));
    this.phases.push(tasks);
    return { merges: tasks.map(({ id }) => id), run: 0 };
  }
}

export function processTask(
  recipe: Recipe,
  host: CorpusHost,
  unit: PlannedUnit,
  models: ModelKeys,
  inputs: ReadonlyMap<string, DedupInput[]>,
  kept: ReadonlyMap<string, LastKept>,
): Extract<Task, { kind: 'process' }> {
  const { stages, reader } = recipe.sources[unit.source]!;
  const before = inputs.get(unitName(unit)) ?? [];
  const from = kept.get(unitName(unit));
  const key = digest([
    unit.digest,
    reader,
    stagesKey(stages, models, recipe, host),
    before.map(mergeKey(host)),
    countsTokens(stages, recipe),
    keptKey(host, from),
  ]);
  return { kind: 'process', id: unitId('process', unit), key, unit: bare(unit), before, ...startOf(from) };
}

/** Merge tasks have run by now: their keys stand for all that they saw. */
function mergeKey(host: CorpusHost): (input: DedupInput) => unknown {
  return ({ stage, merges, run }) => [stage, run, merges.map((id) => host.work.done(id)?.key)];
}

function bare({ source, index, files, limit }: PlannedUnit): Unit {
  return { source, index, files, ...(limit === undefined ? {} : { limit }) };
}
