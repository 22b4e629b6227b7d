/**
 * The whole corpus: phases of independent units of work, one after the other.
 *
 *   models → collect, merge (once per dedup stage) → process → tokenise → mix → shards → manifest, audit, report
 *
 * A unit is done when its record is there under the right key; the key is a digest of all that the unit is made from, input files
 * and upstream units included. So a second run does nothing, a changed threshold repeats what follows from it, and after a kill only the units in
 * flight are repeated. Every rank of `--shard i/n` takes each n-th unit of a phase and waits for the others' before the next.
 */
import { ConfigError, CriaError } from '../../base/errors.ts';
import type { TokenManifest } from '../mixture/shards.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { type CorpusAudit, corpusAudit } from '../report/corpus-audit.ts';
import { renderReport } from '../report/html.ts';
import { dedupPlan } from '../stages/table.ts';
import { modelTaskId } from './environment.ts';
import type { CorpusHost, Workforce } from './host.ts';
import { buildManifest } from './manifest.ts';
import type { MixResult } from './mix-task.ts';
import {
  type DedupInput,
  dedupStages,
  digest,
  modelKeys,
  type PlannedUnit,
  planUnits,
  stagesKey,
  type Task,
  unitName,
} from './tasks.ts';

/** Where results are put for people and the trainer, beside the work folder. */
export interface Publisher {
  /** Makes a unit's file appear under this name, without copying where the file system can. */
  publish(id: string, file: string, name: string): void;
  /** Writes a file whole or not at all; does nothing when it already holds this text. */
  writeText(name: string, text: string): void;
  /** Removes published files below `folder` that are not among `names`. */
  keepOnly(folder: string, names: readonly string[]): void;
  sleep(milliseconds: number): Promise<void>;
}

export interface RunOptions {
  /** Dry run: so many documents of each input file, no tokens. */
  readonly sample?: number;
  /** This rank's part of the work. */
  readonly shard?: { readonly index: number; readonly count: number };
  readonly onEvent?: (event: CorpusEvent) => void;
  readonly signal?: AbortSignal;
}

export type CorpusEvent =
  | { readonly kind: 'phase'; readonly phase: string; readonly units: number; readonly pending: number }
  | {
      readonly kind: 'unit';
      readonly phase: string;
      readonly unit: string;
      readonly done: number;
      readonly units: number;
    }
  | { readonly kind: 'waiting'; readonly phase: string; readonly missing: number };

export interface CorpusSummary {
  readonly audit: CorpusAudit;
  /** Units that this call made; 0 when everything was there. */
  readonly unitsMade: number;
  readonly units: number;
  readonly manifest: TokenManifest | undefined;
}

const POLL_MILLISECONDS = 2000;

export async function runCorpus(
  recipe: Recipe,
  host: CorpusHost,
  publisher: Publisher,
  workforce: Workforce,
  options: RunOptions = {},
): Promise<CorpusSummary> {
  const runner = new PhaseRunner(host, publisher, workforce, options);
  const units = planUnits(recipe, host, options.sample);
  const models = modelKeys(recipe, host);

  await runner.phase('models', modelTasks(recipe, models));
  const dedupInputs = new Map<string, DedupInput[]>();
  for (let round = 0; ; round++) {
    const collect = collectTasks(recipe, host, units, models, dedupInputs, round);
    if (collect.length === 0) break;
    await runner.phase(`collect ${round + 1}`, collect);
    await runner.phase(`merge ${round + 1}`, mergeTasks(recipe, collect, dedupInputs));
  }
  const processed = units.map((unit) => processTask(recipe, host, unit, models, dedupInputs));
  await runner.phase('process', processed);
  const manifest =
    recipe.tokens && options.sample === undefined ? await makeTokens(recipe, host, runner, processed) : undefined;

  const audit = corpusAudit(recipe, host, units, processed, manifest);
  if (runner.isFirstRank) {
    publisher.writeText('audit.json', `${JSON.stringify(audit, undefined, 1)}\n`);
    publisher.writeText('report.html', renderReport(audit));
  }
  return { audit, manifest: manifest?.manifest, unitsMade: runner.made, units: runner.total };
}

export interface MadeTokens {
  readonly manifest: TokenManifest;
  readonly mix: MixResult;
  readonly tokenised: readonly Extract<Task, { kind: 'tokenise' }>[];
}

async function makeTokens(
  recipe: Recipe,
  host: CorpusHost,
  runner: PhaseRunner,
  processed: readonly Extract<Task, { kind: 'process' }>[],
): Promise<MadeTokens> {
  const settings = recipe.tokens!;
  const tokenizer = host.tokenizer(settings.tokenizer);
  const tokenised = processed.map((task) => ({
    kind: 'tokenise' as const,
    id: `tokenise/${unitName(task.unit)}`,
    key: digest([
      task.key,
      recipe.sources[task.unit.source]!.select,
      tokenizer.sha256,
      settings.bos,
      settings.eos,
      recipe.seed,
    ]),
    unit: task.unit,
    process: task.id,
  }));
  await runner.phase('tokenise', tokenised);
  const inputs = tokenised.map(({ id, unit }) => ({ id, source: unit.source }));
  const shares = Object.entries(recipe.sources).map(([name, { weight, epochs }]) => [name, weight, epochs]);
  const mixKey = digest([
    tokenised.map(({ key }) => key),
    shares,
    settings.mixture,
    settings.total ?? null,
    settings.shardTokens,
  ]);
  const mixTask = { kind: 'mix' as const, id: 'mix/plan', key: mixKey, tokenised: inputs };
  await runner.phase('mix', [mixTask]);
  const mix = host.work.done(mixTask.id)!.result as MixResult;
  const shards = Array.from({ length: mix.shardCount }, (_, shard) => ({
    kind: 'shard' as const,
    id: `shard/${String(shard).padStart(5, '0')}`,
    key: digest([mixKey, shard]),
    shard,
    shardCount: mix.shardCount,
    mix: mixTask.id,
    tokenised: inputs,
  }));
  await runner.phase('shards', shards);
  const manifest = buildManifest(
    recipe,
    host,
    tokenizer,
    mix,
    shards.map(({ id }) => id),
  );
  if (runner.isFirstRank)
    runner.publishTokens(
      manifest,
      shards.map(({ id }) => id),
    );
  return { manifest, mix, tokenised };
}

