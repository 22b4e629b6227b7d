import { LotteryHistogram, planEpochs, type SourceDraw } from '../../mixture/mix.ts';
import { readAll, type TaskContext } from '../environment.ts';
import type { TaskOf } from '../task.ts';
import type { TokeniseResult } from './tokenise.ts';

export interface MixResult {
  readonly draws: Readonly<Record<string, SourceDraw>>;
  readonly epochs: Readonly<Record<string, number>>;
  readonly supply: Readonly<Record<string, number>>;
  readonly shardCount: number;
}

/** Decides the mixture from what every source has. Reads one small histogram of each unit of the sources that give a part of an epoch. */
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
    const histogram = new LotteryHistogram();
    for (const { id } of rest < 1 ? [] : task.tokenised.filter(({ source }) => source === name)) {
      const bytes = readAll(host.work.open(id, 'lottery.bin'));
      histogram.addEncoded(new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4));
    }
    draws[name] = { whole, threshold: rest < 1 ? 0 : histogram.threshold(rest) };
    total += passes * tokens;
  }
  return { draws, epochs, supply, shardCount: Math.max(1, Math.ceil(total / settings.shardTokens)) };
}
