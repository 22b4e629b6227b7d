/**
 * Training on the CPU: SIMD kernels and threads over one shared memory, or a system's BLAS for the matrix products.
 *
 * Weights are row-major and change at every step, so they are packed as they are used (kernels/gemm), unlike the weights of
 * inference. One memory of 4 GiB holds parameters, gradients, moments and activations.
 */

import { assert } from '../../base/assert.ts';
import { type Blas, operandsOf } from '../../kernels/gemm/blas.ts';
import { CONTROL_WIDE } from '../../kernels/training-tasks.ts';
import { elementCount, type Floats, type Tensor } from '../../tensor/tensor.ts';
import type { TrainingDevice } from '../training-device.ts';
import { type CompiledKernels, compileKernels, type SimdBuild } from './modules.ts';
import { muonStep } from './muon.ts';
import { Segment } from './segment.ts';
import { Team, type ThreadHost } from './team.ts';
import { createWasmBackward } from './training-backward.ts';
import { type TaskWatch, TrainingKernels } from './training-kernels.ts';
import { createWasmTrainingOps } from './training-ops.ts';

export interface WasmTrainingOptions {
  /** Threads, the calling one included. Default 1. */
  readonly threads?: number;
  /** Makes worker threads; required for more than one. */
  readonly host?: ThreadHost;
  readonly simd?: SimdBuild | 'auto';
  /** Compiled already; they must be for shared memory if there are threads. */
  readonly kernels?: CompiledKernels;
  /** Whether this engine joins neighbouring 128-bit operations (V8's revectorizer): only the speed depends on it. */
  readonly wideVectors?: boolean;
  /** Does the matrix products in place of our own kernels; one that has products of bf16 multiplies rounded copies of both sides. */
  readonly blas?: Blas | null;
  /** Wraps every task, for measuring. */
  readonly watch?: TaskWatch | null;
}

export async function createWasmTrainingDevice(options: WasmTrainingOptions = {}): Promise<TrainingDevice> {
  const { threads = 1, host, simd = 'auto', wideVectors = false, blas = null, watch = null } = options;
  const { module, simd: build, shared } = options.kernels ?? (await compileKernels({ simd, shared: threads > 1 }));
  assert(shared || threads === 1, 'wasm training device: threads need kernels for shared memory');
  const team = new Team(module);
  if (host && threads > 1) await team.grow(host, threads - 1, { blas: blas && operandsOf(blas) });
  const segment = new Segment(0, module, shared, { blas });
  await team.introduce(segment, host ?? null);
  segment.setWord(CONTROL_WIDE, wideVectors ? 1 : 0);
  const kernels = new TrainingKernels(segment, team, blas && (blas.bgemm ? 'bf16' : 'f32'), watch);
  let persistent = 0;
  return {
    kind: 'wasm',
    description: `wasm, ${team.size} ${team.size === 1 ? 'thread' : 'threads'}, ${build} SIMD${wideVectors ? ' of 256 bits' : ''}${blas ? `, matrix products by ${blas.description}` : ''}`,
    ops: createWasmTrainingOps(kernels),
    backward: createWasmBackward(kernels),
    allocate(shape) {
      const bytes = elementCount(shape) * 4;
      persistent += bytes;
      return kernels.tensorAt(segment.allocate(bytes + 16, 'the parameters, gradients and moments of training'), shape);
    },
    scratch: (shape) => kernels.scratch(shape),
    view: (tensor: Tensor): Floats => kernels.view(tensor),
    mark: () => kernels.arena.mark(),
    release: (mark) => kernels.arena.release(mark),
    keep: (mark, tensors) => kernels.keep(mark, tensors),
    sumSquares: (tensor) => kernels.sumSquares(tensor),
    adamW: (parameter, gradient, moments, from, step) => kernels.adamW(parameter, gradient, moments, from, step),
    muon: (parameter, gradient, m, step) => muonStep(kernels, parameter, gradient, m, step),
    memory: () => ({ persistent, arenaPeak: kernels.arena.bytes }),
    close: () => team.close(),
  };
}
