/** A model file of llama2.c as a checkpoint. Its tensors have Meta's names and layout. */
import { readLlama2c } from '../../formats/llama2c/llama2c.ts';
import type { ByteSource, FileFolder } from '../../tensor/source.ts';
import { type LlamaConfig, paperChoices } from '../config.ts';
import { type Checkpoint, checkConfig, noGeneration, type OpenFiles } from './checkpoint.ts';
import { findLlama2cTokenizer } from './find-tokenizer.ts';
import { matchTensors } from './match.ts';

/** What the format leaves out: run.c's constants, and the ids of its tokenizer. */
const constants = { normEps: 1e-5, ropeTheta: 10_000, ropeScaling: { kind: 'none' }, bosId: 1, eosId: 2 } as const;

export function openLlama2c(source: ByteSource, folder: FileFolder | null, files: OpenFiles): Checkpoint {
  const { version, tensors: found, ...sizes } = readLlama2c(source);
  const { bosId, eosId, ...rope } = constants;
  const config: LlamaConfig = checkConfig(source.name, {
    ...sizes,
    ...rope,
    headSize: sizes.width / sizes.headCount,
    attentionBias: false,
    slidingWindow: null,
    ...paperChoices,
  });
  return {
    format: 'llama2c',
    name: source.name,
    config,
    tensors: matchTensors({ file: source.name, config, names: 'meta', rotary: 'pairs', found, ignore: () => false }),
    tokenizer: findLlama2cTokenizer(folder, config.vocabSize),
    chatTemplate: null,
    generation: { ...noGeneration, bosId, eosIds: [eosId] },
    metadata: new Map<string, unknown>([['llama2c.version', version]]),
    notes: [],
    close: () => files.close(),
  };
}
