/** The machine's limits as our kernels meet them: memory read and multiply-adds of f32 by WebAssembly, of int8 by machine code of 512 bits where that runs. */
import { Worker } from 'node:worker_threads';
import { targetOf } from '../../../devices/wasm/library.ts';
import { limitsModule } from '../../../kernels/limits/kernel.ts';
import { CONTROL_END } from '../../../kernels/tasks.ts';
import { optimized } from '../../../platform/node/wide-kernels.ts';

export interface Limits {
  readonly readBytesPerSecond: number;
  readonly int8PerSecond: number;
  readonly f32PerSecond: number;
}

/** What a thread measures; rates are its own, while all of them work. */
export interface LimitsReport {
  readonly read: number;
  readonly int8: number;
  readonly f32: number;
}

/**
 * Measures with so many threads at once, with 256-bit vectors (`wide`) or without, and int8 as machine code of 512 bits (`native`) or not; about two
 * seconds, or half of one for the memory alone, when the others are taken as without limit.
 */
export async function measureLimits(
  threads: number,
  {
    wide,
    native,
    what = 'all',
  }: { readonly wide: boolean; readonly native: boolean; readonly what?: 'all' | 'memory' },
): Promise<Limits> {
  const module = optimized(limitsModule(targetOf(false)), { joinsPairs: wide, shared: false }); // threads that get it share the code
  const barrier = new Int32Array(new SharedArrayBuffer(4));
  const reports = await Promise.all(
    Array.from(
      { length: threads },
      () =>
        new Promise<LimitsReport>((resolve, reject) => {
          const worker = new Worker(new URL('./limits-worker.ts', import.meta.url), {
            workerData: { module, threads, barrier, what, native },
          });
          worker.on('message', resolve);
          worker.on('error', reject);
        }),
    ),
  );
  const sum = (key: keyof LimitsReport) => reports.reduce((total, report) => total + report[key], 0);
  return { readBytesPerSecond: sum('read'), int8PerSecond: sum('int8'), f32PerSecond: sum('f32') };
}

interface LimitKernels {
  limitRead(from: number, bytes: number, out: number): void;
  limitInt8(buffer: number, rounds: number, out: number): void;
  limitF32(buffer: number, rounds: number, out: number): void;
}

/** The functions in a memory of their own, and the first place in it that is free. */
export function instantiateLimits(
  module: WebAssembly.Module,
  pages: number,
): { kernels: LimitKernels; base: number; memory: WebAssembly.Memory } {
  const memory = new WebAssembly.Memory({ initial: pages, maximum: 65536 });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  return { kernels: exports as unknown as LimitKernels, memory, base: CONTROL_END };
}
