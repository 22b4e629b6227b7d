/** Whether what is trained fits on its device, and in words what to do where it does not. */
import { UnsupportedError } from '../../../../base/errors.ts';
import { formatBytes } from '../../../../base/units.ts';
import type { DeviceKind } from '../../../../devices/device.ts';
import type { Sharding } from '../../../../training/ranks/sharding.ts';
import type { MemoryEstimate } from '../../../../training/run/estimate.ts';

/** A WebAssembly memory, in which the wasm device holds all that is trained. */
const WASM_BYTES = 2 ** 32;

export interface Needed {
  /** Bytes on the device: weights, gradients and moments; and activations, which are an estimate. */
  readonly parameters: number;
  readonly activations: number;
  /** Bytes of the same rank outside of the device. */
  readonly beside: number;
  readonly kind: DeviceKind;
  readonly size: number;
  readonly sharding: Sharding;
}

/** null: it fits. */
export function memoryProblem(
  needed: Needed,
  memoryBytes: number,
): { readonly short: string; readonly words: string } | null {
  const { parameters, activations, beside, kind } = needed;
  const onDevice = parameters + activations;
  const found = `found ${formatBytes(parameters)} for weights, gradients and moments, and ${formatBytes(activations)} for activations`;
  if (kind === 'wasm' && onDevice > WASM_BYTES) {
    const expected = `expected at most ${formatBytes(WASM_BYTES)}, as the wasm device holds all that is trained in one memory of WebAssembly`;
    return { short: 'no: 4 GiB of wasm', words: `${expected}, ${found}. ${adviceFor(needed)}` };
  }
  if (onDevice + beside <= memoryBytes) return null;
  const expected = `expected at most the ${formatBytes(memoryBytes)} of a machine like this one`;
  return { short: 'no: memory', words: `${expected}, ${found}. ${adviceFor(needed)}` };
}

function adviceFor({ parameters, activations, kind, size, sharding }: Needed): string {
  const limit = kind === 'wasm' ? WASM_BYTES : Number.POSITIVE_INFINITY;
  const ways = [
    activations > parameters &&
      'keep less for the backward pass (training.recompute=block, a smaller training.microBatchTokens)',
    sharding !== 'parameters' && size > 1 && 'share more (training.sharding=parameters)',
    sharding !== 'parameters' && size === 1 && 'train on several machines (mpirun, training.sharding=parameters)',
    'make the model smaller (model.depth, model.width)',
    parameters + activations > limit && 'train on a GPU whose memory holds it (--device webgpu)',
  ].filter(Boolean);
  return `What helps: ${ways.join('; ')}.`;
}

/** Throws UnsupportedError `training.memory` before anything is read where not even weights, gradients and moments can be on the device. */
export function checkMemory(
  name: string,
  { parameters, beside }: MemoryEstimate,
  needed: Pick<Needed, 'kind' | 'size' | 'sharding'>,
): void {
  const exact = { ...needed, parameters: parameters - beside, activations: 0, beside: 0 };
  const problem = memoryProblem(exact, Number.POSITIVE_INFINITY);
  if (problem) throw new UnsupportedError('training.memory', `recipe ${name}: ${problem.words}`);
}
