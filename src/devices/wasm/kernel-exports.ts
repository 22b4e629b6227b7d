import { assert } from '../../base/assert.ts';
import type { Blas } from '../../kernels/gemm/blas.ts';
import type { NativeKernels, Perform } from '../../kernels/native/kernels.ts';

/** The kernels, compiled: those of AssemblyScript, with the team, and those that TypeScript has written. */
export interface KernelModules {
  readonly module: WebAssembly.Module;
  /** Null where only functions of the other are called. */
  readonly written: WebAssembly.Module | null;
}

/** What the kernels export (src/kernels/kernels.assembly.ts). */
export interface KernelExports {
  heapStart(): number;
  prepareTeam(): void;
  describe(task: number, units: number, chunk: number, threads: number): void;
  open(segment: number): void;
  close(): void;
  takePart(thread: number): void;
  runAlone(task: number, units: number): void;
  runShared(task: number, units: number, chunk: number, threads: number): void;
  serve(thread: number): number;
  leave(): void;
  panelBytes(kind: number, columns: number): number;
  matrixBytes(kind: number, columns: number, rows: number): number;
}

/** The kernels at work in a memory; `blas` does the matrix products of the tasks that are left to one, `native` the tasks that it has. */
export function instantiate(
  { module, written }: KernelModules,
  memory: WebAssembly.Memory,
  { blas, native }: { readonly blas: Blas | null; readonly native: NativeKernels | null },
): KernelExports {
  const none = () => assert(false, 'kernels: a task for a BLAS or a written kernel, and none was given');
  const sgemm = blas?.sgemm?.(memory) ?? none;
  const bgemm = blas?.bgemm?.(memory) ?? none;
  const perform = written ? new WebAssembly.Instance(written, { env: { memory } }).exports.perform! : none;
  const performWritten = native ? preferring(native.bind(memory), perform as PerformTask) : perform;
  const env = { memory, sgemm, bgemm, performWritten };
  return new WebAssembly.Instance(module, { env }).exports as unknown as KernelExports;
}

type PerformTask = (task: number, first: number, last: number, thread: number) => void;

function preferring(native: ReadonlyMap<number, Perform>, other: PerformTask): PerformTask {
  return (task, first, last, thread) => {
    const perform = native.get(task);
    if (perform) perform(first, last, thread);
    else other(task, first, last, thread);
  };
}
