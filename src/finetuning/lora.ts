import type { Tape } from '../autograd/tape.ts';
import type { Device } from '../devices/device.ts';
import type { Dropout } from '../kernels/dropout/reference.ts';
import type { Ops } from '../kernels/ops.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** A low-rank correction of one linear layer. */
export interface LoraAdapter {
  readonly a_RI: Tensor;
  readonly b_OR: Tensor;
  /** α / r, or α / √r (rsLoRA) */
  readonly scale: number;
  /** Its number among the adapter's: what is dropped there depends on it. */
  readonly site?: number;
  /** null: a LoRA. */
  readonly dora?: DoraLengths | null;
}

export interface AdapterPass {
  /** Corrections of tables of embeddings: A is [V, R] and B [D, R] here, and x · Aᵀ is the token's row of A. */
  readonly embeddings?: ReadonlyMap<Tensor, LoraAdapter>;
  /** What is dropped at a site in a pass of training; absent: nothing. */
  readonly dropping?: ((site: number) => Dropout) | null;
}

/** DoRA: the trained length of each row of W + s · B · A, and what the lengths are by themselves. */
export interface DoraLengths {
  readonly magnitude_O: Tensor;
  /** ‖row of W + s · B · A‖², a constant of every pass: its gradient is left out (§4.3). Follows A and B by refreshLengths. */
  readonly squares_O: Tensor;
  readonly zeros_O: Tensor;
}

/**
 * LoRA: a frozen linear layer plus a trained low-rank one, for the weights that have an adapter.
 *
 *   y = x · Wᵀ + (scale · dropout(x) · Aᵀ) · Bᵀ          DoRA: y_o · magnitude_o / ‖W_o + scale · (B · A)_o‖;   then the bias
 *
 * DoRA's factor is a batch norm with fixed statistics, mean 0 and variance ‖·‖², whose gain is the magnitude.
 *
 * Shapes   W [O, I] · A [R, I] · B [O, R]
 * Source   Hu et al. 2021, arXiv:2106.09685 §4.1; Liu et al. 2024, arXiv:2402.09353 eq. 5, §4.3.
 */
export function withAdapters(
  ops: Tape['ops'],
  adapters: ReadonlyMap<Tensor, LoraAdapter>,
  { embeddings, dropping }: AdapterPass = {},
): Ops {
  return {
    ...ops,
    linear(x_NI, w_OI, bias_O) {
      const adapter = adapters.get(w_OI);
      if (!adapter) return ops.linear(x_NI, w_OI, bias_O);
      const { a_RI, b_OR, scale, dora, site = 0 } = adapter;
      const low_NR = ops.scale(ops.linear(dropping ? ops.dropout(x_NI, dropping(site)) : x_NI, a_RI), scale); // of R numbers a row, not of O
      const y_NO = ops.linearSum(x_NI, w_OI, low_NR, b_OR, dora ? undefined : bias_O);
      if (!dora) return y_NO;
      const statistics = { mean_D: dora.zeros_O, variance_D: dora.squares_O, momentum: 0, training: false };
      return ops.batchNorm(y_NO, dora.magnitude_O, bias_O ?? dora.zeros_O, 0, statistics);
    },
    // Tokens are no numbers that could be dropped.
    embed(table_VD, ids_N) {
      const adapter = embeddings?.get(table_VD);
      const base_ND = ops.embed(table_VD, ids_N);
      if (!adapter) return base_ND;
      const low_NR = ops.scale(ops.embed(adapter.a_RI, ids_N), adapter.scale);
      return ops.add(base_ND, ops.linear(low_NR, adapter.b_OR));
    },
  };
}

/**
 * Brings a DoRA's ‖·‖² up to its A and B, without the matrix being formed:
 *
 *   ‖W_o + s (BA)_o‖² = ‖W_o‖² + 2s Σ_r B_or (A Wᵀ)_ro + s² Σ_rq B_or (A Aᵀ)_rq B_oq
 *
 * Cost     2·R·I·O flops on the device, O·R² on the host; reads A, B and R·O numbers
 */
export async function refreshLengths(
  device: Device,
  w_OI: Tensor,
  baseSquares_O: Float64Array,
  { a_RI, b_OR, scale, dora }: LoraAdapter,
): Promise<void> {
  const mark = device.mark();
  const product = device.read(device.ops.linearExact(a_RI, w_OI));
  device.release(mark);
  const [products_RO, a, b] = await Promise.all([product, device.read(a_RI), device.read(b_OR)]);
  const [R, I] = a_RI.shape as [number, number];
  const O = baseSquares_O.length;
  const gram = Float64Array.from({ length: R * R }, (_, k) => {
    let sum = 0;
    const [r, q] = [Math.floor(k / R), k % R];
    for (let i = 0; i < I; i++) sum += a[r * I + i]! * a[q * I + i]!;
    return sum;
  });
  const squares = Float32Array.from(baseSquares_O, (base, o) => {
    let [cross, own] = [0, 0];
    for (let r = 0; r < R; r++) {
      const factor = b[o * R + r]!;
      cross += factor * products_RO[r * O + o]!;
      for (let q = 0; q < R; q++) own += factor * gram[r * R + q]! * b[o * R + q]!;
    }
    return Math.max(base + 2 * scale * cross + scale ** 2 * own, Number.MIN_VALUE);
  });
  device.write(dora!.squares_O, squares);
}
