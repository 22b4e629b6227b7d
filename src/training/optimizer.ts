/** AdamW over a list of parameters, its state sharded over the ranks (ZeRO-1); Muon for the blocks' matrices where asked for. */
import { UnsupportedError } from '../base/errors.ts';
import type { Device, Moments } from '../devices/device.ts';
import type { Gradient } from '../kernels/backward-ops.ts';
import { elementCount, type Tensor } from '../tensor/tensor.ts';
import { type Collective, solo } from './collective.ts';

/** A parameter that is trained, with the place where its gradient is summed up. */
export interface TrainableParameter {
  readonly name: string;
  readonly tensor: Tensor;
  readonly gradient: Gradient;
}

export interface OptimizerOptions {
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
  /** Which parameters decay: those with two or more dimensions, embedding and head included; or norm gains and biases too. */
  readonly decay: 'matrices' | 'all';
  /** What moves the matrices of the blocks; everything else is AdamW's. 'muon' works on one rank only. */
  readonly matrices: 'adamw' | 'muon';
}

/** Touvron et al. 2023, arXiv:2302.13971 §2.3. */
export const paperOptimizer: OptimizerOptions = {
  betas: [0.9, 0.95],
  eps: 1e-8,
  weightDecay: 0.1,
  decay: 'matrices',
  matrices: 'adamw',
};

/** The part of a parameter whose moments a rank holds: elements [from, from + count). */
export interface OptimizerShard {
  readonly parameter: TrainableParameter;
  readonly from: number;
  readonly count: number;
  /** null when count is 0. */
  readonly moments: Moments | null;
}

/** Momentum of Muon, as its source has it. */
const MUON_MOMENTUM = 0.95;

export class Optimizer {
  readonly shards: readonly OptimizerShard[];
  /** Steps taken. */
  step = 0;
  private readonly device: Device;
  private readonly options: OptimizerOptions;
  private readonly collective: Collective;

  constructor(device: Device, parameters: readonly TrainableParameter[], options: OptimizerOptions, collective = solo) {
    if (options.matrices === 'muon' && collective.size > 1) {
      const found = `optimizer: muon needs whole matrices, expected one rank, found ${collective.size}`;
      throw new UnsupportedError('training.muon-ranks', `${found}. Train with adamw, or on one rank.`);
    }
    this.device = device;
    this.options = options;
    this.collective = collective;
    this.shards = parameters.map((parameter) => {
      const { from, count } = shardOf(elementCount(parameter.tensor.shape), collective.rank, collective.size);
      const moments = count > 0 ? { m: device.allocate([count]), v: device.allocate([count]) } : null;
      return { parameter, from, count, moments };
    });
  }

  /** Moves every parameter by its gradient times `gradientScale`; then all ranks hold all of it. */
  async update(learningRate: number, gradientScale: number): Promise<void> {
    const { weightDecay, decay, eps, betas } = this.options;
    this.step++;
    for (const { parameter, from, moments } of this.shards) {
      const decays = decay === 'all' || parameter.tensor.shape.length >= 2;
      if (moments && this.options.matrices === 'muon' && isBlockMatrix(parameter)) {
        const step = { learningRate, momentum: MUON_MOMENTUM, weightDecay, gradientScale };
        this.device.muon(parameter.tensor, parameter.gradient.tensor, moments.m, step);
      } else if (moments) {
        this.device.adamW(parameter.tensor, parameter.gradient.tensor, moments, from, {
          learningRate,
          gradientScale,
          beta1: betas[0],
          beta2: betas[1],
          eps,
          weightDecay: decays ? weightDecay : 0,
          step: this.step,
        });
      }
      if (this.collective.size > 1) await this.gather(parameter.tensor);
    }
  }

  /** Every rank sends the part that it has moved to the others. */
  private async gather(tensor: Tensor): Promise<void> {
    const { collective, device } = this;
    const values = (await device.read(tensor)) as Float32Array;
    for (let rank = 0; rank < collective.size; rank++) {
      const { from, count } = shardOf(values.length, rank, collective.size);
      if (count > 0) collective.broadcast(values.subarray(from, from + count), rank);
    }
    device.write(tensor, values);
  }
}

function isBlockMatrix({ name, tensor }: TrainableParameter): boolean {
  return tensor.shape.length === 2 && name.startsWith('blocks.');
}

/** A rank's part of `length` elements: as even as can be, in order. */
export function shardOf(length: number, rank: number, size: number): { readonly from: number; readonly count: number } {
  const from = Math.floor((length * rank) / size);
  return { from, count: Math.floor((length * (rank + 1)) / size) - from };
}
