/**
 * Kernels as machine code, for the processors that have an encoding here: today x86-64 with AVX-512 VNNI, of `linear` and of
 * attention over the cache, but for caps and sinks.
 * The task, its arguments and its bits are those of the WebAssembly kernel.
 */

import { attention } from '../attention/cached/kernel.ts';
import { writeAttention } from '../attention/cached/x64/attention.ts';
import { gemm } from '../gemm/kernel.ts';
import { writeGemm } from '../gemm/x64/gemm.ts';
import { taskNumber } from '../kernels.ts';
import { linearFloats } from '../linear/floats/kernel.ts';
import { floatPackings } from '../linear/floats/packing.ts';
import { writeFloats } from '../linear/floats/x64/products.ts';
import { linearMatrix, linearVector } from '../linear/int8/kernel.ts';
import { packings } from '../linear/int8/packing.ts';
import { writeMatrix, writeVector } from '../linear/int8/x64/products.ts';
import { kvTypes } from '../ops.ts';
import { Code } from './x64/code.ts';

/** Machine code, and where in it each task's function begins. It may lie anywhere in memory. */
export interface NativeCode {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly entries: readonly (readonly [task: number, offset: number])[];
}

/** Machine code that lies in this process's memory: an address, and the functions' as in NativeCode. For all threads. */
export interface NativePlace {
  readonly address: number;
  readonly entries: NativeCode['entries'];
}

/** What a thread runs: for a memory, the functions by the number of their task. */
export interface NativeKernels {
  readonly place: NativePlace;
  bind(memory: WebAssembly.Memory): ReadonlyMap<number, Perform>;
}
/** Units `first` to `last` − 1 of a task whose arguments the memory holds. */
export type Perform = (first: number, last: number, thread: number) => void;

/** Functions begin at addresses that are multiples of this. */
const ALIGNMENT = 64;

/** `isFused`: multiply-adds of floats round once, as in the relaxed builds of WebAssembly. */
export function nativeCode({ isFused }: { readonly isFused: boolean }): NativeCode {
  const parts: Uint8Array[] = [];
  const entries: [number, number][] = [];
  let length = 0;
  const add = (task: number, write: (code: Code) => void) => {
    const code = new Code();
    write(code);
    entries.push([task, length]);
    parts.push(code.bytes());
    length = Math.ceil((length + code.length) / ALIGNMENT) * ALIGNMENT;
  };
  for (const packing of packings) {
    const [vector, matrix] = [linearVector[packing.kind]!, linearMatrix[packing.kind]!];
    add(taskNumber(vector), (code) => writeVector(code, packing, vector));
    add(taskNumber(matrix), (code) => writeMatrix(code, packing, matrix));
  }
  for (const packing of floatPackings) {
    const task = linearFloats[packing.kind]!;
    add(taskNumber(task), (code) => writeFloats(code, packing, task, isFused));
  }
  for (const type of kvTypes) {
    const task = attention[type];
    add(taskNumber(task), (code) => writeAttention(code, type, task, isFused));
  }
  add(taskNumber(gemm), (code) => writeGemm(code, gemm, isFused));
  const bytes = new Uint8Array(length);
  entries.forEach(([, offset], i) => {
    bytes.set(parts[i]!, offset);
  });
  return { bytes, entries };
}
