/** Loads the model that drafts for another one, onto the same device. */
import type { Device } from '../../devices/device.ts';
import { KV_BLOCK_TOKENS } from '../../kernels/ops.ts';
import type { Checkpoint } from '../../model/checkpoint/checkpoint.ts';
import { loadModel } from '../../model/model.ts';
import { createTokenizer } from '../../tokenizer/create-tokenizer.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { DraftModel } from '../speculation/draft-model.ts';
import { mapVocabularies } from '../speculation/vocabulary-map.ts';
import { contextOf, kvTypeOf } from './load-defaults.ts';

/** Its weights must have been prepared for, after those of the model. Throws ArgumentError `load.draft`, `load.context`. */
export function loadDraft(
  device: Device,
  checkpoint: Checkpoint,
  model: {
    readonly checkpoint: Checkpoint;
    readonly tokenizer: Tokenizer | null;
    readonly contextLength: number;
    readonly cacheTokens: number;
  },
  onProgress: (done: number, total: number) => void = () => {},
): DraftModel {
  const { config } = checkpoint;
  const { vocabSize } = model.checkpoint.config;
  const tokenizer = checkpoint.tokenizer && createTokenizer(checkpoint.tokenizer, { vocabSize: config.vocabSize });
  const map = mapVocabularies(
    { name: model.checkpoint.name, vocabSize, tokenizer: model.tokenizer },
    { name: checkpoint.name, vocabSize: config.vocabSize, tokenizer },
  );
  const runLength = contextOf(config, model.contextLength);
  const placed = loadModel(device, config, checkpoint.tensors, onProgress, { runLength });
  const store = device.createKvStore({
    layerCount: config.blockCount,
    blockCount: Math.ceil(Math.max(model.contextLength, model.cacheTokens) / KV_BLOCK_TOKENS),
    kvHeadCount: config.kvHeadCount,
    headSize: config.headSize,
    type: kvTypeOf(checkpoint),
  });
  return new DraftModel({ model: placed, device, store, map, vocabSize });
}