function modelTasks(recipe: Recipe, keys: Readonly<Record<string, string>>): Task[] {
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
function collectTasks(
  recipe: Recipe,
  host: CorpusHost,
  units: readonly PlannedUnit[],
  models: Readonly<Record<string, string>>,
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
function mergeTasks(recipe: Recipe, collected: readonly CollectTask[], inputs: Map<string, DedupInput[]>): Task[] {
  const tasks: Task[] = [];
  for (const [source, members] of Map.groupBy(collected, ({ unit }) => unit.source)) {
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

function processTask(
  recipe: Recipe,
  host: CorpusHost,
  unit: PlannedUnit,
  models: Readonly<Record<string, string>>,
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

function bare({ source, index, files, limit }: PlannedUnit): PlannedUnit | Extract<Task, { kind: 'process' }>['unit'] {
  return { source, index, files, ...(limit === undefined ? {} : { limit }) };
}

class PhaseRunner {
  made = 0;
  total = 0;
  readonly isFirstRank: boolean;
  private readonly host: CorpusHost;
  private readonly publisher: Publisher;
  private readonly workforce: Workforce;
  private readonly options: RunOptions;

  constructor(host: CorpusHost, publisher: Publisher, workforce: Workforce, options: RunOptions) {
    this.host = host;
    this.publisher = publisher;
    this.workforce = workforce;
    this.options = options;
    this.isFirstRank = (options.shard?.index ?? 0) === 0;
  }

  async phase(phase: string, tasks: readonly Task[]): Promise<void> {
    if (tasks.length === 0) return;
    const { index = 0, count = 1 } = this.options.shard ?? {};
    const pending = tasks.filter((task, i) => i % count === index && !this.isDone(task));
    this.total += tasks.length;
    this.options.onEvent?.({ kind: 'phase', phase, units: tasks.length, pending: pending.length });
    let done = 0;
    this.stopIfAborted();
    await this.workforce.run(pending, (task) => {
      this.made++;
      this.options.onEvent?.({ kind: 'unit', phase, unit: task.id, done: ++done, units: pending.length });
    });
    this.stopIfAborted();
    if (count > 1) await this.waitForOthers(phase, tasks);
  }

  publishTokens(manifest: TokenManifest, ids: readonly string[]): void {
    const names = ['manifest.json'];
    for (const [i, { file, endsFile }] of manifest.shards.entries()) {
      this.publisher.publish(ids[i]!, 'tokens.bin', `tokens/${file}`);
      this.publisher.publish(ids[i]!, 'ends.bin', `tokens/${endsFile}`);
      names.push(file, endsFile);
    }
    this.publisher.writeText('tokens/manifest.json', `${JSON.stringify(manifest, undefined, 1)}\n`);
    this.publisher.keepOnly('tokens', names);
  }

  private isDone(task: Task): boolean {
    return this.host.work.done(task.id)?.key === task.key;
  }

  private async waitForOthers(phase: string, tasks: readonly Task[]): Promise<void> {
    for (let missing = tasks; ; ) {
      missing = missing.filter((task) => !this.isDone(task));
      if (missing.length === 0) return;
      this.options.onEvent?.({ kind: 'waiting', phase, missing: missing.length });
      await this.publisher.sleep(POLL_MILLISECONDS);
      this.stopIfAborted();
    }
  }

  private stopIfAborted(): void {
    if (this.options.signal?.aborted)
      throw new CriaError('corpus.stopped', 'corpus: stopped; run the same command again to go on');
  }
}

/**
 * The part that a launcher gives this process: OpenMPI, MPICH and Slurm's job arrays say it in the environment, so that
 * `mpirun -np 8 cria corpus …` and `#SBATCH --array=0-7` need no option. Undefined outside of them.
 */
export function shardFromEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): { index: number; count: number; sharingMachine: number } | undefined {
  const number = (name: string): number | undefined => {
    const value = env[name];
    return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
  };
  for (const [rank, size, local] of [
    ['OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_SIZE'],
    ['PMI_RANK', 'PMI_SIZE', 'MPI_LOCALNRANKS'],
  ] as const) {
    const index = number(rank);
    const count = number(size);
    if (index !== undefined && count !== undefined && index < count)
      return { index, count, sharingMachine: number(local) ?? 1 };
  }
  const task = number('SLURM_ARRAY_TASK_ID');
  const first = number('SLURM_ARRAY_TASK_MIN') ?? 0;
  const count = number('SLURM_ARRAY_TASK_COUNT');
  if (task === undefined || count === undefined || !(task - first < count)) return undefined;
  return { index: task - first, count, sharingMachine: 1 };
}

/** '2/8' → index 2 of 8. Throws ConfigError. */
export function parseShard(text: string): { index: number; count: number } {
  const match = /^(\d+)\/(\d+)$/.exec(text);
  const index = Number(match?.[1]);
  const count = Number(match?.[2]);
  if (match && count >= 1 && index < count) return { index, count };
  throw new ConfigError('--shard', [`must be i/n with i from 0 to n − 1, got ${JSON.stringify(text)}`], 'corpus.shard');
}
