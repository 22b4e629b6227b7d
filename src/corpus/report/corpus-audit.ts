/** The audit of the whole corpus: the units' audits summed by source, and what the mixture took. */
import type { CorpusHost } from '../pipeline/host.ts';
import type { Collected } from '../pipeline/kinds/dedup.ts';
import type { ProcessResult } from '../pipeline/kinds/process.ts';
import type { TokeniseResult } from '../pipeline/kinds/tokenise.ts';
import type { MadeTokens } from '../pipeline/run.ts';
import type { Task } from '../pipeline/task.ts';
import type { PlannedUnit } from '../pipeline/tasks.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { type Audit, emptyAudit, mergeAudit } from './audit.ts';
import { type Histograms, mergeHistograms } from './histogram.ts';

export interface SourceAudit {
  readonly audit: Audit;
  readonly measures: Histograms;
  readonly units: number;
  readonly inputBytes: number;
  /** Processor time of all units, reading included. */
  readonly seconds: number;
  readonly tokeniseSeconds: number;
  readonly tokens: number;
}

export interface CorpusAudit {
  readonly name: string;
  /** Documents read per file in a dry run. */
  readonly sample: number | null;
  readonly sources: Readonly<Record<string, SourceAudit>>;
  /** What the models were trained on. */
  readonly models: Readonly<Record<string, unknown>>;
  readonly mixture: readonly MixtureRow[];
  readonly tokenCount: number;
}

export interface MixtureRow {
  readonly source: string;
  readonly available: number;
  readonly tokens: number;
  readonly share: number;
  readonly epochs: number;
  readonly wantedEpochs: number;
}

export function corpusAudit(
  recipe: Recipe,
  host: CorpusHost,
  units: readonly PlannedUnit[],
  collected: readonly Extract<Task, { kind: 'collect' }>[],
  processed: readonly Extract<Task, { kind: 'process' }>[],
  made: MadeTokens | undefined,
): CorpusAudit {
  const sources: Record<string, SourceAudit> = {};
  for (const name of Object.keys(recipe.sources)) {
    const audit = emptyAudit();
    const measures: Histograms = {};
    let seconds = 0;
    // First what passes before have kept the books of, so that stages stand in the order of the chain.
    for (const task of collected) {
      if (task.unit.source !== name) continue;
      const result = host.work.done(task.id)!.result as Collected;
      mergeAudit(audit, result.audit);
      seconds += result.seconds;
    }
    for (const task of processed) {
      if (task.unit.source !== name) continue;
      const result = host.work.done(task.id)!.result as ProcessResult;
      mergeAudit(audit, result.audit);
      mergeHistograms(measures, result.measures);
      seconds += result.seconds;
    }
    let tokens = 0;
    let tokeniseSeconds = 0;
    for (const task of made?.tokenised ?? []) {
      if (task.unit.source !== name) continue;
      const result = host.work.done(task.id)!.result as TokeniseResult;
      // Languages were counted before; only the selection is new.
      mergeAudit(audit, { ...emptyAudit(), stages: result.audit.stages, problems: result.audit.problems });
      tokens += result.tokens;
      tokeniseSeconds += result.seconds;
    }
    const own = units.filter(({ source }) => source === name);
    sources[name] = {
      audit,
      measures,
      units: own.length,
      inputBytes: own.reduce((sum, { bytes }) => sum + bytes, 0),
      seconds,
      tokeniseSeconds,
      tokens,
    };
  }
  const manifest = made?.manifest;
  const mixture = Object.entries(manifest?.sources ?? {}).map(([source, { tokens, share, epochs }]) => ({
    source,
    tokens,
    share,
    epochs,
    available: made!.mix.supply[source]!,
    wantedEpochs: made!.mix.epochs[source]!,
  }));
  const trained = Object.entries(recipe.models).filter(([, { name }]) => name !== 'fasttext');
  return {
    name: recipe.name,
    sample: units.find(({ limit }) => limit !== undefined)?.limit ?? null,
    sources,
    models: Object.fromEntries(trained.map(([name]) => [name, host.work.done(`model/${name}`)?.result])),
    mixture,
    tokenCount: manifest?.tokenCount ?? 0,
  };
}
