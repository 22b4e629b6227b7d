import { Random } from '../base/random.ts';
import type { LlamaConfig } from '../model/config.ts';
import { type Parameter, vectorStart } from '../model/parameters.ts';
import { elementCount } from '../tensor/tensor.ts';

/** Weights that add to the residual stream; their variance is divided by how many of them there are. */
const RESIDUAL = new Set(['wo_DQ', 'wDown_DF', 'wDown_XDG']);
const DEVIATION = 0.02;

/**
 * Fresh weights: normal with deviation 0.02; the projections back into the residual stream 0.02 / √(2 · blocks), so that the
 * stream's variance does not grow with depth; vectors as in vectorStart. The LLaMA papers do not say how they began.
 *
 * Numbers  each parameter has its own stream of random numbers, by its name: another's size, or that there is one more, changes nothing
 * Source   Radford et al. 2019 (GPT-2) §2.3; 0.02 as initializer_range of transformers' LlamaConfig.
 */
export function initialWeights(config: LlamaConfig, seed: number): (parameter: Parameter) => Float32Array {
  return (parameter) => {
    const { name, key, shape } = parameter;
    const values = new Float32Array(elementCount(shape));
    if (shape.length < 2) return values.fill(vectorStart(parameter));
    const random = new Random((BigInt(seed) << 32n) + BigInt(hashOf(name)));
    const deviation = RESIDUAL.has(key) ? DEVIATION / Math.sqrt(2 * config.blockCount) : DEVIATION;
    for (let i = 0; i < values.length; i++) values[i] = deviation * random.normal();
    return values;
  };
}

/** FNV-1a (Fowler, Noll, Vo), 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const character of text) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193) >>> 0;
  return hash;
}
