/**
 * What fast attention never holds: every score of every head, their softmax, and each head's part of the result. Made out of the rotated
 * queries, the keys and the mix: by a kernel where the device has one, else by its ordinary products.
 */
import type { AttentionMaps, Device, MapOptions } from '../../devices/device.ts';
import { mapScores, mapShares, type Seen } from '../../kernels/attention/maps/reference.ts';
import type { Batch } from '../../kernels/batch.ts';
import type { AttentionOptions } from '../../kernels/ops.ts';
import { columnCount, type Floats, rowCount, type Tensor } from '../../tensor/tensor.ts';

/** Numbers of maps that the device holds at a time. */
const NUMBERS_AT_ONCE = 1 << 22;
/** Rows of one product with a head's part of the output matrix. */
const ROWS_AT_ONCE = 64;

interface MapSlice {
  readonly rows_R: Uint32Array;
  readonly heads: Uint32Array;
}

/** Readings whose numbers, one after the other, are heads × R × N, in the order of the slice; none of what is not wanted. */
export type MapReadings = Readonly<Record<keyof AttentionMaps, Promise<Floats>[]>>;

/** Scores, −∞ where a query may not look, and their softmax (kernels/attention/maps). */
export function attentionMaps(
  device: Device,
  {
    q_NQ,
    k_NP,
    options,
    spans,
    wanted,
    rows_R,
    heads,
    numbersAtOnce = NUMBERS_AT_ONCE,
  }: MapSlice & {
    readonly q_NQ: Tensor;
    readonly k_NP: Tensor;
    readonly options: AttentionOptions;
    /** Rows that attend to each other. */
    readonly spans: Batch['spans'];
    readonly wanted: MapOptions['wanted'];
    readonly numbersAtOnce?: number;
  },
): MapReadings {
  const readings: MapReadings = { scores: [], probabilities: [] };
  const { length: R } = rows_R;
  const rowsAtOnce = Math.max(1, Math.floor(numbersAtOnce / rowCount(k_NP.shape)));
  const headsAtOnce = Math.max(1, Math.floor(rowsAtOnce / R));
  const make = device.attentionMaps ? mapsByKernel : mapsByProducts;
  for (let h = 0; h < heads.length; h += headsAtOnce) {
    for (let r = 0; r < R; r += rowsAtOnce) {
      const rows = rows_R.subarray(r, r + rowsAtOnce);
      const seen_R = Array.from(rows, (n) => seenBy(n, spans, options.window));
      const mark = device.mark();
      const q_RQ = device.ops.selectRows(q_NQ, rows);
      make(device, readings, q_RQ, k_NP, { ...options, seen_R, heads: heads.subarray(h, h + headsAtOnce), wanted });
      device.release(mark);
    }
  }
  return readings;
}

function seenBy(n: number, spans: Batch['spans'], window: number | null): Seen {
  const { firstRow } = spans.findLast((span) => span.firstRow <= n)!;
  return { first: window === null ? firstRow : Math.max(firstRow, n - window + 1), last: n };
}

function mapsByKernel(device: Device, readings: MapReadings, q_RQ: Tensor, k_NP: Tensor, options: MapOptions): void {
  const made = device.attentionMaps!(q_RQ, k_NP, options);
  for (const name of options.wanted) readings[name].push(device.read(made[name]!));
}

/** A product a head, of the keys up to the last that a query sees. */
function mapsByProducts(device: Device, readings: MapReadings, q_RQ: Tensor, k_NP: Tensor, options: MapOptions): void {
  const { headSize: E, scale, cap, sinks_H, seen_R, heads, wanted } = options;
  const [N, R] = [rowCount(k_NP.shape), seen_R.length];
  const [H, K] = [columnCount(q_RQ.shape) / E, columnCount(k_NP.shape) / E];
  const keys = seen_R.reduce((most, { last }) => Math.max(most, last + 1), 0);
  const sinks = sinks_H && device.read(sinks_H);
  for (const h of heads) {
    const mark = device.mark();
    const q_RE = headOf(device, q_RQ, H, h, firstRows(R), E);
    const k_SE = headOf(device, k_NP, K, Math.floor((h * K) / H), firstRows(keys), E);
    const products = device.read(device.ops.linear(q_RE, k_SE));
    device.release(mark);
    const scores = products.then((products_RS) => {
      const scores_RN = new Float32Array(R * N);
      mapScores(scores_RN, products_RS, seen_R, { E, scale, cap });
      return scores_RN;
    });
    if (wanted.has('scores')) readings.scores.push(scores);
    if (!wanted.has('probabilities')) continue;
    const shares = Promise.all([scores, sinks]).then(([scores_RN, sinks_H]) => {
      const shares_RN = new Float32Array(R * N);
      mapShares(shares_RN, scores_RN, seen_R, sinks_H?.[h]);
      return shares_RN;
    });
    readings.probabilities.push(shares);
  }
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
  const atOnce = Math.max(1, Math.floor(ROWS_AT_ONCE / R));
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
