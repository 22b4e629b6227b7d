import type { Floats } from '../../tensor/tensor.ts';

/** The polynomial of a Newton–Schulz step, steep at zero: after NEWTON_SCHULZ_STEPS of them singular values lie near 1. */
export const NEWTON_SCHULZ = { a: 3.4445, b: -4.775, c: 2.0315 } as const;
export const NEWTON_SCHULZ_STEPS = 5;
/** Makes the update about as long as AdamW's, so that learning rate and decay carry over. */
export const MUON_SCALE = 0.2;

export interface MuonStep {
  readonly learningRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly gradientScale: number;
}

/**
 * Muon: momentum whose singular values are all brought near 1, for the matrices of the blocks.
 *
 *   g ← g · gradientScale          m ← μ m + (1 − μ) g          u = μ m + (1 − μ) g       (Nesterov)
 *   X = u / ‖u‖;  5 times:  A = X Xᵀ,  X ← a X + (b A + c A²) X        (Xᵀ for tall matrices)
 *   p ← p · (1 − lr · decay) − lr · 0.2 · √max(R, C) · X
 *
 * Shapes   p, g, m: R × C
 * Source   Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; the scale: Liu et al. 2025, arXiv:2502.16982 §2.2.
 */
export function muon(p: Floats, g: Floats, m: Floats, rows: number, columns: number, step: MuonStep): void {
  const { learningRate, momentum, weightDecay, gradientScale } = step;
  const u = new Float64Array(m.length);
  for (let i = 0; i < m.length; i++) {
    const gradient = g[i]! * gradientScale;
    m[i] = momentum * m[i]! + (1 - momentum) * gradient;
    u[i] = momentum * m[i]! + (1 - momentum) * gradient;
  }
  const x = orthogonalize(u, rows, columns);
  const rate = learningRate * MUON_SCALE * Math.sqrt(Math.max(rows, columns));
  for (let i = 0; i < p.length; i++) p[i] = p[i]! * (1 - learningRate * weightDecay) - rate * x[i]!;
}

/** A matrix with the singular vectors of u, and singular values near 1. */
export function orthogonalize(u: Floats, rows: number, columns: number): Float64Array {
  const isTall = rows > columns;
  const [R, C] = isTall ? [columns, rows] : [rows, columns];
  let squares = 0;
  for (const value of u) squares += value * value;
  const norm = Math.sqrt(squares) + 1e-7;
  let x = Float64Array.from({ length: R * C }, (_, i) => {
    const [r, c] = [Math.floor(i / C), i % C];
    return u[isTall ? c * columns + r : i]! / norm;
  });
  const { a, b, c: c2 } = NEWTON_SCHULZ;
  for (let step = 0; step < NEWTON_SCHULZ_STEPS; step++) {
    const gram = product(
      R,
      R,
      C,
      (i, k) => x[i * C + k]!,
      (k, j) => x[j * C + k]!,
    );
    const square = product(
      R,
      R,
      R,
      (i, k) => gram[i * R + k]!,
      (k, j) => gram[k * R + j]!,
    );
    const polynomial = gram.map((value, i) => b * value + c2 * square[i]!);
    const change = product(
      R,
      C,
      R,
      (i, k) => polynomial[i * R + k]!,
      (k, j) => x[k * C + j]!,
    );
    x = x.map((value, i) => a * value + change[i]!);
  }
  if (!isTall) return x;
  return Float64Array.from({ length: x.length }, (_, i) => x[(i % columns) * C + Math.floor(i / columns)]!);
}

function product(
  M: number,
  N: number,
  K: number,
  left: (i: number, k: number) => number,
  right: (k: number, j: number) => number,
): Float64Array {
  const out = new Float64Array(M * N);
  for (let i = 0; i < M; i++) {
    for (let j = 0; j < N; j++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += left(i, k) * right(k, j);
      out[i * N + j] = sum;
    }
  }
  return out;
}
