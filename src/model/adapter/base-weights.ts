/** What an adapter was trained over: it corrects the rounding of its base's weights too, and on others its answers are a little different. */
import type { TensorSource } from '../../tensor/source.ts';
import type { LlamaConfig } from '../config.ts';
import { listParameters } from '../parameters.ts';
import type { Adapter } from './adapter.ts';

/** Under which an adapter's files keep it: the metadata of adapter_model.safetensors, a field of GGUF. */
export const TRAINED_OVER = 'cria.trained_over';

/** The types of the blocks' matrices: "Q4_0", "Q4_K, Q6_K". */
export function baseTypes(config: LlamaConfig, tensors: ReadonlyMap<string, TensorSource>): string {
  const types = listParameters(config).flatMap(({ name, block, shape }) => {
    const dtype = block === null || shape.length !== 2 ? undefined : tensors.get(name)?.dtype;
    return dtype === undefined ? [] : [dtype];
  });
  return [...new Set(types)].sort().join(', ');
}

/** Types that round no weight so far that an adapter would notice. */
const FLOATS = /^(?:f32|f16|bf16)(?:, (?:f32|f16|bf16))*$/;

/** What to say where an adapter is used over other weights than it was trained over; null: nothing, or nobody knows. */
export function otherBaseNote(
  { name, trainedOver }: Pick<Adapter, 'name' | 'trainedOver'>,
  config: LlamaConfig,
  tensors: ReadonlyMap<string, TensorSource>,
): string | null {
  const here = baseTypes(config, tensors);
  if (trainedOver === undefined || trainedOver === here || (FLOATS.test(trainedOver) && FLOATS.test(here))) return null;
  return `the adapter ${name} was trained over weights held as ${trainedOver}, and corrects weights stored as ${here} here: what it learned of their rounding does not fit, and its answers may differ a little.`;
}
