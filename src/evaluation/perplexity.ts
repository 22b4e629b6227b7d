/**
 * Perplexity of a text: exp of the mean negative log-likelihood of its tokens, in one of two established ways, because the
 * number depends on how much context each token sees.
 *
 *   windows  llama.cpp: windows of n tokens side by side; the second half of each is scored; bos stands in for the first token
 *   stride   transformers: windows that overlap, each scoring the tokens that the last one had not seen
 *
 * Source   llama.cpp tools/perplexity; transformers docs, "Perplexity of fixed-length models".
 */
import { ArgumentError } from '../base/errors.ts';
import type { TokenScores } from '../inference/reading/scoring.ts';

/** log p of each of a window's targets, in nats. */
export type WindowScorer = (window: Window) => Promise<ArrayLike<number>>;

export interface Window {
  /** What the model sees. */
  readonly ids: Uint32Array;
  /** Neighbouring places of the window whose logits are scored, against `targets`. */
  readonly places: readonly number[];
  readonly targets: readonly number[];
  /** What the window's mean counts in the result. */
  readonly weight: number;
}

export interface Perplexity {
  readonly perplexity: number;
  /** Standard error of the perplexity, were the tokens independent. */
  readonly error: number;
  readonly tokens: number;
  readonly windows: number;
}

/** llama.cpp's windows. Throws ArgumentError when the text fills fewer than two. */
export function halfScoredWindows(ids: Uint32Array, size: number, bosId: number | null): Window[] {
  if (!(ids.length >= 2 * size)) {
    throw new ArgumentError(
      'perplexity.too-short',
      `perplexity: expected a text of at least two windows, 2 · ${size} tokens, found ${ids.length}. ` +
        'Take a longer text, or smaller windows with --context',
    );
  }
  const windows: Window[] = [];
  const first = Math.floor(size / 2);
  for (let start = 0; start + size <= ids.length; start += size) {
    const seen = ids.slice(start, start + size);
    if (bosId !== null) seen[0] = bosId;
    const places = Array.from({ length: size - 1 - first }, (_, i) => first + i);
    windows.push({ ids: seen, places, targets: places.map((place) => ids[start + place + 1]!), weight: places.length });
  }
  return windows;
}

/**
 * transformers' overlapping windows. A window after the first scores as many tokens as it has new ones, and counts one less, as
 * the published loop does (it takes the first of them for a token without a predecessor).
 */
export function overlappingWindows(ids: Uint32Array, size: number, stride: number): Window[] {
  const windows: Window[] = [];
  let scoredUpTo = 0;
  for (let begin = 0; begin < ids.length; begin += stride) {
    const end = Math.min(begin + size, ids.length);
    const fresh = end - scoredUpTo;
    const firstTarget = Math.max(1, end - begin - fresh);
    const places = Array.from({ length: end - begin - firstTarget }, (_, i) => firstTarget + i - 1);
    const targets = places.map((place) => ids[begin + place + 1]!);
    windows.push({ ids: ids.slice(begin, end), places, targets, weight: fresh - 1 });
    scoredUpTo = end;
    if (end === ids.length) break;
  }
  return windows.filter(({ places, weight }) => places.length > 0 && weight > 0);
}

/** Scores the windows one after the other; `onWindow` hears of the running result. */
export async function perplexity(
  windows: readonly Window[],
  logProbabilities: WindowScorer,
  onWindow: (done: number, soFar: Perplexity) => void = () => {},
): Promise<Perplexity> {
  let sum = 0;
  let squares = 0;
  let tokens = 0;
  let result: Perplexity = { perplexity: Number.NaN, error: Number.NaN, tokens: 0, windows: 0 };
  for (const [i, window] of windows.entries()) {
    const { places, weight } = window;
    const logs = await logProbabilities(window);
    let windowSum = 0;
    let windowSquares = 0;
    for (let k = 0; k < places.length; k++) {
      const nll = -logs[k]!;
      windowSum += nll;
      windowSquares += nll * nll;
    }
    sum += (windowSum / places.length) * weight;
    squares += (windowSquares / places.length) * weight;
    tokens += weight;
    const mean = sum / tokens;
    const variance = Math.max(0, squares / tokens - mean * mean);
    const value = Math.exp(mean);
    result = { perplexity: value, error: value * Math.sqrt(variance / (tokens - 1)), tokens, windows: i + 1 };
    onWindow(i + 1, result);
  }
  return result;
}

/** Scores windows as text is generated: through the engine, with its cache of keys and values. */
export function byScoring(
  score: (context: Uint32Array, continuations: readonly ArrayLike<number>[]) => Promise<readonly TokenScores[]>,
): WindowScorer {
  return async ({ ids, places, targets }) => {
    const [result] = await score(ids.subarray(0, places[0]! + 1), [targets]);
    return result!.logProbabilities;
  };
}
