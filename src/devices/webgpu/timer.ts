/**
 * How long the GPU takes for each kernel: a pass for each dispatch, with the GPU's clock before and behind it. Passes cost time of their
 * own, so that the sum says nothing of a whole step; browsers round the clock to 100 µs.
 */
import { COPY_SOURCE, COPY_TARGET, MAP_READ } from './memory.ts';

const QUERY_RESOLVE = 0x200;
const MAP_READ_MODE = 1;
/** Numbers of a query set: the most that WebGPU allows. */
const QUERIES = 4096;

export interface KernelCount {
  dispatches: number;
  /** Of the buffers' parts that it was said to read and write. */
  bytes: number;
  /** Multiply-adds of products and attention, counted twice; what is done element by element is not counted. */
  flops: number;
}

/** What a step did, for benches and tests. */
export interface Counts {
  dispatches: number;
  submissions: number;
  /** Buffers, bind groups and pipelines made. */
  made: number;
  readonly kernels: Map<string, KernelCount>;
}

export class Timer {
  private readonly device: GPUDevice;
  /** As many as the passes need, full but for the last. */
  private readonly sets: GPUQuerySet[] = [];
  private readonly names: string[] = [];

  constructor(device: GPUDevice) {
    this.device = device;
  }

  /** The places of the next pass's two times. */
  next(name: string): GPUComputePassTimestampWrites {
    const at = (2 * this.names.length) % QUERIES;
    if (at === 0) this.sets.push(this.device.createQuerySet({ type: 'timestamp', count: QUERIES }));
    this.names.push(name);
    return { querySet: this.sets.at(-1)!, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 };
  }

  /** Seconds by kernel, of all passes that were submitted. */
  async read(): Promise<Map<string, number>> {
    const { device, names } = this;
    const seconds = new Map<string, number>();
    if (names.length === 0) return seconds;
    const size = 16 * names.length;
    const resolved = device.createBuffer({ size, usage: QUERY_RESOLVE | COPY_SOURCE });
    const staging = device.createBuffer({ size, usage: COPY_TARGET | MAP_READ });
    const encoder = device.createCommandEncoder();
    for (const [i, set] of this.sets.entries()) {
      const from = i * QUERIES;
      encoder.resolveQuerySet(set, 0, Math.min(QUERIES, 2 * names.length - from), resolved, from * 8);
    }
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, size);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(MAP_READ_MODE);
    const times = new BigUint64Array(staging.getMappedRange().slice(0));
    staging.destroy();
    resolved.destroy();
    for (const [i, name] of names.entries()) {
      // A clock that was reset in between gives nonsense: such a pass counts nothing.
      const nanoseconds = Math.max(0, Number(times[2 * i + 1]! - times[2 * i]!));
      seconds.set(name, (seconds.get(name) ?? 0) + nanoseconds / 1e9);
    }
    return seconds;
  }

  close(): void {
    for (const set of this.sets) set.destroy();
  }
}
