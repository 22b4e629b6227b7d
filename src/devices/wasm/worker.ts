/** A worker of the team (team.ts): it is given compiled modules and memories, and needs nothing that writes kernels. */
import type { Blas } from '../../kernels/gemm/blas.ts';
import type { NativeKernels } from '../../kernels/native/kernels.ts';
import { CONTROL_FAILED, CONTROL_READY } from '../../kernels/tasks.ts';
import { instantiate, type KernelExports, type KernelModules } from './kernel-exports.ts';

/** Gives a worker a segment's memory; the first also its number and makes it serve. */
export interface WorkerMessage {
  readonly thread: number;
  readonly segment: number;
  readonly modules: KernelModules;
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
  let words = new Int32Array(0);
  return ({ thread, segment, modules, memory }) => {
    kernels[segment] = instantiate(modules, memory, { blas, native });
    const home = kernels[0]!;
    if (segment === 0) words = new Int32Array(memory.buffer);
    Atomics.add(words, CONTROL_READY >>> 2, 1);
    Atomics.notify(words, CONTROL_READY >>> 2);
    try {
      for (;;) {
        const task = home.serve(thread);
        if (task !== TAKE_MESSAGE) kernels[task]!.takePart(thread);
        home.leave();
        if (task === TAKE_MESSAGE) return;
      }
    } catch (error) {
      Atomics.store(words, CONTROL_FAILED >>> 2, thread + 1);
      home.leave();
      throw error;
    }
  };
}
