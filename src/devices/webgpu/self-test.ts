/**
 * Each kernel on small operands against the reference device, before a model's weights come: some drivers compute wrong numbers without
 * a word, and the text that a model then writes is nonsense.
 */
import { UnsupportedError } from '../../base/errors.ts';
import type { WeightType } from '../../tensor/dtype.ts';
import { createReferenceDevice } from '../reference/device.ts';
import { kernelResults } from '../wasm/self-test.ts';
import type { WebGpuDevice } from './device.ts';

/** Of the largest number of a result: far above rounding, far below nonsense. */
const TOLERANCE = 1e-3;
/** Of products whose x was rounded to 8 bits. */
const ROUNDED_TOLERANCE = 2e-2;

/** As long as rows of models are: short ones have kernels of their own. */
const COLUMNS = 512;

/** Throws UnsupportedError `webgpu.wrong-numbers`, which names the adapter and the kernels. */
export async function selfTest(device: WebGpuDevice, types: readonly WeightType[]): Promise<void> {
  const { adapterName, isSoftware } = device;
  // Software adapters take long to compile a kernel, and the tests compare all of them there.
  const options = { types, rows: isSoftware ? [1] : [1, 6], kvTypes: ['f16'], columns: COLUMNS } as const;
  const expected = await kernelResults(createReferenceDevice(), options);
  const found = await kernelResults(device, options);
  const wrong: string[] = [];
  for (const [name, want] of expected) {
    const got = found.get(name)!;
    const size = Float64Array.from(want).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const tolerance =
      device.products.by === 'int8' && /^linear .*[^1] rows$/.test(name) ? ROUNDED_TOLERANCE : TOLERANCE;
    // Written so that NaN is wrong.
    const at = want.findIndex((x, i) => !(Math.abs(got[i]! - x) <= tolerance * size));
    if (at >= 0) wrong.push(`${name} (${got[at]}, expected ${want[at]})`);
  }
  if (wrong.length === 0) return;
  throw new UnsupportedError(
    'webgpu.wrong-numbers',
    `webgpu: ${adapterName} computes wrong numbers: ${wrong.slice(0, 3).join('; ')}${wrong.length > 3 ? `; and ${wrong.length - 3} more` : ''}. ` +
      'Update its driver, or use device "wasm".',
  );
}
