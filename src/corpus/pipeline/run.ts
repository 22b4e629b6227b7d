/**
 * The whole corpus: phases of independent units of work, one after the other.
 *
 *   models → collect, merge (once per dedup stage) → process → tokenise → mix → shards → manifest, audit, report
 *
 * A unit is done when its record is there under the right key; the key is a digest of all that the unit is made from, input files
 * and upstream units included. So a second run does nothing, a changed threshold repeats what follows from it, and after a kill only the units in
 * flight are repeated. Every rank of `--shard i/n` takes each n-th unit of a phase and waits for the others' before the next.
 */
import type { TokenManifest } from '../mixture/shards.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { type CorpusAudit, corpusAudit } from '../report/corpus-audit.ts';
import { renderReport } from '../report/html.ts';
import { auditJson, timesOf } from '../report/times.ts';
import type { CorpusHost, Workforce } from './host.ts';
import { buildManifest } from './manifest.ts';
import type { MixResult } from './mix-task.ts';
import { PhaseRunner } from './phase-runner.ts';
import { collectTasks, mergeTasks, modelTasks, processTask } from './phases.ts';
import type { DedupInput, Task } from './task.ts';
import { digest, modelKeys, planUnits, unitName } from './tasks.ts';

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
    publisher.writeText('audit.json', auditJson(audit));
    publisher.writeText('times.json', `${JSON.stringify(timesOf(audit), undefined, 1)}\n`);
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
