/** What the machine offers, as far as Node can tell: cores, memory, and the WebAssembly features of this V8. */
import { readFileSync } from 'node:fs';
import os from 'node:os';
import v8 from 'node:v8';

export interface Machine {
  readonly node: string;
  readonly platform: string;
  readonly cpu: string;
  /** Cores that can compute side by side; two hyperthreads share one. What --threads is by default. */
  readonly physicalCores: number;
  /** Threads that this process may run at once (affinity and container limits counted). */
  readonly logicalCores: number;
  readonly memoryBytes: number;
  readonly freeMemoryBytes: number;
  readonly simd: boolean;
  readonly relaxedSimd: boolean;
  readonly sharedMemory: boolean;
  /** V8 can be asked to fuse neighbouring 128-bit operations, and the processor has 256-bit ones. */
  readonly revectorizer: boolean;
}

export function describeMachine(): Machine {
  const logicalCores = os.availableParallelism();
  return {
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    physicalCores: Math.min(physicalCoreCount() ?? logicalCores, logicalCores),
    logicalCores,
    memoryBytes: process.constrainedMemory() > 0 ? Math.min(process.constrainedMemory(), os.totalmem()) : os.totalmem(),
    freeMemoryBytes: process.availableMemory(),
    simd: WebAssembly.validate(functionOfTwoVectors([0xfd, 0x6e])), // i8x16.add
    relaxedSimd: WebAssembly.validate(functionOfTwoVectors([0xfd, 0x92, 0x02])), // i16x8.relaxed_dot_i8x16_i7x16_s
    sharedMemory: typeof SharedArrayBuffer === 'function',
    revectorizer: hasRevectorizer(),
  };
}

/** Cores, not hyperthreads; null where the system does not say. */
function physicalCoreCount(): number | null {
  if (process.platform !== 'linux') return null;
  const cores = new Set<string>();
  for (const processor of readText('/proc/cpuinfo').split('\n\n')) {
    const socket = /^physical id\s*:\s*(\d+)/m.exec(processor)?.[1];
    const core = /^core id\s*:\s*(\d+)/m.exec(processor)?.[1];
    if (core !== undefined) cores.add(`${socket}:${core}`);
  }
  return cores.size === 0 ? null : cores.size;
}

/** The switch exists only in V8s that carry the revectorizer; an unknown switch leaves no trace in the flag hash. */
function hasRevectorizer(): boolean {
  if (process.arch !== 'x64' || 'bun' in process.versions) return false; // Bun's engine is not V8, whatever it says
  if (process.platform === 'linux' && !cpuFlags().has('avx2')) return false;
  const [major = 0] = process.versions.v8.split('.').map(Number);
  return major >= 12 && typeof v8.setFlagsFromString === 'function';
}

/** What the processor can do, as Linux names it: 'avx2', 'avx512f' …; empty on other systems. */
export function cpuFlags(): ReadonlySet<string> {
  return new Set((/^flags\s*:(.*)$/m.exec(readText('/proc/cpuinfo'))?.[1] ?? '').trim().split(/\s+/));
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** A module with one function (v128, v128) → v128 whose body is the given operation; for WebAssembly.validate. */
function functionOfTwoVectors(operation: readonly number[]): Uint8Array<ArrayBuffer> {
  const body = [0, 0x20, 0, 0x20, 1, ...operation, 0x0b];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...[1, 7, 1, 0x60, 2, 0x7b, 0x7b, 1, 0x7b],
    ...[3, 2, 1, 0],
    ...[10, body.length + 2, 1, body.length, ...body],
  ]);
}
