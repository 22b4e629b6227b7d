/** Answers that the model draws, and what is noticed of them. */
import type { EncodedPrompt } from '../data/collect.ts';
import type { Sequence } from './policy.ts';

export interface DrawnAnswer {
  /** With the token that ended it, where one did. */
  readonly ids: Uint32Array;
  readonly isEnded: boolean;
  readonly text: string;
}

/** Draws answers, many at a time; the same seeds and weights give the same answers. */
export interface Sampler {
  draw(
    requests: readonly { readonly ids: Uint32Array; readonly seed: number }[],
    options: { readonly maxTokens: number; readonly temperature: number },
  ): Promise<DrawnAnswer[]>;
}

export interface Rollout {
  readonly prompt: EncodedPrompt;
  readonly answer: DrawnAnswer;
  /** Prompt and answer; the answer's tokens are the targets. */
  readonly sequence: Sequence;
}

/** `count` answers to each prompt, one prompt's answers beside each other. */
export async function drawRollouts(
  sampler: Sampler,
  prompts: readonly EncodedPrompt[],
  { count, seed, ...options }: { count: number; seed: number; maxTokens: number; temperature: number },
): Promise<Rollout[]> {
  const requests = prompts.flatMap((prompt, i) =>
    Array.from({ length: count }, (_, k) => ({ prompt, ids: prompt.ids, seed: seedOf(seed, i * count + k) })),
  );
  const answers = await sampler.draw(requests, options);
  return answers.map((answer, i) => ({
    prompt: requests[i]!.prompt,
    answer,
    sequence: sequenceOf(requests[i]!.ids, answer.ids),
  }));
}

export function sequenceOf(prompt: Uint32Array, answer: Uint32Array): Sequence {
  const ids = new Uint32Array(prompt.length + answer.length);
  ids.set(prompt);
  ids.set(answer, prompt.length);
  return { ids, carries: new Uint8Array(ids.length).fill(1, prompt.length) };
}

/** Different answers get different random numbers, whatever their number. */
function seedOf(seed: number, index: number): number {
  return (Math.imul(seed ^ (index + 0x9e3779b9), 0x85ebca6b) >>> 0) * 1024 + (index % 1024);
}

/** What answers look like, in numbers. */
export function looksOf(rollouts: readonly Rollout[]): { length: number; ended: number; repetition: number } {
  const mean = (of: (rollout: Rollout) => number) =>
    rollouts.reduce((sum, rollout) => sum + of(rollout), 0) / rollouts.length;
  return {
    length: mean(({ answer }) => answer.ids.length),
    ended: mean(({ answer }) => (answer.isEnded ? 1 : 0)),
    repetition: mean(({ answer }) => repetitionOf(answer.ids)),
  };
}

/** The share of an answer's runs of four tokens that it held before. */
export function repetitionOf(ids: Uint32Array): number {
  const seen = new Set<string>();
  let repeated = 0;
  for (let i = 0; i + 4 <= ids.length; i++) {
    const run = ids.subarray(i, i + 4).join(' ');
    if (seen.has(run)) repeated++;
    seen.add(run);
  }
  return ids.length < 4 ? 0 : repeated / (ids.length - 3);
}

export interface Looks {
  readonly length: number;
  readonly ended: number;
  readonly repetition: number;
  readonly entropy: number;
  readonly kl: number;
}

/** What looks as if the policy were collapsing, in words; of what is not measured nothing is said. */
export function alarmsOf({
  ended = 1,
  repetition = 0,
  entropy = Number.POSITIVE_INFINITY,
  kl = 0,
}: Partial<Looks>): string[] {
  const alarms: string[] = [];
  if (ended < 0.5) alarms.push(`only ${percent(ended)} of the answers have an end`);
  if (repetition > 0.3) alarms.push(`${percent(repetition)} of the answers' word runs repeat earlier ones`);
  if (entropy < 0.05)
    alarms.push(`the answers are nearly certain (${entropy.toFixed(3)} nats a token): the policy is collapsing`);
  if (kl > 50) alarms.push(`the KL of an answer to the reference is ${kl.toFixed(0)} nats`);
  return alarms;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}
