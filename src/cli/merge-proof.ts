/** How near a merged model comes to the model with its adapters on. */
import type { Llama } from '../platform/node/index.ts';

const PROBE_TOKENS = 64;

/** A text that any vocabulary has tokens for, or, without a tokenizer, ids from all over the vocabulary. */
export function probeIds(model: Llama): Uint32Array {
  const { vocabSize, contextLength } = model.config;
  const count = Math.min(PROBE_TOKENS, contextLength, model.contextLength);
  const words =
    'Once upon a time a llama lived on a mountain. It asked: what is 12 + 30? "That is 42," said the fox, and went home by the river. ';
  const ids = model.hasTokenizer ? model.tokenizer.encode(words.repeat(4), { bos: model.tokenizer.addBos }) : null;
  if (ids && ids.length >= count) return ids.slice(0, count);
  return Uint32Array.from({ length: count }, (_, i) => (i * 7919) % vocabSize);
}

export interface LogitDifference {
  readonly tokens: number;
  /** Root of the mean square, and the largest, of merged − adapted; each row's mean taken away, which changes no probability. */
  readonly rms: number;
  readonly largest: number;
  /** The same of adapted − plain: what the adapter does. */
  readonly adapterRms: number;
  /** 1 − (rms / adapterRms)², at least 0: 1 where merged and adapted agree. */
  readonly keptShare: number;
  /** Rows whose likeliest token is the same. */
  readonly sameTop: number;
}

export function compareLogits(
  adapted: Float32Array,
  merged: Float32Array,
  plain: Float32Array,
  vocabSize: number,
): LogitDifference {
  const tokens = adapted.length / vocabSize;
  let [squares, adapterSquares, largest, sameTop] = [0, 0, 0, 0];
  for (let row = 0; row < tokens; row++) {
    const part = (logits: Float32Array) => centred(logits.subarray(row * vocabSize, (row + 1) * vocabSize));
    const [a, m, p] = [part(adapted), part(merged), part(plain)];
    for (let v = 0; v < vocabSize; v++) {
      const off = Math.abs(m[v]! - a[v]!);
      squares += off ** 2;
      largest = Math.max(largest, off);
      adapterSquares += (a[v]! - p[v]!) ** 2;
    }
    if (likeliest(a) === likeliest(m)) sameTop++;
  }
  const count = adapted.length;
  const keptShare = adapterSquares === 0 ? Number(squares === 0) : Math.max(0, 1 - squares / adapterSquares);
  const [rms, adapterRms] = [Math.sqrt(squares / count), Math.sqrt(adapterSquares / count)];
  return { tokens, rms, largest, adapterRms, keptShare, sameTop };
}

function centred(row: Float32Array): Float64Array {
  const mean = row.reduce((sum, x) => sum + x, 0) / row.length;
  return Float64Array.from(row, (x) => x - mean);
}

function likeliest(row: Float64Array): number {
  let best = 0;
  for (let v = 1; v < row.length; v++) if (row[v]! > row[best]!) best = v;
  return best;
}
