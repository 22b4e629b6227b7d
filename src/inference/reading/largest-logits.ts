/**
 * Rows of logits of which only the largest were read, where all who look at them need no more: a read of a few hundred bytes in place of
 * the whole vocabulary. The others are −∞ here.
 */
import type { Device } from '../../devices/device.ts';
import { columnCount, type Floats, rowCount, type Tensor } from '../../tensor/tensor.ts';
import type { EngineSequence } from '../running.ts';

export class LargestLogits {
  private floats = new Float32Array(0);
  /** Places that hold a number. */
  private places: number[] = [];

  /**
   * logits_RV of which the k largest of each row are right, or all where the device cannot tell them. The next call may overwrite
   * them.
   */
  async read(device: Device, logits_RV: Tensor, k: number): Promise<Floats> {
    const [R, V] = [rowCount(logits_RV.shape), columnCount(logits_RV.shape)];
    if (!device.largest || k >= V || k > device.mostLargest!) return device.read(logits_RV);
    const pairs = await device.read(device.largest(logits_RV, k));
    if (this.floats.length < R * V) this.floats = new Float32Array(R * V).fill(Number.NEGATIVE_INFINITY);
    else for (const place of this.places) this.floats[place] = Number.NEGATIVE_INFINITY;
    this.places = [];
    for (let i = 0; i < R * k; i++) {
      const place = Math.floor(i / k) * V + pairs[2 * i + 1]!;
      this.floats[place] = pairs[2 * i]!;
      this.places.push(place);
    }
    return this.floats;
  }
}

/** How many of the largest logits are enough for all who look at some. */
export function mostWanted(chosen: readonly { readonly job: EngineSequence; readonly wanted: number }[]): number {
  return Math.max(1, ...chosen.map(({ job, wanted }) => (wanted > 0 ? (job.enough ?? Number.POSITIVE_INFINITY) : 0)));
}
