/** How near one model's logits come to another's, against a third: a merged model, model and adapter, and the model alone. */

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
