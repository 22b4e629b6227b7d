/**
 * The phone factory: a net of two layers that is trained in a page, to see what its second layer receives while the first one learns.
 *
 *   received = norm(x · w₁ᵀ + b₁)   y = relu(received) · w₂ᵀ + b₂   loss = mean (y − target)²
 *
 * By the reference device and the tape, as a model is trained; plain gradient descent. Source: Ioffe & Szegedy 2015, arXiv:1502.03167.
 */
import { Tape } from '../autograd/tape.ts';
import { Random } from '../base/random.ts';
import type { Device } from '../devices/device.ts';
import { createReferenceDevice } from '../devices/reference/device.ts';
import type { Gradient } from '../kernels/backward-ops.ts';
import type { Ops } from '../kernels/ops.ts';
import type { Tensor } from '../tensor/tensor.ts';

export type FactoryNorm = 'none' | 'batch' | 'layer' | 'rms';

const [BATCH, INPUTS, WIDTH] = [64, 4, 24];
const EPS = 1e-5;

export interface FactoryState {
  readonly step: number;
  readonly loss: number;
  /** All numbers that layer 2 receives in this step's batch. */
  readonly received: Float64Array;
  /** Of them. */
  readonly mean: number;
  readonly deviation: number;
}

export class Factory {
  private readonly device: Device = createReferenceDevice();
  private readonly norm: FactoryNorm;
  private readonly random: Random;
  private readonly parameters: Readonly<Record<'w1' | 'b1' | 'gain' | 'shift' | 'w2' | 'b2', Tensor>>;
  private readonly statistics: { readonly mean_D: Tensor; readonly variance_D: Tensor };
  private step = 0;

  constructor(norm: FactoryNorm, seed: number) {
    this.norm = norm;
    this.random = new Random(seed);
    const start = new Random(seed + 1);
    const tensor = (shape: readonly number[], value: () => number) => {
      const made = this.device.allocate(shape);
      const count = shape.reduce((a, b) => a * b, 1);
      this.device.write(made, Float32Array.from({ length: count }, value));
      return made;
    };
    this.parameters = {
      w1: tensor([WIDTH, INPUTS], () => start.normal() * 0.7),
      b1: tensor([WIDTH], () => 0),
      gain: tensor([WIDTH], () => 1),
      shift: tensor([WIDTH], () => 0),
      w2: tensor([1, WIDTH], () => start.normal() / Math.sqrt(WIDTH)),
      b2: tensor([1], () => 0),
    };
    this.statistics = { mean_D: tensor([WIDTH], () => 0), variance_D: tensor([WIDTH], () => 1) };
  }

  /** One step of gradient descent on a new batch. */
  async learn(rate: number): Promise<FactoryState> {
    const { device, parameters } = this;
    const gradients = new Map<Tensor, Gradient>();
    for (const parameter of Object.values(parameters)) {
      gradients.set(parameter, { tensor: device.allocate(parameter.shape), isEmpty: true });
    }
    const tape = new Tape(device, gradients, 'none');
    const { x, target } = this.batch();
    const x_NI = device.scratch([BATCH, INPUTS]);
    device.write(x_NI, x);
    const { ops } = tape;
    const received_ND = this.normed(ops, ops.linear(x_NI, parameters.w1, parameters.b1));
    const y_N1 = ops.linear(ops.relu(received_ND), parameters.w2, parameters.b2);
    const y = await device.read(y_N1);
    const errors = Float64Array.from(y, (value, n) => value - target[n]!);
    const dy = tape.gradientOf(y_N1)!;
    device.write(
      dy.tensor,
      errors.map((error) => (2 * error) / BATCH),
    );
    dy.isEmpty = false;
    tape.backward();
    for (const [parameter, { tensor, isEmpty }] of gradients) {
      if (isEmpty) continue;
      const [value, slope] = [await device.read(parameter), await device.read(tensor)];
      device.write(
        parameter,
        value.map((each: number, i: number) => each - rate * slope[i]!),
      );
    }
    const received = Float64Array.from(await device.read(received_ND));
    const mean = received.reduce((a, b) => a + b, 0) / received.length;
    const deviation = Math.sqrt(received.reduce((sum, value) => sum + (value - mean) ** 2, 0) / received.length);
    const loss = errors.reduce((sum, error) => sum + error * error, 0) / BATCH;
    return { step: ++this.step, loss, received, mean, deviation };
  }

  private normed(ops: Ops, h_ND: Tensor): Tensor {
    const { gain, shift } = this.parameters;
    switch (this.norm) {
      case 'none':
        return h_ND;
      case 'batch':
        return ops.batchNorm(h_ND, gain, shift, EPS, { ...this.statistics, momentum: 0.1, training: true });
      case 'layer':
        return ops.layerNorm(h_ND, gain, shift, EPS);
      case 'rms':
        return ops.rmsNorm(h_ND, gain, EPS);
      default:
        return this.norm satisfies never;
    }
  }

  /** Inputs that are off their middle, as real ones are, and a function of them that the net is to learn. */
  private batch(): { x: Float64Array; target: Float64Array } {
    const x = Float64Array.from({ length: BATCH * INPUTS }, (_, i) => 1 + (i % INPUTS) + this.random.normal());
    const target = Float64Array.from(
      { length: BATCH },
      (_, n) => Math.sin(x[n * INPUTS]!) + 0.5 * x[n * INPUTS + 1]! * Math.tanh(x[n * INPUTS + 2]! - 3),
    );
    return { x, target };
  }
}
