import type { Device } from '../../devices/device.ts';
import { type Model, replaceWeights } from '../../model/model.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { TrainableParameter } from '../optimizer.ts';

/**
 * The exponential moving average of the weights, without a bias towards the first ones:
 *
 *   a_n = Σ decay^(n−i) · w_i / Σ decay^(n−i) = a_(n−1) + (w_n − a_(n−1)) · (1 − decay) / (1 − decay^n)      i = 1 … n
 *
 * Before the first update it is the weights as they are. Every rank averages all of it, as every rank has all weights.
 *
 * Source   Kingma & Ba 2015, arXiv:1412.6980 §7.2 (temporal averaging, and its correction for the beginning).
 */
export class WeightAverage {
  /** The model that computes with the averages, with the build options and untrained tensors of the other. */
  readonly model: Model;
  /** Updates that the averages are of. */
  count = 0;
  private readonly device: Device;
  private readonly decay: number;
  private readonly pairs: ReadonlyMap<Tensor, Tensor>;

  constructor(device: Device, model: Model, parameters: readonly TrainableParameter[], decay: number) {
    this.device = device;
    this.decay = decay;
    this.pairs = new Map(parameters.map(({ tensor }) => [tensor, device.allocate(tensor.shape)]));
    this.model = replaceWeights(model, this.pairs);
    this.begin();
  }

  /** What a trained tensor's average is kept in; the tensor itself where it is not trained. */
  of(tensor: Tensor): Tensor {
    return this.pairs.get(tensor) ?? tensor;
  }

  /** Forgets what was averaged. */
  begin(): void {
    this.count = 0;
    for (const [weight, mean] of this.pairs) this.device.copy(mean, weight);
  }

  /** Takes the weights as they are now into the averages. */
  update(): void {
    this.count++;
    const part = this.count === 1 ? 1 : (1 - this.decay) / (1 - this.decay ** this.count);
    for (const [weight, mean] of this.pairs) this.device.blend(mean, 1 - part, weight, part);
  }
}
