/**
 * The whole corpus: phases of independent units of work, one after the other.
 *
 *   models → collect, merge (once per dedup stage) → process → tokenise → mix → buckets → shards → manifest, audit, report
 *
 * A unit is done when its record is there under the right key; the key is a digest of all that the unit is made from, input files
 * and upstream units included. So a second run does nothing, a changed threshold repeats what follows from it, and after a kill only the units in
 * flight are repeated. Any number of processes may run the same recipe over one work folder: they share the units (phase-runner.ts).
 */
import type { TokenManifest } from '../mixture/shards.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { type CorpusAudit, corpusAudit } from '../report/corpus-audit.ts';
import { renderReport } from '../report/html.ts';
import { auditTables } from '../report/parquet.ts';
import { auditJson, timesOf } from '../report/times.ts';
import { type CorpusHost, isGivenUp, type Workforce } from './host.ts';
import type { MixResult } from './kinds/mix.ts';
import { buildManifest } from './manifest.ts';
import { PhaseRunner } from './phase-runner.ts';
import { collectTasks, type LastKept, mergeTasks, modelTasks, processTask } from './phases.ts';
import type { DedupInput, Task, TaskOf, TokenisedUnit } from './task.ts';
import { digest, type ModelKeys, modelKeys, type PlannedUnit, planUnits, shardId, unitId } from './tasks.ts';

/** Where results are put for people and the trainer, beside the work folder. */
export interface Publisher {
  /** Makes a unit's file appear under this name, without copying where the file system can. */
  publish(id: string, file: string, name: string): void;
  /** Writes a file whole or not at all; does nothing when it already holds this text. */
  writeText(name: string, text: string): void;
  /** As writeText. */
  writeBytes(name: string, bytes: Uint8Array): void;
  /** Removes published files below `folder`, in its own folders too, that are not among `names`. */
  keepOnly(folder: string, names: readonly string[]): void;
  sleep(milliseconds: number): Promise<void>;
}

export interface RunOptions {
  /** Dry run: so many documents of each input file, no tokens. */
  readonly sample?: number;
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
  | {
      readonly kind: 'failed';
      readonly phase: string;
      readonly unit: string;
      readonly failures: number;
      readonly reason: string;
    }
  | { readonly kind: 'waiting'; readonly phase: string; readonly missing: number };

export interface CorpusSummary {
  readonly audit: CorpusAudit;
  /** Units that this call made; 0 when everything was there. */
  readonly unitsMade: number;
  readonly units: number;
  readonly manifest: TokenManifest | undefined;
}

export async function runCorpus(
  recipe: Recipe,
  host: CorpusHost,
  publisher: Publisher,
  workforce: Workforce,
  options: RunOptions = {},
): Promise<CorpusSummary> {
  const units = planUnits(recipe, host, options.sample);
  const models = modelKeys(recipe, host);
  // Needed last; that it is not there is said before hours of work. A dry run makes no tokens.
  if (recipe.tokens && options.sample === undefined) host.tokenizer(recipe.tokens.tokenizer);
  const membership = host.work.claims.join(digest([recipe, units.map((unit) => unit.digest), models]));
  try {
    return await runPhases(
      recipe,
      host,
      publisher,
      new PhaseRunner(host, publisher, workforce, options),
      units,
      models,
      options,
    );
  } finally {
    membership.leave();
  }
}

async function runPhases(
  recipe: Recipe,
  host: CorpusHost,
  publisher: Publisher,
  runner: PhaseRunner,
  units: readonly PlannedUnit[],
  models: ModelKeys,
  options: RunOptions,
): Promise<CorpusSummary> {
  await runner.phase('models', modelTasks(recipe, models));
  const collected: TaskOf<'collect'>[] = [];
  const dedupInputs = new Map<string, DedupInput[]>();
  const kept = new Map<string, LastKept>();
  for (let round = 0; ; round++) {
    const collect = collectTasks(recipe, host, units, models, dedupInputs, kept, round);
    if (collect.length === 0) break;
    collected.push(...collect);
    await runner.phase(`collect ${round + 1}`, collect);
    for (const tasks of mergeTasks(recipe, host, collect, dedupInputs)) await runner.phase(`merge ${round + 1}`, tasks);
  }
  const processed = units.map((unit) => processTask(recipe, host, unit, models, dedupInputs, kept));
  await runner.phase('process', processed);
  const manifest =
    recipe.tokens && options.sample === undefined ? await makeTokens(recipe, host, runner, processed) : undefined;

  const audit = corpusAudit(recipe, host, units, collected, processed, manifest);
  await runner.alone(() => {
    publisher.writeText('audit.json', auditJson(audit));
    publisher.writeText('times.json', `${JSON.stringify(timesOf(audit), undefined, 1)}\n`);
    publisher.writeText('report.html', renderReport(audit));
    runner.publishTables(auditTables(audit), processed);
  });
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
    id: unitId('tokenise', task.unit),
    key: digest([
      isGivenUp(host.work.done(task.id)) ? `${task.key} given up` : task.key,
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
    tokenised.map(({ id, key }) => (isGivenUp(host.work.done(id)) ? `${key} given up` : key)),
    shares,
    settings.mixture,
    settings.total ?? null,
    settings.shardTokens,
  ]);
  const mixTask = { kind: 'mix' as const, id: 'mix/plan', key: mixKey, tokenised: inputs };
  await runner.phase('mix', [mixTask]);
  const mix = host.work.done(mixTask.id)!.result as MixResult;
  const { buckets, shards } = shuffleTasks(recipe, mixTask, mix.shardCount, inputs);
  const shardsOf = (task: Task) => shards.filter(({ bucket }) => bucket === task.id);
  await runner.phase('buckets', buckets, (task) => shardsOf(task).some((shard) => !runner.isDone(shard)));
  await runner.phase('shards', shards);
  await runner.alone(() => host.work.remove('bucket'));
  const manifest = buildManifest(
    recipe,
    host,
    tokenizer,
    mix,
    shards.map(({ id }) => id),
  );
  await runner.alone(() =>
    runner.publishTokens(
      manifest,
      shards.map(({ id }) => id),
    ),
  );
  return { manifest, mix, tokenised };
}

/** √shards buckets of √shards shards. */
function shuffleTasks(
  recipe: Recipe,
  mix: { readonly id: string; readonly key: string },
  shardCount: number,
  tokenised: readonly TokenisedUnit[],
): { buckets: TaskOf<'bucket'>[]; shards: TaskOf<'shard'>[] } {
  const perBucket = Math.ceil(Math.sqrt(shardCount));
  const buckets: TaskOf<'bucket'>[] = [];
  for (let firstShard = 0; firstShard < shardCount; firstShard += perBucket) {
    const endShard = Math.min(shardCount, firstShard + perBucket);
    const id = `bucket/${String(buckets.length).padStart(5, '0')}`;
    const key = digest(['bucket', mix.key, firstShard, endShard]);
    buckets.push({ kind: 'bucket', id, key, firstShard, endShard, shardCount, mix: mix.id, tokenised });
  }
  const sources = Object.keys(recipe.sources);
  const shards = Array.from({ length: shardCount }, (_, shard) => ({
    kind: 'shard' as const,
    id: shardId(shard),
    key: digest([mix.key, shard]),
    shard,
    bucket: buckets[Math.floor(shard / perBucket)]!.id,
    sources,
  }));
  return { buckets, shards };
}
