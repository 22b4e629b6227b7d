/** What an update of the parameters is made of: kernels/adamw, kernels/muon. */
import type { AdamWStep } from '../../kernels/adamw/reference.ts';
import { adamW } from '../../kernels/adamw/webgpu.ts';
import { MUON_SCALE, type MuonStep, NEWTON_SCHULZ, NEWTON_SCHULZ_STEPS } from '../../kernels/muon/reference.ts';
import { combine, momentum, normalize, SUM_NUMBERS, sumPart } from '../../kernels/muon/webgpu.ts';
import { columnCount, elementCount, rowCount, type Tensor } from '../../tensor/tensor.ts';
import type { Moments } from '../device.ts';
import type { Context } from './context.ts';
import type { Region } from './memory.ts';
import { forwardProduct, inputProduct, weightProduct } from './products.ts';
import { type GpuTensor, gpuMatrix, gpuTensor } from './tensors.ts';

/** Σ x² of each tensor, in partial sums of partial sums. */
export function sumSquares(context: Context, tensors: readonly Tensor[]): GpuTensor {
  const sums = context.scratch([tensors.length]);
  for (const [i, tensor] of tensors.entries()) {
    const mark = context.memory.mark();
    squaresInto(context, sums.region, i, gpuTensor(tensor).region, elementCount(tensor.shape));
    context.memory.release(mark);
  }
  return sums;
}

function squaresInto({ memory, queue }: Context, y: Region, at: number, x: Region, size: number): void {
  let [from, count, squared] = [x, size, 1];
  while (count > SUM_NUMBERS) {
    const parts = Math.ceil(count / SUM_NUMBERS);
    const sums = memory.take(parts * 4);
    queue.dispatch(sumPart, { x: from, y: sums }, { count, squared, at: 0 }, parts, count * 4);
    [from, count, squared] = [sums, parts, 0];
  }
  queue.dispatch(sumPart, { x: from, y }, { count, squared, at }, 1, count * 4);
}

export function adamWStep(
  context: Context,
  parameter: Tensor,
  gradient: Tensor,
  { m, v }: Moments,
  first: number,
  { learningRate, weightDecay, beta1, beta2, eps, gradientScale, step }: AdamWStep,
): void {
  const [p, g, mean, square] = [parameter, gradient, m, v].map((tensor) => gpuTensor(tensor).region) as [
    Region,
    Region,
    Region,
    Region,
  ];
  context.each(
    adamW,
    elementCount(m.shape),
    { p, g, m: mean, v: square },
    {
      first,
      kept: 1 - learningRate * weightDecay,
      rate: learningRate / (1 - beta1 ** step),
      rootCorrection: Math.sqrt(1 - beta2 ** step),
      beta1,
      beta2,
      rest1: 1 - beta1,
      rest2: 1 - beta2,
      eps,
      gradientScale,
    },
  );
}

/** to ← factor · to + other · source */
export function blend(context: Context, to: Tensor, factor: number, source: Tensor, other: number): void {
  const regions = { y: gpuTensor(source).region, z: gpuTensor(to).region };
  context.each(combine, elementCount(to.shape), regions, { a: factor, b: other });
}

/** Newton–Schulz from the smaller side: X Xᵀ of a wide matrix, Xᵀ X of a tall one, so that nothing is transposed. */
export function muonStep(context: Context, parameter: Tensor, gradient: Tensor, m: Tensor, step: MuonStep): void {
  const { learningRate, weightDecay, gradientScale } = step;
  const [rows, columns] = [rowCount(parameter.shape), columnCount(parameter.shape)];
  const [size, isTall, inner] = [rows * columns, rows > columns, Math.min(rows, columns)];
  const { memory } = context;
  const mark = memory.mark();
  const [u, x0, x1] = [0, 1, 2].map(() => context.scratch([rows, columns])) as [GpuTensor, GpuTensor, GpuTensor];
  const [gram, square] = [0, 1].map(() => context.scratch([inner, inner])) as [GpuTensor, GpuTensor];
  const squares = context.scratch([1]);

  const regions = { g: gpuTensor(gradient).region, m: gpuTensor(m).region, u: u.region };
  context.each(momentum, size, regions, { momentum: step.momentum, rest: 1 - step.momentum, gradientScale });
  squaresInto(context, squares.region, 0, u.region, size);
  context.each(normalize, size, { x: u.region, squares: squares.region, y: x0.region }, {});
  let [x, next] = [x0, x1];
  for (let i = 0; i < NEWTON_SCHULZ_STEPS; i++) {
    const all = { firstRow: 0, rows };
    if (isTall) weightProduct(context, gram.region, x.region, x.region, { O: columns, I: columns, ...all }, 0);
    else forwardProduct(context, gram.region, x, gpuMatrix(x), null, all);
    forwardProduct(context, square.region, gram, gpuMatrix(gram), null, { firstRow: 0, rows: inner });
    context.each(
      combine,
      inner * inner,
      { y: gram.region, z: square.region },
      { a: NEWTON_SCHULZ.c, b: NEWTON_SCHULZ.b },
    );
    context.accumulate(next.region, x.region, size, NEWTON_SCHULZ.a, false);
    // square is symmetric now: b · A + c · A²
    if (isTall) inputProduct(context, next.region, x.region, gpuMatrix(square), all, 1);
    else inputProduct(context, next.region, square.region, gpuMatrix(x), all, 1);
    [x, next] = [next, x];
  }
  const rate = learningRate * MUON_SCALE * Math.sqrt(Math.max(rows, columns));
  const update = { y: x.region, z: gpuTensor(parameter).region };
  context.each(combine, size, update, { a: 1 - learningRate * weightDecay, b: -rate });
  memory.release(mark);
}
