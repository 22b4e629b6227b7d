/**
 * Trains a SentencePiece unigram vocabulary: from many seeds, expectation–maximisation gives each piece a probability, and the pieces whose loss hurts the
 * likelihood least go, a quarter at a time, until few more than wanted are left. LLaMA's other settings are those of trainSentencePieceBpe.
 *
 *   E  expected count of a piece = Σ over words of its share of all ways to cut the word
 *   M  score = digamma(count) − digamma(Σ counts), which is variational Bayes: rare pieces lose most; below half an occurrence a piece goes
 *   loss of a piece = count · (log p(piece) − log p(what its words would be cut into instead))
 *
 * Sums are f64, where sentencepiece has f32: of pieces that are nearly equal another one may stay.
 * Source   Kudo 2018, arXiv:1804.10959 §3.2; sentencepiece unigram_model_trainer.cc.
 */
import { PieceKind } from '../../vocabulary.ts';
import type { OnTrainProgress } from '../progress.ts';
import {
  checkOptions,
  countWords,
  llamaTrainDefaults,
  metaPieces,
  requiredCharacters,
  type SentencePieceTrainOptions,
  type TrainedSentencePiece,
  tooFewPieces,
  wantedPieces,
} from '../sentencepiece-trainer.ts';
import { isBeforeByCodePoint } from '../text-order.ts';
import { Lattice } from './lattice.ts';
import { LAST_OF_LINE, plainWords, seedPieces } from './seeds.ts';

const MAX_SEEDS = 1_000_000;
const SUB_ITERATIONS = 2;
const LEAST_EXPECTED = 0.5;
const KEPT_SHARE = 0.75;
/** Pruning stops so far above the wanted size; the best pieces of these are taken. */
const SPARE = 1.1;
/** What sets required characters without a piece apart from one another. */
const REQUIRED_STEP = 0.0001;
/** Words between two calls of onProgress. */
const STEP = 10_000;

interface Model {
  readonly pieces: readonly string[];
  readonly scores: Float64Array;
}

export async function trainSentencePieceUnigram(
  sentences: Iterable<string> | AsyncIterable<string>,
  trainOptions: SentencePieceTrainOptions,
  onProgress: OnTrainProgress = () => {},
): Promise<TrainedSentencePiece> {
  const options = { ...llamaTrainDefaults, ...trainOptions };
  checkOptions(options);
  const { words, ...read } = await countWords(sentences, options, onProgress, LAST_OF_LINE);
  const characters = requiredCharacters(words.counts, options.characterCoverage, LAST_OF_LINE);
  const wanted = wantedPieces(options.vocabSize, characters.size);
  const texts = [...plainWords(words.counts, characters)];
  await onProgress({ stage: 'seeding', done: 0, total: 1 });
  let model: Model = seedPieces(words.counts, characters, options.maxPieceLength, MAX_SEEDS);
  await onProgress({ stage: 'seeding', done: 1, total: 1 });
  const enough = Math.floor(options.vocabSize * SPARE);
  const rounds = 1 + Math.max(0, Math.ceil(Math.log(enough / model.pieces.length) / Math.log(KEPT_SHARE)));
  for (let round = 0; ; round++) {
    for (let i = 0; i < SUB_ITERATIONS; i++) model = await reestimate(model, texts, onProgress, round, rounds);
    if (model.pieces.length <= enough) break;
    model = prune(model, texts, enough);
  }
  await onProgress({ stage: 'pruning', done: rounds, total: rounds });
  const pieces = chooseFinal(model, characters, wanted + characters.size);
  const short = wanted + characters.size - pieces.length;
  if (short > 0 && options.hardVocabLimit) throw tooFewPieces(options.vocabSize, options.vocabSize - short);
  return {
    modelType: 'unigram',
    pieces: [...metaPieces, ...pieces],
    options,
    ...read,
    prunedWords: words.prunedWords,
    prunedOccurrences: words.prunedOccurrences,
  };
}

