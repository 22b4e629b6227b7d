import { findThreshold, planEpochs, type SourceDraw } from '../mixture/mix.ts';
import { type IndexEntry, TokenIndex } from '../mixture/token-index.ts';
import type { TaskContext } from './environment.ts';
import type { TaskOf } from './task.ts';
import type { TokeniseResult } from './tokenise-task.ts';

export interface MixResult {
  readonly draws: Readonly<Record<string, SourceDraw>>;
  readonly epochs: Readonly<Record<string, number>>;
  readonly supply: Readonly<Record<string, number>>;
  readonly shardCount: number;
}

/** Decides the mixture from what every source has. */
export function mixSources(task: TaskOf<'mix'>, { recipe, host }: TaskContext): MixResult {
  const settings = recipe.tokens!;
  const supply: Record<string, number> = Object.fromEntries(Object.keys(recipe.sources).map((name) => [name, 0]));
  for (const { id, source } of task.tokenised) supply[source]! += (host.work.done(id)!.result as TokeniseResult).tokens;
  const sources = Object.entries(recipe.sources).map(([name, { weight, epochs }]) => ({
    name,
    weight,
    epochs,
    tokens: supply[name]!,
  }));
  const epochs = planEpochs(sources, settings.mixture, settings.total);
  const draws: Record<string, SourceDraw> = {};
  let total = 0;
  for (const { name, tokens } of sources) {
    const passes = epochs[name]!;
    const whole = Math.floor(passes + 1e-9);
    const rest = Math.max(0, passes - whole) * tokens;
    const units = task.tokenised.filter(({ source }) => source === name);
    const eachDocument = (visit: (entry: IndexEntry) => void) => {
      for (const { id } of units) eachEntry(id, host, visit);
    };
    const threshold = rest < 1 ? 0 : findThreshold(rest, eachDocument);
    draws[name] = { whole, threshold };
    total += passes * tokens;
  }
  return { draws, epochs, supply, shardCount: Math.max(1, Math.ceil(total / settings.shardTokens)) };
}

function eachEntry(id: string, host: TaskContext['host'], visit: (entry: IndexEntry) => void): void {
  const index = new TokenIndex(host.work.open(id, 'index.bin'));
  index.each(0, 2 ** 32, visit);
  index.close();
}
