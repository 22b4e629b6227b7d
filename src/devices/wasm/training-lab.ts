/** The lab's operations, in the home segment: layer and batch norm, ReLU, GELU, GEGLU. */

import { type ActivationName, activation, activationBackward } from '../../kernels/activation/kernel.ts';
import type { BackwardOps, Gradient, TrainingOps } from '../../kernels/backward-ops.ts';
import { columnAffine, columnMoments } from '../../kernels/batch-norm/kernel.ts';
import { layerNorm, layerNormBackward } from '../../kernels/layer-norm/kernel.ts';
import type { BatchStatistics, GeluForm } from '../../kernels/ops.ts';
import { NORM_ROWS } from '../../kernels/rms-norm/backward.kernel.ts';
import { columnCount, elementCount, rowCount, type Tensor } from '../../tensor/tensor.ts';
import { type TrainingKernels, target } from './training-kernels.ts';

type LabOps = Pick<TrainingOps, 'layerNorm' | 'batchNorm' | 'relu' | 'gelu'>;
type LabBackward = Pick<BackwardOps, keyof LabOps | 'geglu'>;

export const geluForms = { exact: 'gelu', tanh: 'geluTanh' } as const satisfies Record<GeluForm, ActivationName>;

export function createLabOps(kernels: TrainingKernels): LabOps {
  const activate = (x: Tensor, name: ActivationName): Tensor => {
    const y = kernels.scratch(x.shape);
    const values = { y: y.pointer, x: kernels.at(x), up: 0, count: elementCount(x.shape) };
    kernels.elements(activation[name], values);
    return y;
  };
  return {
    layerNorm(x_ND, gain_D, shift_D, eps) {
      const y_ND = kernels.scratch(x_ND.shape);
      const D = columnCount(gain_D.shape);
      const inputs = { x: kernels.at(x_ND), gain: kernels.at(gain_D), shift: kernels.at(shift_D), D, eps };
      kernels.perform(kernels.segment, layerNorm, { y: y_ND.pointer, ...inputs }, rowCount(x_ND.shape), 16);
      return y_ND;
    },
    batchNorm(x_ND, gain_D, shift_D, eps, statistics) {
      const y_ND = kernels.scratch(x_ND.shape);
      const mark = kernels.mark();
      const norm = new ColumnNorm(kernels, x_ND, eps);
      norm.standardize(statistics);
      if (statistics.training) moveStatistics(kernels, statistics, norm);
      const [gain, shift] = [kernels.view(gain_D), kernels.view(shift_D)];
      norm.rewrite(y_ND, null, false, (c) => ({ scale: gain[c]! * norm.rates[c]!, shift: shift[c]!, outer: 0 }));
      kernels.release(mark);
      return y_ND;
    },
    relu: (x_NF) => activate(x_NF, 'relu'),
    gelu: (x_NF, form = 'exact') => activate(x_NF, geluForms[form]),
  };
}

export function createLabBackward(kernels: TrainingKernels): LabBackward {
  const slopes = (
    dx: Gradient | null,
    dUp: Gradient | null,
    dy: Tensor,
    x: Tensor,
    up: Tensor | null,
    name: ActivationName,
  ): void => {
    const [own, other] = [target(dx), target(dUp)];
    const inputs = { dy: kernels.at(dy), x: kernels.at(x), up: up ? kernels.at(up) : 0, count: elementCount(dy.shape) };
    const outputs = { dx: own.pointer, dUp: other.pointer, addsToX: own.adds, addsToUp: other.adds };
    kernels.elements(activationBackward[name], { ...outputs, ...inputs });
  };
  return {
    layerNorm(dx_ND, { gain_D: dGain_D, shift_D: dShift_D }, dy_ND, x_ND, gain_D, eps) {
      const D = columnCount(gain_D.shape);
      const N = rowCount(x_ND.shape);
      const units = Math.ceil(N / NORM_ROWS);
      const mark = kernels.mark();
      const [gains, shifts] = [dGain_D, dShift_D].map((wanted) => (wanted ? kernels.take(units * D * 4) : 0));
      const dx = target(dx_ND);
      const inputs = { dy: kernels.at(dy_ND), x: kernels.at(x_ND), gain: kernels.at(gain_D), D, N, eps };
      const outputs = { dx: dx.pointer, dGain: gains!, dShift: shifts!, adds: dx.adds };
      kernels.perform(kernels.segment, layerNormBackward, { ...outputs, ...inputs }, units, 1);
      if (dGain_D) kernels.columnSums(dGain_D, gains!, units, D);
      if (dShift_D) kernels.columnSums(dShift_D, shifts!, units, D);
      kernels.release(mark);
    },
    batchNorm(dx_ND, { gain_D: dGain_D, shift_D: dShift_D }, dy_ND, x_ND, gain_D, eps, statistics) {
      const mark = kernels.mark();
      const norm = new ColumnNorm(kernels, x_ND, eps);
      norm.standardize(statistics);
      const { sums, products } = norm.against(dy_ND);
      if (dGain_D) addTo(kernels, dGain_D, (c) => products[c]! * norm.rates[c]!);
      if (dShift_D) addTo(kernels, dShift_D, (c) => sums[c]!);
      if (dx_ND) {
        const { adds } = target(dx_ND);
        const gain = kernels.view(gain_D);
        const share = statistics.training ? 1 / norm.rows : 0;
        norm.rewrite(dx_ND.tensor, dy_ND, adds === 1, (c) => {
          const outer = norm.rates[c]! * gain[c]!;
          const scale = -outer * norm.rates[c]! ** 2 * products[c]! * share;
          return { scale, shift: -outer * sums[c]! * share, outer };
        });
      }
      kernels.release(mark);
    },
    relu: (dx_NF, dy_NF, x_NF) => slopes(dx_NF, null, dy_NF, x_NF, null, 'relu'),
    gelu: (dx_NF, dy_NF, x_NF, form) => slopes(dx_NF, null, dy_NF, x_NF, null, geluForms[form]),
    geglu: (dGate_NF, dUp_NF, dy_NF, gate_NF, up_NF, form) =>
      slopes(dGate_NF, dUp_NF, dy_NF, gate_NF, up_NF, geluForms[form]),
  };
}

