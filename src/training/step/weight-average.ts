import { type Device, fromFloats } from '../../devices/device.ts';
import { type Model, replaceWeights } from '../../model/model.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { TrainableParameter } from '../optimizer.ts';
import type { Place } from '../ranks/sharding.ts';
import type { PlacedWeight } from '../trainable-model.ts';

type Own = NonNullable<Place['own']>;

/**
 * The exponential moving average of the weights, without a bias towards the first ones:
 *
 *   a_n = Σ decay^(n−i) · w_i / Σ decay^(n−i) = a_(n−1) + (w_n − a_(n−1)) · (1 − decay) / (1 − decay^n)      i = 1 … n
 *
 * Before the first update it is the weights as they are. Every rank averages what it has: all weights, or, of those that are shared, its part.
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
  /** Of the parameters that are there only while their block is at work: this rank's numbers, and their averages. */
  private readonly parts: ReadonlyMap<Own, Own>;

  constructor(device: Device, model: Model, parameters: readonly TrainableParameter[], decay: number) {
    this.device = device;
    this.decay = decay;
    const whole = parameters.filter(({ own }) => !own);
    this.pairs = new Map(whole.map(({ tensor }) => [tensor, device.allocate(tensor.shape)]));
    const shared = parameters.flatMap(({ own }) => (own ? [own] : []));
    this.parts = new Map(shared.map((own) => [own, { ...own, numbers: new Float32Array(own.numbers.length) }]));
    this.model = replaceWeights(model, this.pairs);
    this.begin();
  }

  /** Where a weight's average is; the weight itself where it is not trained. */
  of({ name, tensor, own }: PlacedWeight): PlacedWeight {
    return { name, tensor: this.pairs.get(tensor) ?? tensor, own: own ? this.parts.get(own)! : null };
  }

  /** Forgets what was averaged. */
  begin(): void {
    this.count = 0;
    for (const [weight, mean] of this.pairs) this.device.copy(mean, weight);
    for (const [own, mean] of this.parts) mean.numbers.set(own.numbers);
  }

  /** Takes the weights as they are now into the averages. */
  async update(): Promise<void> {
    this.count++;
    const part = this.count === 1 ? 1 : (1 - this.decay) / (1 - this.decay ** this.count);
    for (const [weight, mean] of this.pairs) this.device.blend(mean, 1 - part, weight, part);
    for (const [own, mean] of this.parts) if (own.part.count > 0) await this.blendPart(own, mean, part);
  }

  private async blendPart(own: Own, mean: Own, part: number): Promise<void> {
    const { device } = this;
    const mark = device.mark();
    const [to, from] = [
      fromFloats(device, mean.numbers, [own.part.count]),
      fromFloats(device, own.numbers, [own.part.count]),
    ];
    device.blend(to, 1 - part, from, part);
    const reading = device.read(to);
    device.release(mark);
    mean.numbers.set(await reading);
  }

  /** Bytes outside of the device. */
  heldBytes(): number {
    return [...this.parts.values()].reduce((sum, { numbers }) => sum + numbers.byteLength, 0);
  }
}
