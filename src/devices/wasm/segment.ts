/**
 * One WebAssembly.Memory (32-bit, so at most 4 GiB) with the kernels that work in it. A model larger than that is spread over several.
 *
 *   control area (kernels/tasks.ts), with the kernels' constants · allocations, first come first served
 *
 * Weights, caches and parameters are allocated for good; the arena takes chunks and reuses them.
 */
import { UnsupportedError } from '../../base/errors.ts';
import { formatBytes } from '../../base/units.ts';
import type { Blas } from '../../kernels/gemm/blas.ts';
import type { NativeKernels } from '../../kernels/native/kernels.ts';
import { CONTROL_ARGUMENTS, CONTROL_END, CONTROL_FAILED } from '../../kernels/tasks.ts';
import { Arena } from './arena.ts';
import { instantiate, type KernelExports } from './kernel-exports.ts';
import type { KernelLibrary } from './library.ts';

const PAGE = 65536;
const LIMIT = 2 ** 32 - PAGE; // the last page stays free, so that no end address wraps to 0
const GROWTH = 4 * 2 ** 20;
const ALIGNMENT = 64;

/** What layer 7 does with a new memory before anything is in it. */
export type PrepareMemory = (memory: WebAssembly.Memory, maximumBytes: number) => void;

interface SegmentOptions {
  readonly blas?: Blas | null;
  readonly prepare?: PrepareMemory | null;
  readonly native?: NativeKernels | null;
}

export class Segment {
  readonly index: number;
  readonly memory: WebAssembly.Memory;
  readonly kernels: KernelExports;
  /** Arguments of the next task, in the control area. */
  ints!: Int32Array;
  floats!: Float32Array;
  private bytes!: Uint8Array;
  private words!: Int32Array;
  private numbers!: Float32Array;
  private top: number;

  readonly arena: Arena;
  weightBytes = 0;
  /** Of parameters, gradients and moments. */
  allocatedBytes = 0;
  cacheBytes = 0;

  constructor(
    index: number,
    library: KernelLibrary,
    { blas = null, native = null, prepare = null }: SegmentOptions = {},
  ) {
    this.index = index;
    this.memory = new WebAssembly.Memory({ initial: 64, maximum: 65536, shared: library.shared });
    prepare?.(this.memory, 2 ** 32);
    const moduleOf = (task: number) => library.module(task);
    this.kernels = instantiate(library.team, this.memory, { blas, native, moduleOf });
    this.kernels.prepareTeam();
    this.top = CONTROL_END;
    this.refresh();
    this.arena = new Arena(this);
  }

  /** Bytes that can still be allocated, if the machine has them. */
  get room(): number {
    return LIMIT - this.top;
  }

  /** The worker that failed in the last task, or null. */
  get failed(): number | null {
    const failed = this.words[CONTROL_FAILED >>> 2]!;
    return failed === 0 ? null : failed - 1;
  }

  /** Permanent memory, filled with zeros. */
  allocate(byteCount: number, what: string): number {
    const start = this.top;
    const end = start + align(byteCount);
    const have = this.memory.buffer.byteLength;
    if (end > LIMIT) throw this.exhausted(byteCount, what);
    if (end > have) {
      const pages = Math.min(LIMIT - have, Math.max(end - have, GROWTH));
      try {
        this.memory.grow(Math.ceil(pages / PAGE));
      } catch {
        throw this.exhausted(byteCount, what);
      }
      this.refresh();
    }
    this.top = end;
    return start;
  }

  private exhausted(byteCount: number, what: string): UnsupportedError {
    return new UnsupportedError(
      'wasm.memory',
      `wasm device: ${what} needs ${formatBytes(byteCount)}, but memory ${this.index} holds ` +
        `${formatBytes(this.top)} already and could not grow (at most ${formatBytes(LIMIT)} each). ` +
        'Use a shorter context, a smaller kv type or a smaller model.',
    );
  }

  bytesAt(pointer: number, count: number): Uint8Array {
    return this.bytes.subarray(pointer, pointer + count);
  }
  floatsAt(pointer: number, count: number): Float32Array {
    return this.numbers.subarray(pointer >>> 2, (pointer >>> 2) + count);
  }
  doublesAt(pointer: number, count: number): Float64Array {
    return new Float64Array(this.memory.buffer, pointer, count);
  }
  wordsAt(pointer: number, count: number): Int32Array {
    return this.words.subarray(pointer >>> 2, (pointer >>> 2) + count);
  }
  setWord(pointer: number, value: number): void {
    this.words[pointer >>> 2] = value;
  }
  word(pointer: number): number {
    return this.words[pointer >>> 2]!;
  }
  copyWithin(to: number, from: number, count: number): void {
    if (to !== from) this.bytes.copyWithin(to, from, from + count);
  }

  /** Views of the memory as it is now: growing makes new ones. */
  private refresh(): void {
    const { buffer } = this.memory;
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    this.numbers = new Float32Array(buffer);
    this.ints = new Int32Array(buffer, CONTROL_ARGUMENTS, 32);
    this.floats = new Float32Array(buffer, CONTROL_ARGUMENTS, 32);
  }
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