/** The columns of x with their means and 1 / √(variance + eps), in the arena until its owner releases it. */
class ColumnNorm {
  readonly rows: number;
  readonly rates: Float64Array;
  readonly means: Float64Array;
  readonly variances: Float64Array;
  private readonly kernels: TrainingKernels;
  private readonly x: number;
  private readonly columns: number;
  private readonly eps: number;
  /** Six rows of f64: means, scales, shifts, outer factors, and two of sums. */
  private readonly place: number;

  constructor(kernels: TrainingKernels, x_ND: Tensor, eps: number) {
    this.kernels = kernels;
    this.x = kernels.at(x_ND);
    this.columns = columnCount(x_ND.shape);
    this.rows = rowCount(x_ND.shape);
    this.eps = eps;
    this.place = kernels.take(6 * this.columns * 8);
    this.rates = new Float64Array(this.columns);
    this.variances = new Float64Array(this.columns);
    this.means = this.row(0);
  }

  private at(row: number): number {
    return this.place + row * this.columns * 8;
  }
  private row(row: number): Float64Array {
    return this.kernels.segment.doublesAt(this.at(row), this.columns);
  }

  standardize({ training, mean_D, variance_D }: BatchStatistics): void {
    const { rows, columns, means, variances, rates, eps } = this;
    if (training) {
      this.moments(0, 0);
      means.set(this.row(4).map((sum) => sum / rows));
      this.moments(this.at(0), 0);
      variances.set(this.row(4).map((sum) => sum / rows));
    } else {
      means.set(this.kernels.view(mean_D));
      variances.set(this.kernels.view(variance_D));
    }
    for (let c = 0; c < columns; c++) rates[c] = 1 / Math.sqrt(variances[c]! + eps);
  }

  /** Σ dy and Σ dy · (x − mean) of each column. */
  against(dy_ND: Tensor): { readonly sums: Float64Array; readonly products: Float64Array } {
    this.moments(this.at(0), this.kernels.at(dy_ND));
    return { sums: this.row(4), products: this.row(5) };
  }

  private moments(means: number, dy: number): void {
    const { kernels, x, rows, columns } = this;
    const values = { x, rows, columns, means, dy, sums: this.at(4) };
    kernels.perform(kernels.segment, columnMoments, values, columns, 16);
  }

  /** y (+)= (x − mean) · scale + shift (+ dy · outer), with what `of` says of each column. */
  rewrite(
    y: Tensor,
    dy: Tensor | null,
    add: boolean,
    of: (column: number) => { readonly scale: number; readonly shift: number; readonly outer: number },
  ): void {
    const [scales, shifts, outers] = [this.row(1), this.row(2), this.row(3)];
    for (let c = 0; c < this.columns; c++) {
      const { scale, shift, outer } = of(c);
      scales[c] = scale;
      shifts[c] = shift;
      outers[c] = outer;
    }
    const { kernels, x, columns, rows } = this;
    const [centres, scales_, shifts_, outers_] = [0, 1, 2, 3].map((row) => this.at(row)) as [
      number,
      number,
      number,
      number,
    ];
    const ofColumns = { centres, scales: scales_, shifts: shifts_, outers: outers_ };
    const values = { y: kernels.at(y), x, columns, ...ofColumns, dy: dy ? kernels.at(dy) : 0, adds: add ? 1 : 0 };
    kernels.perform(kernels.segment, columnAffine, values, rows, 16);
  }
}

/** The running estimates take the unbiased variance. */
function moveStatistics(kernels: TrainingKernels, statistics: BatchStatistics, norm: ColumnNorm): void {
  const { momentum } = statistics;
  const [mean_D, variance_D] = [kernels.view(statistics.mean_D), kernels.view(statistics.variance_D)];
  const unbiased = norm.rows / Math.max(1, norm.rows - 1);
  for (let d = 0; d < mean_D.length; d++) {
    mean_D[d] = (1 - momentum) * mean_D[d]! + momentum * norm.means[d]!;
    variance_D[d] = (1 - momentum) * variance_D[d]! + momentum * norm.variances[d]! * unbiased;
  }
}

function addTo(kernels: TrainingKernels, gradient: Gradient, value: (column: number) => number): void {
  const { adds } = target(gradient);
  const numbers = kernels.view(gradient.tensor);
  for (let c = 0; c < numbers.length; c++) numbers[c] = (adds ? numbers[c]! : 0) + value(c);
}
