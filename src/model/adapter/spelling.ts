/** How a relative of LLaMA spells its matrices in the files of adapters: as in its models' files. */
import type { TensorSource } from '../../tensor/source.ts';
import { type RotaryLayout, ShiftedVector } from '../checkpoint/layout/row-sources.ts';
import { turned } from '../checkpoint/match.ts';
import type { LlamaConfig } from '../config.ts';
import { isGain, type Parameter } from '../parameters.ts';
import { relatives } from '../relatives/relatives.ts';
import type { GgufSpelling, HfSpelling } from '../spelling/relative.ts';

export function hfSpelling({ family }: LlamaConfig): HfSpelling | null {
  return relatives.find(({ name }) => name === family)?.hf ?? null;
}

export function ggufSpelling({ family }: LlamaConfig): GgufSpelling | null {
  return relatives.find(({ name }) => name === family)?.gguf ?? null;
}

/** How Hugging Face's files hold rows of queries and keys. */
export function hfRotary(config: LlamaConfig): RotaryLayout {
  return hfSpelling(config)?.rotary ?? 'halves';
}

/** Rows or gains of a parameter between a file's layout and ours. */
export function relaid(
  source: TensorSource,
  parameter: Pick<Parameter, 'key' | 'spec' | 'shape' | 'name' | 'block'>,
  config: LlamaConfig,
  { from, to, gain }: { readonly from: RotaryLayout; readonly to: RotaryLayout; readonly gain: -1 | 0 | 1 },
): TensorSource {
  const shifted = gain !== 0 && isGain(parameter) ? new ShiftedVector(source, gain) : source;
  return parameter.spec.rotary && from !== to ? turned(config, shifted, to) : shifted;
}
