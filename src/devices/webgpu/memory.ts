/**
 * Buffers of a GPU. What lives until close() has a buffer of its own. Activations come from a pool of buffers by size class and go back
 * to it when they are released, so that a step of the same shape gets the same buffers, and with them the same bind
 * groups. They are not parts of one large buffer, as a dispatch may not use one buffer both read-only and for writing.
 */
import { assert } from '../../base/assert.ts';
import { UnsupportedError } from '../../base/errors.ts';
import type { Call } from './fusion.ts';

/** A part of a buffer that a kernel can be given. */
export interface Region {
  /** For bind groups: no two regions have the same. */
  readonly id: number;
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
  /** Whether anything queued since the last submission touches it. */
  touched: number;
  /** The last call that is held back and writes it (fusion.ts). */
  writer: Call | null;
}

/** What buffers hold, for `memory()`. */
export type Purpose = 'weights' | 'allocated' | 'cache' | 'arena';

// GPUBufferUsage and GPUMapMode are globals of browsers; here are the specification's numbers.
export const STORAGE = 0x80;
export const UNIFORM = 0x40;
export const COPY_SOURCE = 4;
export const COPY_TARGET = 8;
export const MAP_READ = 1;
const MAP_READ_MODE = 1;

/** Steps between powers of two among the size classes of activations: at most a quarter is lost. */
const CLASS_STEPS = 4;
const SMALLEST = 256;

export class Memory {
  readonly bytes: Record<Purpose, number> = { weights: 0, allocated: 0, cache: 0, arena: 0 };
  private readonly device: GPUDevice;
  private readonly buffers: GPUBuffer[] = [];
  private readonly free = new Map<number, Region[]>();
  private readonly live: Region[] = [];
  private nextId = 1;

  constructor(device: GPUDevice) {
    this.device = device;
  }

  /** The most bytes that one binding may have. */
  get largest(): number {
    const { maxStorageBufferBindingSize, maxBufferSize } = this.device.limits;
    return Math.floor(Math.min(maxStorageBufferBindingSize, maxBufferSize) / 256) * 256;
  }

  /** A new buffer of zeros. `what` is for the error of one that is too large. */
  create(bytes: number, purpose: Purpose, what: string): Region {
    const size = Math.max(16, Math.ceil(bytes / 16) * 16);
    if (size > this.largest) {
      throw new UnsupportedError(
        'webgpu.buffer-size',
        `webgpu: ${what} takes ${size} bytes, expected at most the ${this.largest} that this adapter allows in one buffer. ` +
          'Use a smaller model, batch or context, or device "wasm".',
      );
    }
    const buffer = this.device.createBuffer({ size, usage: STORAGE | COPY_SOURCE | COPY_TARGET });
    this.buffers.push(buffer);
    this.bytes[purpose] += size;
    return this.region(buffer, 0, size);
  }

  /** A part of a buffer as a region of its own; `offset` is a multiple of the adapter's alignment, which is 256 at most. */
  region(buffer: GPUBuffer, offset: number, size: number): Region {
    return { id: this.nextId++, buffer, offset, size, touched: -1, writer: null };
  }

  /** A buffer of the pool, with any numbers in it; it is released by a mark. */
  take(bytes: number): Region {
    const size = classOf(bytes);
    const region = this.free.get(size)?.pop() ?? this.create(size, 'arena', 'an activation');
    this.live.push(region);
    return region;
  }

  mark(): number {
    return this.live.length;
  }

  release(mark: number): void {
    assert(mark <= this.live.length, `release: mark ${mark} of ${this.live.length} live activations`);
    while (this.live.length > mark) this.putBack(this.live.pop()!);
  }

  /** Releases all regions since the mark but these. */
  keep(mark: number, kept: ReadonlySet<Region>): void {
    const since = this.live.splice(mark);
    for (const region of since.reverse()) if (!kept.has(region)) this.putBack(region);
    for (const region of since.reverse()) if (kept.has(region)) this.live.push(region);
  }

  /** The free ones of a size stand in order, so that the next step takes the same whatever the order they came back in. */
  private putBack(region: Region): void {
    if (region.writer) region.writer.isDead = true;
    const list = this.free.get(region.size);
    if (!list) {
      this.free.set(region.size, [region]);
      return;
    }
    let at = list.length;
    while (at > 0 && list[at - 1]!.id < region.id) at--;
    list.splice(at, 0, region);
  }

  close(): void {
    for (const buffer of this.buffers) buffer.destroy();
  }
}

/** The size class of an activation: a quarter of a power of two. */
function classOf(bytes: number): number {
  if (bytes <= SMALLEST) return SMALLEST;
  const step = 2 ** Math.floor(Math.log2(bytes - 1)) / CLASS_STEPS;
  return Math.ceil(bytes / step) * step;
}

/** A buffer that a dispatch writes is given to it once: WebGPU refuses all else, and what only counts would not notice. */
export function assertWrittenOnce(
  {
    name,
    bufferNames,
    isWritten,
  }: { readonly name: string; readonly bufferNames: readonly string[]; readonly isWritten: readonly boolean[] },
  regions: readonly Region[],
): void {
  for (const [i, written] of regions.entries()) {
    if (!isWritten[i]) continue;
    const other = regions.findIndex(({ buffer }, k) => k !== i && buffer === written.buffer);
    assert(other < 0, `${name}: ${bufferNames[i]} is written, and ${bufferNames[other]} is the same buffer`);
  }
}

/** Waits a little, where a browser looks only now and then whether a GPU is done. */
export type Pause = () => Promise<void>;

/**
 * Maps a buffer for reading. Firefox looks every 100 ms whether a GPU is done, and whenever something is submitted (its bug 1870699):
 * with `pause`, empty work is submitted after each until the buffer is there, so that a token does not wait for a tenth of a second.
 */
export async function mapForReading(
  device: GPUDevice,
  buffer: GPUBuffer,
  bytes: number,
  pause: Pause | null,
  hasFailed: () => boolean = () => false,
): Promise<void> {
  const mapped = buffer.mapAsync(MAP_READ_MODE, 0, bytes);
  if (pause === null) return mapped;
  let isDone = false;
  const end = () => {
    isDone = true;
  };
  mapped.then(end, end);
  await pause();
  // A lost device may leave it pending for ever.
  while (!isDone && !hasFailed()) {
    device.queue.submit([device.createCommandEncoder().finish()]);
    await pause();
  }
  return mapped;
}
