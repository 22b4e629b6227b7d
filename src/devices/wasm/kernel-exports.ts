import { assert } from '../../base/assert.ts';
import type { Blas } from '../../kernels/gemm/blas.ts';
import type { NativeKernels } from '../../kernels/native/kernels.ts';

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

interface Sources {
  /** Does the matrix products of the tasks that are left to one. */
  readonly blas: Blas | null;
  /** Does the tasks that it has. */
  readonly native: NativeKernels | null;
  /** The kernels of all other tasks. */
  readonly moduleOf: (task: number) => WebAssembly.Module;
}

type Perform = (task: number, first: number, last: number, thread: number) => void;

/** The team at work in a memory. A task's kernel comes to the team's table of tasks when the thread first does that task there. */
export function instantiate(
  team: WebAssembly.Module,
  memory: WebAssembly.Memory,
  { blas, native, moduleOf }: Sources,
): KernelExports {
  const none = () => assert(false, 'kernels: a task for a BLAS, and none was given');
  const products = { sgemm: blas?.sgemm?.(memory) ?? none, bgemm: blas?.bgemm?.(memory) ?? none };
  const machineCode = native?.bind(memory);
  const perform: Perform = (task, first, last, thread) => {
    const run = machineCode?.get(task);
    if (run) {
      run(first, last, thread);
      return;
    }
    const kernel = new WebAssembly.Instance(moduleOf(task), { env: { memory, ...products } }).exports
      .perform as Perform;
    tasks.set(task, kernel);
    kernel(task, first, last, thread);
  };
  const { exports } = new WebAssembly.Instance(team, { env: { memory, perform } });
  const tasks = exports.tasks as WebAssembly.Table;
  return exports as unknown as KernelExports;
}
