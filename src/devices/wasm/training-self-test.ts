/** Every training kernel on small operands, for comparing one way of compiling them with another: the results must agree to the bit. */
import { Random } from '../../base/random.ts';
import type { Gradient } from '../../kernels/backward-ops.ts';
import { batchOfSequences } from '../../kernels/batch.ts';
import { elementCount, type Tensor } from '../../tensor/tensor.ts';
import { type Device, fromFloats } from '../device.ts';
import type { Keep } from './self-test.ts';

const STEP = { learningRate: 0.01, weightDecay: 0.1, gradientScale: 0.5 } as const;

type Filled = (...shape: number[]) => Tensor;

/** The kernels that only the lab uses. */
function labResults(
  { ops, backward }: Device,
  filled: Filled,
  gradients: (...like: Tensor[]) => Gradient[],
  keep: (name: string, ...tensors: Tensor[]) => void,
): void {
  const [x, up, dy] = [filled(9, 22), filled(9, 22), filled(9, 22)];
  const [gain, shift] = [filled(22), filled(22)];
  keep('activations', ops.relu(x), ops.gelu(x, 'exact'), ops.gelu(x, 'tanh'), ops.geglu(x, up));
  const [dRelu, dGelu, dTanh, dGate, dUp] = gradients(x, x, x, x, up) as Gradient[];
  backward.relu(dRelu!, dy, x);
  backward.gelu(dGelu!, dy, x, 'exact');
  backward.gelu(dTanh!, dy, x, 'tanh');
  backward.geglu(dGate!, dUp!, dy, x, up, 'exact');
  const statistics = { mean_D: filled(22), variance_D: filled(22), momentum: 0.1, training: true };
  const { mean_D, variance_D } = statistics;
  keep(
    'norms',
    ops.layerNorm(x, gain, shift, 1e-5),
    ops.batchNorm(x, gain, shift, 1e-5, statistics),
    mean_D,
    variance_D,
  );
  const [dx, dGain, dShift, dx2, dGain2, dShift2] = gradients(x, gain, shift, x, gain, shift) as Gradient[];
  backward.layerNorm(dx!, { gain_D: dGain!, shift_D: dShift! }, dy, x, gain, 1e-5);
  backward.batchNorm(dx2!, { gain_D: dGain2!, shift_D: dShift2! }, dy, x, gain, 1e-5, statistics);
  const all = [dRelu, dGelu, dTanh, dGate, dUp, dx, dGain, dShift, dx2, dGain2, dShift2];
  keep('lab gradients', ...all.map((gradient) => gradient!.tensor), ops.linear(x, filled(5, 22), filled(5)));
}

/** The shapes have whole tiles and edges. */
export function computeByTrainingKernels(device: Device, keepOne: Keep): void {
  const { ops, backward } = device;
  const random = new Random(1);
  const mark = device.mark();
  const filled = (...shape: number[]): Tensor => {
    const numbers = Float32Array.from({ length: elementCount(shape) }, () => random.normal());
    return fromFloats(device, numbers, shape);
  };
  const keep = (name: string, ...tensors: Tensor[]) => {
    for (const [i, tensor] of tensors.entries()) keepOne(`${name} ${i}`, tensor);
  };
  /** Gradients that are written, and ones that are added to. */
  const gradients = (...like: Tensor[]): Gradient[] =>
    like.map(({ shape }, i) => ({ tensor: filled(...shape), isEmpty: i % 2 === 0 }));
  const tensorsOf = (list: readonly Gradient[]) => list.map(({ tensor }) => tensor);

  for (const [N, I, O] of [
    [8, 16, 32],
    [5, 7, 19],
    [20, 50, 16],
    [62, 40, 70],
  ] as const) {
    const [x, w] = [filled(N, I), filled(O, I)];
    const y = ops.linear(x, w);
    const [dx, dw] = gradients(x, w) as [Gradient, Gradient];
    backward.linear(dx, dw, null, y, x, w);
    keep(`linear ${N} × ${I} × ${O}`, y, dx.tensor, dw.tensor);
  }
  const batch = batchOfSequences([new Uint32Array(70), new Uint32Array(3)]);
  const options = { headSize: 12, window: null };
  const [q, k, v] = [filled(73, 24), filled(73, 12), filled(73, 12)];
  const saved = { q_NQ: q, k_NP: k, v_NP: v, ...ops.attentionWithLogSumExp(q, { k_NP: k, v_NP: v }, batch, options) };
  const [dq, dk, dv] = gradients(q, k, v) as [Gradient, Gradient, Gradient];
  backward.attention({ q_NQ: dq, k_NP: dk, v_NP: dv }, filled(73, 24), saved, batch, options);
  keep('attention', saved.mix_NQ, saved.logSumExp_NH, dq.tensor, dk.tensor, dv.tensor);
  const dropping = { ...options, dropout: { rate: 0.2, key: 3, firstToken: 1 } };
  const dropped = { ...saved, ...ops.attentionWithLogSumExp(q, { k_NP: k, v_NP: v }, batch, dropping) };
  const [dq2, dk2, dv2] = gradients(q, k, v) as [Gradient, Gradient, Gradient];
  backward.attention({ q_NQ: dq2, k_NP: dk2, v_NP: dv2 }, filled(73, 24), dropped, batch, dropping);
  const [dx2] = gradients(q) as [Gradient];
  backward.dropout(dx2, q, dropping.dropout);
  keep('dropout', ops.dropout(q, dropping.dropout), dx2.tensor, dropped.mix_NQ, dq2.tensor, dk2.tensor, dv2.tensor);

  const [x, head] = [filled(9, 8), filled(37, 8)];
  const ce = gradients(x, head) as [Gradient, Gradient];
  const labels = Int32Array.from({ length: 9 }, (_, n) => (n === 4 ? -100 : n));
  keep('losses', backward.crossEntropy(ce[0], ce[1], x, head, labels, new Float64Array(9).fill(0.25), { zLoss: 0.01 }));
  keep('crossEntropy', ...tensorsOf(ce));

  const [y, gain, up] = [filled(33, 22), filled(22), filled(33, 22)];
  const norm = gradients(y, gain) as [Gradient, Gradient];
  backward.rmsNorm(norm[0], norm[1], up, y, gain, 1e-5);
  const gate = gradients(y, up) as [Gradient, Gradient];
  backward.swiglu(gate[0], gate[1], filled(33, 22), y, up);
  const [turned] = gradients(y) as [Gradient];
  backward.rope(turned, y, filled(33, 22));
  const [rows] = gradients(filled(5, 22)) as [Gradient];
  backward.embed(
    rows,
    y,
    Uint32Array.from({ length: 33 }, (_, n) => n % 5),
  );
  keep('elementwise', ops.rmsNorm(y, gain, 1e-5), ops.swiglu(y, up), ops.add(y, up), ops.scale(y, 0.3));
  keep('gradients', ...tensorsOf([...norm, ...gate, turned, rows]));

  labResults(device, filled, gradients, keep);

  const moments = { m: filled(33 * 22), v: ops.scale(filled(33 * 22), 0) };
  device.adamW(y, up, moments, 0, { ...STEP, beta1: 0.9, beta2: 0.95, eps: 1e-8, step: 3 });
  const matrix = filled(33, 22);
  const mean = filled(33, 22);
  device.blend(mean, 0.9, matrix, 0.1);
  device.muon(matrix, up, moments.m, { ...STEP, momentum: 0.95 });
  keep('optimizers', y, moments.m, moments.v, matrix, mean);
  keep('squares', device.sumSquares([up, matrix]));
  device.release(mark);
}
