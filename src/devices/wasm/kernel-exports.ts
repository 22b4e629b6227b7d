import { assert } from '../../base/assert.ts';
import type { Blas } from '../../kernels/gemm/blas.ts';
import type { NativeKernels, Perform } from '../../kernels/native/kernels.ts';

/** The kernels and the team that shares their tasks out, compiled. */
export interface KernelModules {
  readonly kernels: WebAssembly.Module;
  readonly team: WebAssembly.Module;
}

/** What the team exports (kernels/team/kernel.ts). */
export interface KernelExports {
  prepareTeam(): void;
  describe(task: number, units: number, chunk: number, threads: number): void;
  open(segment: number): void;
  close(): void;
  takePart(thread: number): void;
  runAlone(task: number, units: number): void;
  runShared(task: number, units: number, chunk: number, threads: number): void;
  serve(thread: number): number;
  leave(): void;
}

/** The kernels at work in a memory; `blas` does the matrix products of the tasks that are left to one, `native` the tasks that it has. */
export function instantiate(
  modules: KernelModules,
  memory: WebAssembly.Memory,
  { blas, native }: { readonly blas: Blas | null; readonly native: NativeKernels | null },
): KernelExports {
  const none = () => assert(false, 'kernels: a task for a BLAS, and none was given');
  const products = { sgemm: blas?.sgemm?.(memory) ?? none, bgemm: blas?.bgemm?.(memory) ?? none };
  const kernels = new WebAssembly.Instance(modules.kernels, { env: { memory, ...products } }).exports;
  const written = kernels.perform as PerformTask;
  const perform = native ? preferring(native.bind(memory), written) : written;
  return new WebAssembly.Instance(modules.team, { env: { memory, perform } }).exports as unknown as KernelExports;
}

type PerformTask = (task: number, first: number, last: number, thread: number) => void;

function preferring(native: ReadonlyMap<number, Perform>, other: PerformTask): PerformTask {
  return (task, first, last, thread) => {
    const perform = native.get(task);
    if (perform) perform(first, last, thread);
    else other(task, first, last, thread);
  };
}
