/** A worker of the team (team.ts): it is given the team's module, memories, and kernels' bytes there; it needs nothing that writes kernels. */
import type { Blas } from '../../kernels/gemm/blas.ts';
import type { NativeKernels } from '../../kernels/native/kernels.ts';
import { CONTROL_FAILED, CONTROL_MODULES, CONTROL_READY } from '../../kernels/tasks.ts';
import { instantiate, type KernelExports } from './kernel-exports.ts';

/** Gives a worker a segment's memory; the first also its number and makes it serve. */
export interface WorkerMessage {
  readonly thread: number;
  readonly segment: number;
  readonly team: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
}

/** `open` with this segment sends all workers back to their event loops, to be given another memory. */
export const TAKE_MESSAGE = -1;

/** Call the result with every message. It returns only to take the next message. */
export function createWorker(
  blas: Blas | null = null,
  native: NativeKernels | null = null,
): (message: WorkerMessage) => void {
  const kernels: KernelExports[] = [];
  const modules: WebAssembly.Module[] = [];
  let home: WebAssembly.Memory | null = null;
  const moduleOf = (task: number) => {
    modules[task] ??= placedModule(home!, task);
    return modules[task];
  };
  return ({ thread, segment, team, memory }) => {
    home ??= memory;
    kernels[segment] = instantiate(team, memory, { blas, native, moduleOf });
    const words = new Int32Array(home.buffer);
    Atomics.add(words, CONTROL_READY >>> 2, 1);
    Atomics.notify(words, CONTROL_READY >>> 2);
    try {
      for (;;) {
        const task = kernels[0]!.serve(thread);
        if (task !== TAKE_MESSAGE) kernels[task]!.takePart(thread);
        kernels[0]!.leave();
        if (task === TAKE_MESSAGE) return;
      }
    } catch (error) {
      Atomics.store(words, CONTROL_FAILED >>> 2, thread + 1);
      kernels[0]!.leave();
      throw error;
    }
  };
}

/** A task's module, which the leader placed in the first memory before the task was run. Of bytes that are compiled already the engine has the code. */
function placedModule({ buffer }: WebAssembly.Memory, task: number): WebAssembly.Module {
  const [pointer, length] = new Uint32Array(buffer, CONTROL_MODULES + 8 * task, 2);
  return new WebAssembly.Module(new Uint8Array(buffer, pointer, length).slice());
}
