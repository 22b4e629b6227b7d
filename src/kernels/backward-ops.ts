/**
 * What training needs beyond Ops: the gradient of every operation, and the memory to keep gradients in.
 *
 * Letters  as in ops.ts; dX is the gradient of the loss with respect to X, in X's shape.
 * Effects  Every function adds to the gradients it is given; null means that nobody wants that one.
 * Source   Each room's backward.reference.ts derives its formula.
 */
import type { Tensor } from '../tensor/tensor.ts';
import type { Batch } from './batch.ts';
import type { CrossEntropyOptions } from './cross-entropy/reference.ts';
import type { Dropout } from './dropout/reference.ts';
import type { AttentionOptions, BatchStatistics, GeluForm, Ops, RouteOptions, Routes } from './ops.ts';

/** A gradient that is being summed up. While `isEmpty`, its memory holds nothing: the first contribution is written, later ones are added. */
export interface Gradient {
  readonly tensor: Tensor;
  isEmpty: boolean;
}

/** Ops and what only training calls. */
export interface TrainingOps extends Ops {
  /**
   * linear with f32 activations whatever the type of a frozen weight, where `linear` may round them: the function whose gradient
   * BackwardOps.linear is.
   */
  linearExact(x_NI: Tensor, w_OI: Tensor, bias_O?: Tensor): Tensor;
  /** linearExact and a second product on top, in its memory where it can be: y = x · Wᵀ + bias + low · Bᵀ, the shape of LoRA. */
  linearSum(x_NI: Tensor, w_OI: Tensor, low_NR: Tensor, b_OR: Tensor, bias_O?: Tensor): Tensor;
  /** attention, and each query's log-sum-exp of its scores, from which the backward pass recomputes the probabilities. */
  attentionWithLogSumExp(
    q_NQ: Tensor,
    keyValues: OwnKeyValues,
    batch: Batch,
    options: AttentionOptions,
  ): AttentionResult;
}

export interface OwnKeyValues {
  readonly k_NP: Tensor;
  readonly v_NP: Tensor;
}

export interface AttentionResult {
  readonly mix_NQ: Tensor;
  readonly logSumExp_NH: Tensor;
}

/** What the forward pass of attention leaves for the backward pass. */
export interface AttentionSaved extends AttentionResult, OwnKeyValues {
  readonly q_NQ: Tensor;
}

export interface BackwardOps {
  /** dx += dy · factor: the rule of add (factor 1) and of scale. */
  accumulate(dx: Gradient, dy: Tensor, factor: number): void;
  embed(dTable_VD: Gradient, dy_ND: Tensor, ids_N: Uint32Array): void;
  /** w may be a frozen weight of any type; dw and dBias are null then. */
  linear(
    dx_NI: Gradient | null,
    dw_OI: Gradient | null,
    dBias_O: Gradient | null,
    dy_NO: Tensor,
    x_NI: Tensor,
    w_OI: Tensor,
  ): void;
  rmsNorm(
    dx_ND: Gradient | null,
    dGain_D: Gradient | null,
    dy_ND: Tensor,
    x_ND: Tensor,
    gain_D: Tensor,
    eps: number,
  ): void;
  layerNorm(
    dx_ND: Gradient | null,
    dAffine: AffineGradients,
    dy_ND: Tensor,
    x_ND: Tensor,
    gain_D: Tensor,
    eps: number,
  ): void;
  batchNorm(
    dx_ND: Gradient | null,
    dAffine: AffineGradients,
    dy_ND: Tensor,
    x_ND: Tensor,
    gain_D: Tensor,
    eps: number,
    statistics: BatchStatistics,
  ): void;
  rope(dx_NQ: Gradient, dy_NQ: Tensor, rotation_NE: Tensor): void;
  attention(
    d: {
      readonly q_NQ: Gradient | null;
      readonly k_NP: Gradient | null;
      readonly v_NP: Gradient | null;
      readonly sinks_H?: Gradient | null;
    },
    dMix_NQ: Tensor,
    saved: AttentionSaved,
    batch: Batch,
    options: AttentionOptions,
  ): void;
  swiglu(
    dGate_NF: Gradient | null,
    dUp_NF: Gradient | null,
    dy_NF: Tensor,
    gate_NF: Tensor,
    up_NF: Tensor,
    limit?: number,
  ): void;
  geglu(
    dGate_NF: Gradient | null,
    dUp_NF: Gradient | null,
    dy_NF: Tensor,
    gate_NF: Tensor,
    up_NF: Tensor,
    form: GeluForm,
  ): void;
  relu(dx_NF: Gradient, dy_NF: Tensor, x_NF: Tensor): void;
  gelu(dx_NF: Gradient, dy_NF: Tensor, x_NF: Tensor, form: GeluForm): void;
  route(dScores_NX: Gradient, dWeights_NU: Tensor, scores_NX: Tensor, routes: Routes, options: RouteOptions): void;
  routedLinear(
    dx_NI: Gradient | null,
    dw_XOI: Gradient | null,
    dBias_XO: Gradient | null,
    dy_MO: Tensor,
    x_NI: Tensor,
    w_XOI: Tensor,
    routes: Routes,
  ): void;
  mixRoutes(dx_MD: Gradient | null, dWeights_NU: Gradient | null, dy_ND: Tensor, x_MD: Tensor, routes: Routes): void;
  spreadRoutes(dx_ND: Gradient | null, dWeights_NU: Gradient | null, dy_MD: Tensor, x_ND: Tensor, routes: Routes): void;
  dropout(dx_ND: Gradient, dy_ND: Tensor, options: Dropout): void;
  /** `y` is the result of the forward pass. */
  softcap(dx: Gradient, dy: Tensor, y: Tensor, cap: number): void;
  /** dx[rows[r]] += dy[r] */
  selectRows(dx_ND: Gradient, dy_RD: Tensor, rows_R: Uint32Array): void;
  /**
   * The output layer and its loss in one, by chunks of rows, so that the N × V logits never exist at once.
   * Returns each row's −log softmax(x · headᵀ)[label] as a tensor of N numbers (f64 where the device has them), 0 where the label is
   * negative; adds the gradient of Σ weights_n · loss_n. The head may be a frozen weight of any type; dHead is null then. With zLoss
   * the result has 2 · N numbers: behind the losses the penalties, whose weighted sum is part of what the gradient is of.
   */
  crossEntropy(
    dx_ND: Gradient | null,
    dHead_VD: Gradient | null,
    x_ND: Tensor,
    head_VD: Tensor,
    labels_N: Int32Array,
    weights_N: Float64Array,
    options?: CrossEntropyOptions,
  ): Tensor;
}

export interface AffineGradients {
  readonly gain_D: Gradient | null;
  readonly shift_D: Gradient | null;
}
