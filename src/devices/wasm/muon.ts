/** Muon (kernels/muon/reference.ts has the formula) by matrix products. */
import { MUON_SCALE, type MuonStep, NEWTON_SCHULZ, NEWTON_SCHULZ_STEPS } from '../../kernels/muon/reference.ts';
import { columnCount, rowCount, type Tensor } from '../../tensor/tensor.ts';
import { activation, WasmTensor } from './tensors.ts';
import type { TrainingKernels } from './training-kernels.ts';

export function muonStep(
  kernels: TrainingKernels,
  parameter: Tensor,
  gradient: Tensor,
  m: Tensor,
  step: MuonStep,
): void {
  const { learningRate, momentum, weightDecay, gradientScale } = step;
  const R = rowCount(parameter.shape);
  const C = columnCount(parameter.shape);
  const mark = kernels.mark();
  const { segment, pointer } = activation(m);
  const momentumTensor = new WasmTensor(segment, pointer, [R, C]);
  kernels.blend(momentumTensor, momentum, gradient, (1 - momentum) * gradientScale);
  const x = kernels.scratch([R, C]);
  kernels.accumulate({ tensor: x, isEmpty: true }, momentumTensor, momentum);
  kernels.blend(x, 1, gradient, (1 - momentum) * gradientScale);
  const norm = Math.sqrt(kernels.sumSquares(x)) + 1e-7;
  kernels.accumulate({ tensor: x, isEmpty: true }, x, 1 / norm);
  orthogonalize(kernels, x, R, C);
  kernels.blend(parameter, 1 - learningRate * weightDecay, x, -learningRate * MUON_SCALE * Math.sqrt(Math.max(R, C)));
  kernels.release(mark);
}

/** Newton–Schulz steps on x in place; the smaller side's Gram matrix is what is multiplied. */
function orthogonalize(kernels: TrainingKernels, x: WasmTensor, R: number, C: number): void {
  const isTall = R > C;
  const S = Math.min(R, C);
  const [gram, square, change] = [kernels.scratch([S, S]), kernels.scratch([S, S]), kernels.scratch([R, C])];
  const rows = { pointer: x.pointer, rowStride: C, kStride: 1 };
  const columns = { pointer: x.pointer, rowStride: 1, kStride: C };
  const small = { pointer: gram.pointer, rowStride: S, kStride: 1 };
  const { a, b, c } = NEWTON_SCHULZ;
  for (let step = 0; step < NEWTON_SCHULZ_STEPS; step++) {
    const side = isTall ? columns : rows;
    kernels.gemm(gram.pointer, S, S, Math.max(R, C), side, side, false);
    kernels.gemm(square.pointer, S, S, S, small, small, false); // symmetric: its rows are its columns
    kernels.blend(gram, b, square, c);
    if (isTall) kernels.gemm(change.pointer, R, C, C, rows, small, false);
    else kernels.gemm(change.pointer, R, C, R, small, columns, false);
    kernels.blend(x, a, change, 1);
  }
}
