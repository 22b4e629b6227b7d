/**
 * AdamW over a list of parameters; Muon for the blocks' matrices where asked for. Its state is sharded over the ranks (ZeRO-1): a rank
 * moves a part of every parameter, or, as Muon needs whole matrices, all of some of them.
 */
import type { Device } from '../devices/device.ts';
import type { Gradient } from '../kernels/backward-ops.ts';
import { elementCount, type Tensor } from '../tensor/tensor.ts';
import { type MatrixOptimizer, momentsOf, type Part, partsOf } from './ranks/parts.ts';
import type { Place, Sharding } from './ranks/sharding.ts';

/** A parameter that is trained, with the place where its gradient is summed up. */
export interface TrainableParameter {
  readonly name: string;
  readonly tensor: Tensor;
  readonly gradient: Gradient;
  /** This rank's numbers, where `tensor` holds them only while the parameter's block is at work. */
  readonly own?: Place['own'];
}

export interface OptimizerOptions {
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
  /** Which parameters decay: those with two or more dimensions, embedding and head included; or norm gains and biases too. */
  readonly decay: 'matrices' | 'all';
  /** What moves the matrices of the blocks; everything else is AdamW's. */
  readonly matrices: MatrixOptimizer;
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

/** The part of a parameter that a rank moves, and whose moments it holds. */
export interface OptimizerShard {
  readonly parameter: TrainableParameter;
  /** Of every rank. */
  readonly parts: readonly Part[];
  /** This rank's; where nothing is sharded, all of it. */
  readonly own: Part;
  /** What is kept of it, on whichever rank. */
  readonly kinds: ReturnType<typeof momentsOf>;
  /** null when `own` is nothing. */
  readonly moments: { readonly m: Tensor; readonly v: Tensor | null } | null;
}

/** Momentum of Muon, as its source has it. */
const MUON_MOMENTUM = 0.95;

/** Which of several ranks this is, and what they share. */
export interface OptimizerRanks {
  readonly rank: number;
  readonly size: number;
  readonly sharding: Sharding;
}

export class Optimizer {
  readonly shards: readonly OptimizerShard[];
  /** Steps taken. */
  step = 0;
  private readonly device: Device;
  private readonly options: OptimizerOptions;

  constructor(
    device: Device,
    parameters: readonly TrainableParameter[],
    options: OptimizerOptions,
    { rank, size, sharding }: OptimizerRanks = { rank: 0, size: 1, sharding: 'none' },
  ) {
    this.device = device;
    this.options = options;
    const named = parameters.map(({ name, tensor: { shape } }) => ({ name, shape }));
    const parts = partsOf(named, options.matrices, size);
    this.shards = parameters.map((parameter, i) => {
      const own = sharding === 'none' ? { from: 0, count: elementCount(parameter.tensor.shape) } : parts[i]![rank]!;
      const kinds = momentsOf(named[i]!, options.matrices);
      const allocate = (kind: 'm' | 'v') => (kinds.includes(kind) ? device.allocate([own.count]) : null);
      const moments = own.count > 0 ? { m: allocate('m')!, v: allocate('v') } : null;
      return { parameter, parts: parts[i]!, own, kinds, moments };
    });
  }

  /** Moves every parameter by its gradient times `gradientScale`: on one rank, or where nothing is sharded. */
  update(learningRate: number, gradientScale: number): void {
    this.step++;
    for (const shard of this.shards) this.move(shard, learningRate, gradientScale);
  }

  /** Moves this rank's part of a parameter by that of its gradient. `update` counts the steps; who calls this does it himself. */
  move({ parameter, own, moments }: OptimizerShard, learningRate: number, gradientScale: number): void {
    if (moments === null) return;
    const { weightDecay, decay, eps, betas, rateScales = {} } = this.options;
    const { name, tensor } = parameter;
    const gradient = parameter.gradient.tensor;
    const { m, v } = moments;
    if (v === null) {
      const step = { learningRate, momentum: MUON_MOMENTUM, weightDecay, gradientScale };
      this.device.muon(tensor, gradient, m, step);
      return;
    }
    const decays = decay === 'all' || tensor.shape.length >= 2;
    this.device.adamW(tensor, gradient, { m, v }, own.from, {
      learningRate: learningRate * (rateScales[name] ?? 1),
      gradientScale,
      beta1: betas[0],
      beta2: betas[1],
      eps,
      weightDecay: decays ? weightDecay : 0,
      step: this.step,
    });
  }
}
