/**
 * AdamW over a list of parameters; Muon for the blocks' matrices where asked for. Its state is sharded over the ranks (ZeRO-1): a rank
 * moves a part of every parameter, or, as Muon needs whole matrices, all of some of them.
 */
import type { Device, Moments } from '../devices/device.ts';
import type { Gradient } from '../kernels/backward-ops.ts';
import { columnCount, elementCount, rowCount, type Tensor } from '../tensor/tensor.ts';
import { type Collective, solo } from './collective.ts';
import { type Part, shardOf, shareOut, wholeFor } from './ranks/parts.ts';

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
  /** What moves the matrices of the blocks; everything else is AdamW's. */
  readonly matrices: 'adamw' | 'muon';
  /** Factors on the learning rate of what AdamW moves, by the parameters' names; absent: 1. */
  readonly rateScales?: Readonly<Record<string, number>>;
}

/** Touvron et al. 2023, arXiv:2302.13971 §2.3. */
export const paperOptimizer: OptimizerOptions = {
  betas: [0.9, 0.95],
  eps: 1e-8,
  weightDecay: 0.1,
  decay: 'matrices',
  matrices: 'adamw',
};

/** The part of a parameter whose moments a rank holds. */
export interface OptimizerShard {
  readonly parameter: TrainableParameter;
  /** Of every rank. */
  readonly parts: readonly Part[];
  /** This rank's. */
  readonly own: Part;
  /** null when that is nothing. */
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
    this.device = device;
    this.options = options;
    this.collective = collective;
    const parts = partsOf(parameters, options, collective.size);
    this.shards = parameters.map((parameter, i) => {
      const own = parts[i]![collective.rank]!;
      const moments = own.count > 0 ? { m: device.allocate([own.count]), v: device.allocate([own.count]) } : null;
      return { parameter, parts: parts[i]!, own, moments };
    });
  }

  /** Moves every parameter by its gradient times `gradientScale`; then all ranks hold all of it. */
  async update(learningRate: number, gradientScale: number): Promise<void> {
    const { weightDecay, decay, eps, betas, rateScales = {} } = this.options;
    this.step++;
    for (const { parameter, parts, own, moments } of this.shards) {
      const decays = decay === 'all' || parameter.tensor.shape.length >= 2;
      if (moments && isMuons(parameter, this.options)) {
        const step = { learningRate, momentum: MUON_MOMENTUM, weightDecay, gradientScale };
        this.device.muon(parameter.tensor, parameter.gradient.tensor, moments.m, step);
      } else if (moments) {
        this.device.adamW(parameter.tensor, parameter.gradient.tensor, moments, own.from, {
          learningRate: learningRate * (rateScales[parameter.name] ?? 1),
          gradientScale,
          beta1: betas[0],
          beta2: betas[1],
          eps,
          weightDecay: decays ? weightDecay : 0,
          step: this.step,
        });
      }
      if (this.collective.size > 1) await this.gather(parameter.tensor, parts);
    }
  }

  /** Every rank sends the part that it has moved to the others. */
  private async gather(tensor: Tensor, parts: readonly Part[]): Promise<void> {
    const { collective, device } = this;
    const values = (await device.read(tensor)) as Float32Array;
    for (const [rank, { from, count }] of parts.entries()) {
      if (count > 0) collective.broadcast(values.subarray(from, from + count), rank);
    }
    device.write(tensor, values);
  }
}

function isMuons({ name, tensor }: TrainableParameter, { matrices }: OptimizerOptions): boolean {
  return matrices === 'muon' && tensor.shape.length === 2 && name.startsWith('blocks.');
}

/** Of each parameter, every rank's part. */
function partsOf(parameters: readonly TrainableParameter[], options: OptimizerOptions, size: number): Part[][] {
  const whole = parameters.filter((parameter) => isMuons(parameter, options));
  const owners = shareOut(
    whole.map(({ tensor }) => newtonSchulzCost(rowCount(tensor.shape), columnCount(tensor.shape))),
    size,
  );
  return parameters.map((parameter) => {
    const length = elementCount(parameter.tensor.shape);
    const place = whole.indexOf(parameter);
    if (place >= 0) return wholeFor(owners[place]!, length, size);
    return Array.from({ length: size }, (_, rank) => shardOf(length, rank, size));
  });
}

/** Multiply-adds of a Newton–Schulz step on an R × C matrix (kernels/muon). */
function newtonSchulzCost(R: number, C: number): number {
  const [small, large] = [Math.min(R, C), Math.max(R, C)];
  return small * small * (2 * large + small);
}
