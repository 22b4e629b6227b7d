/**
 * Kernels as machine code, for the processors that have an encoding here: x86-64 with AVX-512 VNNI, of `linear` and of attention over the
 * cache, but for caps and sinks; with 256-bit vectors, of what reads most for what it computes: matrix-vector products of quantized weights;
 * AArch64 with dot product instructions, of products with quantized weights.
 * The task, its arguments and its bits are those of the WebAssembly kernel.
 */

import { attention, attentionCombine } from '../attention/cached/kernel.ts';
import { writeAttention, writeCombine } from '../attention/cached/x64/attention.ts';
import { gemm } from '../gemm/kernel.ts';
import { writeGemm } from '../gemm/x64/gemm.ts';
import { taskNumber } from '../kernels.ts';
import { linearFloats } from '../linear/floats/kernel.ts';
import { floatPackings } from '../linear/floats/packing.ts';
import { writeFloats } from '../linear/floats/x64/products.ts';
import { writeMatrix as writeMatrixArm64 } from '../linear/int8/arm64/matrix.ts';
import { writeVector as writeVectorArm64 } from '../linear/int8/arm64/vector.ts';
import { linearMatrix, linearVector } from '../linear/int8/kernel.ts';
import { packings } from '../linear/int8/packing.ts';
import { writeMatrix } from '../linear/int8/x64/matrix.ts';
import { Sums512, writeVector } from '../linear/int8/x64/vector.ts';
import { Sums256 } from '../linear/int8/x64/vector256.ts';
import { kvTypes } from '../ops.ts';
import type { Task } from '../writer/task.ts';
import { Code as CodeArm64 } from './arm64/code.ts';
import { Code } from './x64/code.ts';

/** Machine code, and where in it each task's function begins. It may lie anywhere in memory. */
export interface NativeCode {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly entries: readonly (readonly [task: number, offset: number])[];
}

/** Machine code that lies in this process's memory: an address, and the functions' as in NativeCode. For all threads. */
export interface NativePlace {
  readonly address: number;
  readonly way: NativeWay;
  readonly entries: NativeCode['entries'];
}

/** What a thread runs: for a memory, the functions by the number of their task. */
export interface NativeKernels {
  readonly place: NativePlace;
  bind(memory: WebAssembly.Memory): ReadonlyMap<number, Perform>;
}
/** Whether f32 products and those of floats are among them: a BLAS gains nothing then where weights are frozen or a side is thin. */
export function hasWideProducts(native: NativeKernels | null): boolean {
  return native?.place.way === 'AVX-512';
}
/** Units `first` to `last` − 1 of a task whose arguments the memory holds. */
export type Perform = (first: number, last: number, thread: number) => void;

/** Functions begin at addresses that are multiples of this. */
const ALIGNMENT = 64;

/**
 * Ways to write them, by the processor's architecture and instructions, the best first: 512-bit vectors and VNNI, 256-bit ones with VNNI and
 * without; 128-bit ones with products of small matrices of bytes, and with dot products alone.
 */
export const nativeWays = { x64: ['AVX-512', 'AVX-VNNI', 'AVX2'], arm64: ['I8MM', 'DotProd'] } as const;
export type Architecture = keyof typeof nativeWays;
export type NativeWay = (typeof nativeWays)[Architecture][number];

export interface NativeOptions {
  readonly way: NativeWay;
  /** Multiply-adds of floats round once, as in the relaxed builds of WebAssembly. */
  readonly isFused: boolean;
}

export function nativeCode({ way, isFused }: NativeOptions): NativeCode {
  const parts: Uint8Array[] = [];
  const entries: [number, number][] = [];
  let length = 0;
  const adder =
    <C extends { readonly length: number; bytes(): Uint8Array }>(create: () => C): Add<C> =>
    (task, write) => {
      const code = create();
      write(code);
      entries.push([taskNumber(task), length]);
      parts.push(code.bytes());
      length = Math.ceil((length + code.length) / ALIGNMENT) * ALIGNMENT;
    };
  const x64 = (width: 256 | 512) => adder(() => new Code(width));
  if (way === 'AVX-512') write512(x64(512), isFused);
  else if (way === 'AVX-VNNI' || way === 'AVX2') write256(x64(256), way === 'AVX-VNNI');
  else
    write128(
      adder(() => new CodeArm64()),
      way,
    );
  const bytes = new Uint8Array(length);
  entries.forEach(([, offset], i) => {
    bytes.set(parts[i]!, offset);
  });
  return { bytes, entries };
}

type Add<C> = (task: Task, write: (code: C) => void) => void;

function write512(add: Add<Code>, isFused: boolean): void {
  for (const packing of packings) {
    const [vector, matrix] = [linearVector[packing.kind]!, linearMatrix[packing.kind]!];
    add(vector, (code) => writeVector(code, packing, vector, (frame) => new Sums512(code, frame, packing)));
    add(matrix, (code) => writeMatrix(code, packing, matrix));
  }
  for (const packing of floatPackings) {
    const task = linearFloats[packing.kind]!;
    add(task, (code) => writeFloats(code, packing, task, isFused));
  }
  for (const type of kvTypes) {
    const task = attention[type];
    add(task, (code) => writeAttention(code, type, task, isFused));
  }
  add(attentionCombine, (code) => writeCombine(code, attentionCombine));
  add(gemm, (code) => writeGemm(code, gemm, isFused));
}

/** The rest is bound by what a processor can multiply, of which WebAssembly's 256-bit kernels reach nearly all. */
function write256(add: Add<Code>, hasDot: boolean): void {
  for (const packing of packings) {
    const task = linearVector[packing.kind]!;
    add(task, (code) => writeVector(code, packing, task, (frame) => new Sums256(code, frame, packing, hasDot)));
  }
}

function write128(add: Add<CodeArm64>, way: 'I8MM' | 'DotProd'): void {
  const by = way === 'I8MM' ? 'small matrices' : 'dot products';
  for (const packing of packings) {
    const [vector, matrix] = [linearVector[packing.kind]!, linearMatrix[packing.kind]!];
    add(vector, (code) => writeVectorArm64(code, packing, vector));
    add(matrix, (code) => writeMatrixArm64(code, packing, matrix, by));
  }
}
