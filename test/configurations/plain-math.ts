/**
 * What the folder tests beside this compute models with: plain loops over rows of f64, one token after the other, whose tensors go by
 * the names of transformers. It shares nothing with src/.
 */

export type Row = readonly number[];
export interface Plain {
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);
export const silu = (x: number) => x / (1 + Math.exp(-x));
export const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
export const dot = (a: Row, b: Row) => a.reduce((sum, one, i) => sum + one * b[i]!, 0);
export const plus = (a: Row, b: Row) => a.map((one, i) => one + b[i]!);
export const scaled = (a: Row, by: number) => a.map((one) => one * by);

/** Row `i` of a matrix [O, I], or of the matrix `of` in a stack [X, O, I]. */
export function rowOf({ shape, values }: Plain, i: number, of = 0): number[] {
  const [rows, columns] = shape.slice(-2) as [number, number];
  return Array.from(Array.prototype.slice.call(values, (of * rows + i) * columns, (of * rows + i + 1) * columns));
}

/** y = W x (+ b), W [O, I]: torch's Linear. */
export function linear(x: Row, w: Plain, bias?: Plain): number[] {
  return range(w.shape[0]!).map((o) => dot(x, rowOf(w, o)) + (bias ? bias.values[o]! : 0));
}

/** y = x W, W one [I, O] of a stack [X, I, O]: torch's bmm. */
export function times(x: Row, w: Plain, of: number): number[] {
  const [I, O] = w.shape.slice(1) as [number, number];
  return range(O).map((o) => range(I).reduce((sum, i) => sum + x[i]! * w.values[(of * I + i) * O + o]!, 0));
}

export function rmsNorm(x: Row, gain: Plain | null, eps: number): number[] {
  const scale = 1 / Math.sqrt(dot(x, x) / x.length + eps);
  return x.map((one, i) => one * scale * (gain ? gain.values[i]! : 1));
}

/** Neighbouring channels are a pair. */
export function turnPairs(head: Row, angles: Row): number[] {
  return head.map((one, i) => {
    const angle = angles[i >> 1]!;
    return i % 2 === 0
      ? one * Math.cos(angle) - head[i + 1]! * Math.sin(angle)
      : head[i - 1]! * Math.sin(angle) + one * Math.cos(angle);
  });
}

/** Channel i and channel i + E/2 are a pair. */
export function turnHalves(head: Row, angles: Row): number[] {
  const half = head.length / 2;
  return head.map((one, i) => {
    const angle = angles[i % half]!;
    return i < half
      ? one * Math.cos(angle) - head[i + half]! * Math.sin(angle)
      : one * Math.cos(angle) + head[i - half]! * Math.sin(angle);
  });
}

export const headsOf = (x: Row, size: number) => range(x.length / size).map((h) => x.slice(h * size, (h + 1) * size));

/** One query head over the positions that it sees; `sink` takes part in the softmax and has no value. */
export function attend(query: Row, keys: readonly Row[], values: readonly Row[], sink?: number): number[] {
  const scores = keys.map((key) => dot(query, key) / Math.sqrt(query.length));
  const most = Math.max(...scores, sink ?? Number.NEGATIVE_INFINITY);
  const weights = scores.map((score) => Math.exp(score - most));
  const total = weights.reduce((a, b) => a + b, 0) + (sink === undefined ? 0 : Math.exp(sink - most));
  return query.map((_, e) => weights.reduce((sum, weight, s) => sum + (weight / total) * values[s]![e]!, 0));
}

/** The places of the largest `count`, largest first. */
export const largest = (x: Row, count: number) => range(x.length).sort((a, b) => x[b]! - x[a]!).slice(0, count); // biome-ignore format: one line
