/** A folder of Hugging Face transformers: config.json beside safetensors or PyTorch files. */
import { ConfigError, FormatError } from '../../base/errors.ts';
import { parseGenerationConfig } from '../../formats/config/generation-config.ts';
import { withoutKeys } from '../../formats/config/unknown-keys.ts';
import { parseJsonObject } from '../../formats/json.ts';
import { readSafetensors } from '../../formats/safetensors.ts';
import { joinShards, parseIndex } from '../../formats/safetensors-index.ts';
import { readTorch } from '../../formats/torch/torch.ts';
import type { ByteSource, FileFolder, TensorSource } from '../../tensor/source.ts';
import type { LlamaConfig } from '../config.ts';
import { readHfConfig } from '../spelling/hf.ts';
import {
  type Checkpoint,
  checkConfig,
  type Generation,
  knownIds,
  type OpenFiles,
  type OpenOptions,
  unusedKeysNote,
} from './checkpoint.ts';
import { findChatTemplate, findTokenizer, textOf } from './find-tokenizer.ts';
import { matchTensors } from './match.ts';
import { packingNote, unpackQuantized } from './prequantized/unpack.ts';

type Tensors = ReadonlyMap<string, TensorSource>;
const readers = {
  safetensors: (source: ByteSource): Tensors => readSafetensors(source).tensors,
  torch: (source: ByteSource): Tensors => readTorch(source).tensors,
};

/** The files that hold weights, in the order of preference. */
const weightFiles = [
  { file: 'model.safetensors.index.json', kind: 'safetensors', index: true },
  { file: 'model.safetensors', kind: 'safetensors', index: false },
  { file: 'pytorch_model.bin.index.json', kind: 'torch', index: true },
  { file: 'pytorch_model.bin', kind: 'torch', index: false },
] as const;

/** `weights`: the file that was named, or null to look for one. */
export function openHf(
  folder: FileFolder,
  weights: WeightFile | null,
  files: OpenFiles,
  { ignoreKeys = [] }: OpenOptions,
): Checkpoint {
  const text = textOf(folder, 'config.json');
  if (text === null) {
    throw new FormatError(
      { code: 'checkpoint.no-config', file: folder.name, where: 'config.json' },
      'expected config.json beside the weights, found none',
      'Weights alone do not say what model they are; put its config.json into the same folder.',
    );
  }
  const json = parseJsonObject('config.json', text);
  const facts = readHfConfig('config.json', withoutKeys('config.json', json, ignoreKeys));
  const { relative, bosId, eosIds, unusedKeys } = facts;
  const config = checkConfig('config.json', facts.config);
  const {
    kind,
    tensors: found,
    file,
  } = weights === null
    ? findWeights(folder, files)
    : { ...weights, tensors: readers[weights.kind](weights.source), file: weights.source.name };
  const unpacked = unpackQuantized(file, found, facts.quantization);
  return {
    format: kind,
    name: folder.name,
    config,
    tensors: matchTensors({
      file,
      config,
      names: 'hf',
      rotary: relative.hf!.rotary ?? 'halves',
      own: relative.hf!.names,
      gainsFromOne: relative.hf!.gainsFromOne,
      found: unpacked,
      ignore: (name) => isBuffer(name, config) || (relative.hf!.textConfig !== undefined && isOtherSense(name)),
    }),
    tokenizer: findTokenizer(folder),
    chatTemplate: findChatTemplate(folder),
    generation: readGeneration(folder, { bosId, eosIds, suggestions: new Map() }, config.vocabSize),
    metadata: new Map(Object.entries(json)),
    notes: [...unusedKeysNote(unusedKeys), ...packingNote(found, unpacked, facts.quantization)],
    close: () => files.close(),
  };
}

export interface WeightFile {
  readonly kind: 'safetensors' | 'torch';
  readonly source: ByteSource;
}

/** Buffers that old checkpoints store, and the second name of a tied embedding table. */
function isBuffer(name: string, config: LlamaConfig): boolean {
  return /\.rotary_emb\.inv_freq$/.test(name) || (config.tiedEmbeddings && name === 'lm_head.weight');
}

/** Tensors of a model's other senses, which are left out. */
function isOtherSense(name: string): boolean {
  return /^(?:model\.)?(?:vision_tower|multi_modal_projector|vision_model|audio_tower|embed_vision)\./.test(name);
}

function findWeights(
  folder: FileFolder,
  files: OpenFiles,
): { kind: WeightFile['kind']; tensors: Tensors; file: string } {
  const present = folder.list();
  const chosen = weightFiles.find(({ file }) => present.includes(file));
  if (chosen === undefined) {
    const single = present.filter((file) => file.endsWith('.safetensors'));
    if (single.length === 1) {
      return { kind: 'safetensors', file: single[0]!, tensors: readers.safetensors(files.open(folder, single[0]!)) };
    }
    throw new FormatError(
      { code: 'checkpoint.no-weights', file: folder.name, where: 'folder' },
      `expected ${weightFiles.map(({ file }) => file).join(' or ')} beside config.json, found none`,
      'Download the weights into the same folder.',
    );
  }
  const { file, kind, index } = chosen;
  if (!index) return { kind, file, tensors: readers[kind](files.open(folder, file)) };
  const fileOf = parseIndex(file, textOf(folder, file)!);
  const shards = new Map<string, Tensors>();
  const missing = [...new Set(fileOf.values())].filter((shard) => !present.includes(shard));
  if (missing.length > 0)
    throw new ConfigError(
      file,
      missing.map((shard) => `${shard} is missing in this folder`),
      'checkpoint.no-file',
    );
  for (const shard of new Set(fileOf.values())) shards.set(shard, readers[kind](files.open(folder, shard)));
  return { kind, file, tensors: joinShards(file, fileOf, shards) };
}

/** generation_config.json wins over config.json. */
function readGeneration(folder: FileFolder, fromConfig: Generation, vocabSize: number): Generation {
  const text = textOf(folder, 'generation_config.json');
  const own = text === null ? fromConfig : parseGenerationConfig('generation_config.json', text);
  return {
    bosId: knownIds([own.bosId ?? fromConfig.bosId], vocabSize)[0] ?? null,
    eosIds: knownIds(own.eosIds.length > 0 ? own.eosIds : fromConfig.eosIds, vocabSize),
    suggestions: own.suggestions,
  };
}
