/**
 * Speed as llama-bench measures it: random tokens, one warm-up, then some repeats; tokenizing is not counted. The clock is the
 * engine's own, in its worker.
 *
 *   pp N        a prompt of N tokens is read
 *   tg N        N tokens are generated after one token
 *   pp N+tg M   both, timed together
 *   tg N@S      S sequences at once generate N tokens each; the rate is of all together
 *   @ d D       after D tokens of context, which are not timed
 */
import { Random } from '../../base/random.ts';
import type { Llama } from '../../platform/node/index.ts';

export interface Test {
  readonly prompt: number;
  readonly generate: number;
  readonly depth: number;
  /** Sequences that generate at the same time. */
  readonly sequences: number;
}

export interface Measured extends Test {
  readonly samplesNs: readonly number[];
}

/** 'pp128', 'tg32', 'tg32@4', 'pp128+tg32', 'pp128 @ d512' */
export function testName({ prompt, generate, depth, sequences }: Test): string {
  const together = sequences > 1 ? `@${sequences}` : '';
  const parts = [prompt > 0 ? `pp${prompt}` : '', generate > 0 ? `tg${generate}${together}` : ''].filter(
    (part) => part !== '',
  );
  return `${parts.join('+')}${depth > 0 ? ` @ d${depth}` : ''}`;
}

/** All combinations: every prompt, every generation (by so many sequences) and every pair, at every depth. */
export function planTests(
  prompts: readonly number[],
  generations: readonly number[],
  pairs: readonly (readonly [number, number])[],
  depths: readonly number[],
  sequences: readonly number[] = [1],
): Test[] {
  return depths.flatMap((depth) => [
    ...prompts.filter((count) => count > 0).map((prompt) => ({ prompt, generate: 0, depth, sequences: 1 })),
    ...generations
      .filter((count) => count > 0)
      .flatMap((generate) => sequences.map((count) => ({ prompt: 0, generate, depth, sequences: count }))),
    ...pairs.map(([prompt, generate]) => ({ prompt, generate, depth, sequences: 1 })),
  ]);
}

/** The longest sequence that a test needs. */
export function contextOf({ prompt, generate, depth }: Test): number {
  return depth + Math.max(1, prompt) + generate + 1;
}

/** Every call draws tokens of its own: the engine remembers prompts, and must not know these. */
let calls = 0;

export async function measure(
  model: Llama,
  test: Test,
  repeats: number,
  signal: AbortSignal,
  {
    warmUp = true,
    onRepeat = () => {},
  }: { readonly warmUp?: boolean; readonly onRepeat?: (done: number) => void } = {},
): Promise<Measured> {
  const { vocabSize } = model.config;
  const random = new Random(++calls);
  const tokens = (count: number) => Uint32Array.from({ length: count }, () => random.below(vocabSize));
  const past = tokens(test.depth);
  const samplesNs: number[] = [];
  for (let repeat = warmUp ? -1 : 0; repeat < repeats; repeat++) {
    signal.throwIfAborted();
    const prompts = Array.from({ length: test.sequences }, () =>
      Uint32Array.of(...past, ...tokens(Math.max(1, test.prompt))),
    );
    if (test.depth > 0) await model.generate(past, { maxTokens: 0 }).result;
    const options = {
      // The first token comes with the prompt's last logits; every further one is a step.
      maxTokens: test.generate === 0 ? 0 : test.generate + 1,
      temperature: 0,
      ignoreEos: true,
      signal,
    };
    const results = await Promise.all(prompts.map((ids) => model.generate(ids, options).result));
    signal.throwIfAborted();
    if (repeat >= 0) samplesNs.push(Math.max(...results.map(({ timings }) => timeOf(test, timings))) * 1e6);
    onRepeat(repeat + 1);
  }
  return { ...test, samplesNs };
}

/** Milliseconds of what the test counts. A few tokens at the end of the context are read again; the rest is not charged for them. */
function timeOf(test: Test, timings: { prompt_n: number; prompt_ms: number; predicted_ms: number }): number {
  const promptMs = test.prompt > 0 ? (timings.prompt_ms * test.prompt) / timings.prompt_n : 0;
  return promptMs + (test.generate > 0 ? timings.predicted_ms : 0);
}
