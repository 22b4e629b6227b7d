/**
 * What fast attention never holds: every score of every head, their softmax, and each head's part of the result. Made by the device's
 * ordinary products out of the rotated queries, the keys and the mix.
 */
import { assert } from '../../base/assert.ts';
import type { Device } from '../../devices/device.ts';
import { bendScore } from '../../kernels/attention/reference.ts';
import type { Batch } from '../../kernels/batch.ts';
import type { AttentionOptions } from '../../kernels/ops.ts';
import { logSumExp, softmax } from '../../kernels/softmax/reference.ts';
import { columnCount, type Floats, rowCount, type Tensor } from '../../tensor/tensor.ts';
import type { Trace } from '../observe.ts';

/** Queries of one product: they meet the keys up to the last of them only, and the arena need not hold more. */
const QUERIES_AT_ONCE = 64;

interface MapSlice {
  readonly rows_R: Uint32Array;
  readonly heads: Uint32Array;
}

/**
 * score_hns = bend(q_nh · k_sg), g the key head of query head h; −∞ where query n may not look at key s.
 *
 * Shapes  heads × R × N, in the order of the slice
 */
export async function attentionScores(
  device: Device,
  {
    q_NQ,
    k_NP,
    options,
    spans,
    rows_R,
    heads,
  }: MapSlice & {
    readonly q_NQ: Tensor;
    readonly k_NP: Tensor;
    readonly options: AttentionOptions;
    /** Rows that attend to each other. */
    readonly spans: Batch['spans'];
  },
): Promise<Trace> {
  const { headSize: E, window, scale, cap } = options;
  const N = rowCount(k_NP.shape);
  const [H, K] = [columnCount(q_NQ.shape) / E, columnCount(k_NP.shape) / E];
  const { ops } = device;
  const R = rows_R.length;
  const readings: { readonly at: number; readonly keys: number; readonly products: Promise<Floats> }[] = [];
  for (const [i, h] of heads.entries()) {
    const g = Math.floor((h * K) / H);
    for (let first = 0; first < R; first += QUERIES_AT_ONCE) {
      const rows = rows_R.subarray(first, first + QUERIES_AT_ONCE);
      const keys = rows.reduce((most, n) => Math.max(most, n + 1), 0);
      const mark = device.mark();
      const q_RE = headOf(device, q_NQ, H, h, rows, E);
      const k_SE = headOf(device, k_NP, K, g, firstRows(keys), E);
      readings.push({ at: (i * R + first) * N, keys, products: device.read(ops.linear(q_RE, k_SE)) });
      device.release(mark);
    }
  }
  const data = new Float32Array(heads.length * R * N);
  for (const { at, keys, products } of readings) {
    const numbers = await products;
    for (let row = 0; row * keys < numbers.length; row++)
      data.set(numbers.subarray(row * keys, (row + 1) * keys), at + row * N);
  }
  const bend = bendScore({ H, K, E, window, scale, cap });
  for (let row = 0; row < heads.length * R; row++) {
    const n = rows_R[row % R]!;
    const { firstRow } = spans.findLast((span) => span.firstRow <= n)!;
    const first = window === null ? firstRow : Math.max(firstRow, n - window + 1);
    const scores = data.subarray(row * N, (row + 1) * N);
    scores.fill(Number.NEGATIVE_INFINITY, 0, first);
    for (let s = first; s <= n; s++) scores[s] = bend(scores[s]!);
    scores.fill(Number.NEGATIVE_INFINITY, n + 1);
  }
  return { shape: [heads.length, R, N], data };
}

const firstRows = (count: number) => Uint32Array.from({ length: count }, (_, s) => s);

/** One head's columns of these rows. */
function headOf(device: Device, x_NQ: Tensor, H: number, h: number, rows_R: Uint32Array, E: number): Tensor {
  const x_ME = device.reshape(x_NQ, [rowCount(x_NQ.shape) * H, E]);
  return device.ops.selectRows(
    x_ME,
    rows_R.map((n) => n * H + h),
  );
}

/** The softmax of scores (`inPlace`: over them): how much each query looks at each key; with a sink, a head's share goes there. */
export async function probabilitiesOf(
  scores: Promise<Trace>,
  {
    rows_R,
    heads,
    sinks,
    inPlace,
  }: MapSlice & { readonly sinks?: Promise<Floats> | undefined; readonly inPlace: boolean },
): Promise<Trace> {
  const { shape, data } = await scores;
  const sinks_H = await sinks;
  const [, R, N] = shape as [number, number, number];
  assert(R === rows_R.length, `attention maps: ${R} rows of scores, expected ${rows_R.length}`);
  const p_HRN = inPlace ? data : new Float32Array(data.length);
  const z = new Float64Array(N);
  for (let row = 0; row < heads.length * R; row++) {
    const count = rows_R[row % R]! + 1;
    z.set(data.subarray(row * N, row * N + count));
    const sink = sinks_H?.[heads[Math.floor(row / R)]!];
    const share = sink === undefined ? 1 : 1 / (1 + Math.exp(sink - logSumExp(z, count)));
    softmax(z, z, count);
    for (let s = 0; s < count; s++) p_HRN[row * N + s] = z[s]! * share;
    p_HRN.fill(0, row * N + count, (row + 1) * N);
  }
  return { shape, data: p_HRN };
}

/**
 * Each head's part of what the output matrix makes of the mix: Σ_h parts_h = mix · woᵀ. Products are exact (f32 activations), where
 * the model's own may round its activations to 8 bits.
 *
 * Several heads are one product, as every product reads the whole matrix.
 *
 * Shapes  readings of G heads each, in the order of the slice: G × R × D
 */
export function headParts(
  device: Device,
  {
    mix_NQ,
    wo_DQ,
    E,
    rows_R,
    heads,
  }: MapSlice & { readonly mix_NQ: Tensor; readonly wo_DQ: Tensor; readonly E: number },
): Promise<Floats>[] {
  const Q = columnCount(mix_NQ.shape);
  const H = Q / E;
  const R = rows_R.length;
  const atOnce = Math.max(1, Math.floor(QUERIES_AT_ONCE / R));
  const groups = Array.from({ length: Math.ceil(heads.length / atOnce) }, (_, i) =>
    heads.subarray(i * atOnce, (i + 1) * atOnce),
  );
  return groups.map((group) => {
    const G = group.length;
    const mark = device.mark();
    const alone_ME = device.scratch([G * R * H, E]);
    device.fill(alone_ME, 0);
    for (const [i, h] of group.entries()) {
      const places = Uint32Array.from({ length: R }, (_, r) => (i * R + r) * H + h);
      device.ops.placeRows(alone_ME, headOf(device, mix_NQ, H, h, rows_R, E), places);
    }
    const part = device.read(device.ops.linearExact(device.reshape(alone_ME, [G * R, Q]), wo_DQ));
    device.release(mark);
    return part;
  });
}
