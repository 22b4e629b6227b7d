/**
 * A text and its continuation as tokens, cut where the lm-evaluation-harness cuts them, and the scores of many such pairs.
 *
 * Source   lm-evaluation-harness 0.4, api/model.py `_encode_pair` and utils.py `get_rolling_token_windows`.
 */
import { ArgumentError } from '../base/errors.ts';
import type { Score } from '../inference/reading/scoring.ts';
import { rstrip, splitAtSpaces } from './python/text.ts';

export interface Request {
  readonly context: string;
  readonly continuation: string;
}

export interface TokenPair {
  readonly context: Uint32Array;
  readonly continuation: Uint32Array;
}

/** What evaluation needs of a model. */
export interface Scorer {
  /** Text to ids, with the beginning token where the model's files ask for one. */
  encode(text: string): Uint32Array;
  /** Stands for an empty context; null: none is known. */
  readonly prefixId: number | null;
  /** Longest sequence that the model reads. */
  readonly contextLength: number;
  score(context: Uint32Array, continuations: readonly Uint32Array[]): Promise<readonly Score[]>;
  /** Where texts are put into a conversation first; absent: encodePair. */
  pair?(request: Request): TokenPair;
}

/**
 * Spaces at the context's end go to the continuation, as vocabularies hold them at the beginning of words; then both are encoded as
 * one text, and the continuation is what comes after the tokens of the context alone.
 * Throws ArgumentError `evaluate.pair`.
 */
export function encodePair({ encode, prefixId }: Pick<Scorer, 'encode' | 'prefixId'>, request: Request): TokenPair {
  const context = rstrip(request.context);
  const spaces = request.context.slice(context.length);
  const whole = encode(context + spaces + request.continuation);
  if (context !== '') {
    const contextIds = encode(context);
    return checked(request, { context: contextIds, continuation: whole.subarray(contextIds.length) });
  }
  // Nothing before it: the beginning token stands for the context.
  const rest = whole[0] === prefixId ? whole.subarray(1) : whole;
  if (prefixId !== null) return checked(request, { context: Uint32Array.of(prefixId), continuation: rest });
  return checked(request, { context: rest.subarray(0, 1), continuation: rest.subarray(1) });
}

function checked(request: Request, pair: TokenPair): TokenPair {
  if (pair.context.length > 0 && pair.continuation.length > 0) return pair;
  throw new ArgumentError(
    'evaluate.pair',
    `evaluate: ${inWords(request)} has no token of its own, expected at least one. Give each choice some text.`,
  );
}

function inWords({ context, continuation }: Request): string {
  const show = (text: string) => JSON.stringify(text.length > 40 ? `…${text.slice(-40)}` : text);
  return `the continuation ${show(continuation)} after ${show(context)}`;
}

export const pairOf = (scorer: Scorer, request: Request): TokenPair =>
  scorer.pair ? checked(request, scorer.pair(request)) : encodePair(scorer, request);

/** How a pair that is longer than the context is met: refused, or without its beginning, as the harness does. */
export type LongPairs = 'refuse' | 'truncate';

export interface ScoredRequest extends Score {
  /** Tokens of the beginning that had no room. */
  readonly dropped: number;
}

/** Scores requests in order. Those of one context that follow each other are computed from one reading of it. */
export async function scoreRequests(
  scorer: Scorer,
  requests: readonly Request[],
  longPairs: LongPairs = 'refuse',
): Promise<ScoredRequest[]> {
  const results: ScoredRequest[] = [];
  const pairs = requests.map((request) => fit(request, pairOf(scorer, request), scorer.contextLength, longPairs));
  for (let from = 0; from < pairs.length; ) {
    const { context } = pairs[from]!;
    let to = from + 1;
    while (to < pairs.length && sameIds(pairs[to]!.context, context)) to++;
    const group = pairs.slice(from, to);
    const scores = await scorer.score(
      context,
      group.map(({ continuation }) => continuation),
    );
    results.push(...scores.map((score, i) => ({ ...score, dropped: group[i]!.dropped })));
    from = to;
  }
  return results;
}

/** The last token of a continuation is predicted and not read, so that a pair may be one token longer than the context. */
function fit(
  request: Request,
  pair: TokenPair,
  contextLength: number,
  longPairs: LongPairs,
): TokenPair & { readonly dropped: number } {
  const { context, continuation } = pair;
  const dropped = context.length + continuation.length - (contextLength + 1);
  if (dropped <= 0) return { ...pair, dropped: 0 };
  if (longPairs === 'truncate' && dropped < context.length) {
    return { context: context.subarray(dropped), continuation, dropped };
  }
  throw new ArgumentError(
    'evaluate.context',
    `evaluate: ${inWords(request)}: ${context.length} tokens and ${continuation.length}, expected at most ${contextLength + 1} together. ` +
      'Take a larger context, or let the beginning of such items be dropped (--truncate), as the lm-evaluation-harness does.',
  );
}

function sameIds(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}

/**
 * Every token of a text exactly once, each window but the first with at least `overlap` tokens before those that it scores: the first
 * after `prefixId` alone, the last one with what the others had no room for.
 */
export function rollingWindows(ids: Uint32Array, prefixId: number, contextLength: number, overlap = 1): TokenPair[] {
  const windows: TokenPair[] = [];
  const step = contextLength - overlap + 1;
  for (let from = 0; from < ids.length; from += windows.length === 1 ? contextLength : step) {
    const continuation = ids.slice(from, from + (from === 0 ? contextLength : step));
    const before =
      from === 0
        ? Uint32Array.of(prefixId)
        : ids.slice(Math.max(0, from + continuation.length - contextLength - 1), from);
    windows.push({ context: before, continuation });
  }
  return windows;
}

export interface RollingMetrics {
  readonly logLikelihood: number;
  /** exp of the mean −log p of a word, words being what white space separates. */
  readonly wordPerplexity: number;
  readonly bytePerplexity: number;
  readonly bitsPerByte: number;
}

/** The measures of texts by their log-likelihoods, comparable across tokenizers. */
export function rollingMetrics(
  documents: readonly { readonly text: string; readonly logLikelihood: number }[],
): RollingMetrics {
  let logLikelihood = 0;
  let words = 0;
  let bytes = 0;
  for (const document of documents) {
    logLikelihood += document.logLikelihood;
    words += splitAtSpaces(document.text).length; // as Python's re.split, which counts the empty ends too
    bytes += new TextEncoder().encode(document.text).length;
  }
  return {
    logLikelihood,
    wordPerplexity: Math.exp(-logLikelihood / words),
    bytePerplexity: Math.exp(-logLikelihood / bytes),
    bitsPerByte: -logLikelihood / bytes / Math.LN2,
  };
}
