/** A GGUF file that is small enough to be in memory: what a page lets a person save. */
import { MemorySink } from '../../../formats/sink.ts';
import { type MixName, mixes, planTypes } from '../../../quant/mixes.ts';
import { encodeRow } from '../../../quant/rows.ts';
import { listParameters } from '../../parameters.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { ggufTokenizerFields } from './gguf-tokenizer.ts';
import { writeGgufCheckpoint } from './write-gguf.ts';

/** As `quantize` writes it: a matrix whose rows the mix's type cannot hold gets a larger one. Throws ConfigError for what GGUF has no form for. */
export function ggufBytes(
  model: Pick<Checkpoint, 'name' | 'config' | 'tensors' | 'chatTemplate' | 'tokenizer'>,
  mix: MixName,
): Uint8Array<ArrayBuffer> {
  const { config, tokenizer } = model;
  const planned = planTypes(mix, listParameters(config), config);
  const types = new Map(planned.map(({ name, dtype }) => [name, dtype]));
  const sink = new MemorySink();
  writeGgufCheckpoint(sink, model, {
    typeOf: ({ name }) => types.get(name)!,
    encode: (dtype, weights, bytes) => encodeRow(dtype, weights, bytes),
    tokenizer: tokenizer ? ggufTokenizerFields(tokenizer, config.vocabSize) : new Map(),
    fileType: mixes[mix].fileType,
  });
  return sink.bytes();
}