/** One step of expectation and maximisation. */
async function reestimate(
  { pieces, scores }: Model,
  texts: readonly (readonly [text: string, count: number])[],
  onProgress: OnTrainProgress,
  round: number,
  rounds: number,
): Promise<Model> {
  const lattice = new Lattice(pieces, scores);
  const expected = new Float64Array(pieces.length);
  for (const [i, [text, count]] of texts.entries()) {
    lattice.lay(text);
    lattice.addExpected(expected, count);
    if (i % STEP === 0) await onProgress({ stage: 'pruning', done: Math.min(round, rounds - 1), total: rounds });
  }
  const kept = pieces.flatMap((piece, id) =>
    expected[id]! >= LEAST_EXPECTED ? [{ piece, count: expected[id]! }] : [],
  );
  const logSum = digamma(kept.reduce((sum, { count }) => sum + count, 0));
  return {
    pieces: kept.map(({ piece }) => piece),
    scores: Float64Array.from(kept, ({ count }) => digamma(count) - logSum),
  };
}

/** Keeps the pieces that cannot be cut, and of the others those whose loss would be greatest. */
function prune({ pieces, scores }: Model, texts: readonly (readonly [string, number])[], enough: number): Model {
  const lattice = new Lattice(pieces, scores);
  const counts = new Float64Array(pieces.length);
  for (const [text, count] of texts) {
    lattice.lay(text);
    for (const id of lattice.best(false)!) counts[id]! += count;
  }
  const sum = counts.reduce((total, count) => total + count, 0);
  const kept: number[] = [];
  const losses: { readonly id: number; readonly loss: number }[] = [];
  for (const [id, piece] of pieces.entries()) {
    lattice.lay(piece);
    const instead = lattice.best(true);
    if (instead === null) {
      if (counts[id]! > 0) kept.push(id);
      continue;
    }
    if (lattice.best(false)!.length > 1 || counts[id] === 0) continue; // it would be cut anyway, or never is used
    const logProbability = Math.log(counts[id]!) - Math.log(sum);
    // The sum grows by the pieces instead of this one. (Versions of sentencepiece before 0.2 and the tokenizers library count the whole vocabulary here.)
    const logSumInstead = Math.log(sum + counts[id]! * (instead.length - 1));
    const logInstead = instead.reduce(
      (total, each) => total + Math.log(counts[each]! + counts[id]!) - logSumInstead,
      0,
    );
    losses.push({ id, loss: counts[id]! * (logProbability - logInstead) });
  }
  const size = Math.max(enough, Math.floor(KEPT_SHARE * pieces.length));
  losses.sort((a, b) => b.loss - a.loss || a.id - b.id);
  for (const { id } of losses.slice(0, Math.max(0, size - kept.length))) kept.push(id);
  return { pieces: kept.map((id) => pieces[id]!), scores: Float64Array.from(kept, (id) => scores[id]!) };
}

/** The required characters, then the most probable pieces, up to `count`; in order of their scores. */
function chooseFinal({ pieces, scores }: Model, characters: ReadonlyMap<string, number>, count: number) {
  const chosen = new Map<string, number>();
  const known = new Map(pieces.map((piece, id) => [piece, scores[id]!]));
  const lowest = scores.reduce((low, score) => Math.min(low, score), 0);
  let penalty = 0;
  for (const character of characters.keys()) {
    const score = known.get(character);
    if (score === undefined) penalty += REQUIRED_STEP;
    chosen.set(character, score ?? lowest + penalty - REQUIRED_STEP);
  }
  const inOrder = (all: ReadonlyMap<string, number>) =>
    [...all].sort(([a, scoreA], [b, scoreB]) => scoreB - scoreA || (isBeforeByCodePoint(a, b) ? -1 : 1));
  for (const [piece, score] of inOrder(known)) {
    if (chosen.size >= count) break;
    if (!chosen.has(piece)) chosen.set(piece, score);
  }
  return inOrder(chosen).map(([piece, score]) => ({ piece, score: Math.fround(score), kind: PieceKind.normal }));
}

/** d/dx log Γ(x), by its recurrence up to 7 and an asymptotic series from there. Source: Abramowitz & Stegun 6.3.5, 6.3.18 (at x − 1/2). */
export function digamma(x: number): number {
  let result = 0;
  for (; x < 7; x++) result -= 1 / x;
  const inverse = 1 / (x - 0.5);
  const square = inverse * inverse;
  return (
    result + Math.log(x - 0.5) + square * (1 / 24 - square * (7 / 960 - square * (31 / 8064 - square * (127 / 30720))))
  );
}
