/** Writes a checkpoint as a Hugging Face folder: config.json, safetensors in one or several files, and the tokenizer's files. */
import { ArgumentError } from '../../../base/errors.ts';
import { planShards, writeSafetensors } from '../../../formats/safetensors-write.ts';
import type { Sink } from '../../../formats/sink.ts';
import { listParameters } from '../../parameters.ts';
import { hfConfigOf } from '../../spelling/hf.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { type Conversion, convertTensors } from './convert.ts';
import { byteLevelHfOf } from './hf-tokenizer.ts';
import { sentencePieceOf } from './sentencepiece-write.ts';

/** A folder that is being written; layer 7 makes it appear whole or not at all. */
export interface FolderSink {
  create(file: string): Sink & { close(): void };
}

export interface HfOptions extends Conversion {
  readonly maxShardBytes: number;
}

type Written = Pick<Checkpoint, 'config' | 'tensors' | 'tokenizer' | 'chatTemplate' | 'generation'>;

const torchNames = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' } as const;

/**
 * Says whether a tokenizer was written: of a kind that has no form here, the folder is without one, for the caller to tell.
 * Throws ArgumentError `hf.dtype` for a quantized type, ConfigError for what config.json cannot say.
 */
export function writeHfCheckpoint(
  folder: FolderSink,
  checkpoint: Written,
  options: HfOptions,
): { tokenizerWritten: boolean } {
  const { config, tensors } = checkpoint;
  const { relative, json: spelled } = hfConfigOf(config);
  const types = listParameters(config).map((parameter) => options.typeOf(parameter));
  const dtype = types.find((type) => type in torchNames) as keyof typeof torchNames | undefined;
  const wrong = types.find((type) => !(type in torchNames));
  if (wrong !== undefined || dtype === undefined) {
    throw new ArgumentError(
      'hf.dtype',
      `Hugging Face folder: expected f32, f16 or bf16, found ${wrong}. Write quantized weights as GGUF`,
    );
  }
  const text = (file: string, content: string) => {
    const sink = folder.create(file);
    sink.write(new TextEncoder().encode(content));
    sink.close();
  };
  const { bosId, eosIds } = checkpoint.generation;
  const eos = eosIds.length > 1 ? eosIds : (eosIds[0] ?? null);
  text('config.json', json({ ...spelled, torch_dtype: torchNames[dtype], bos_token_id: bosId, eos_token_id: eos }));
  text(
    'generation_config.json',
    json({ bos_token_id: bosId, eos_token_id: eos, ...Object.fromEntries(checkpoint.generation.suggestions) }),
  );
  const tokenizerWritten = writeTokenizer(text, folder, checkpoint);

  const { names: own, gainsFromOne, rotary = 'halves' } = relative.hf!;
  const named = convertTensors(config, tensors, { names: 'hf', own, rotary, gainsFromOne }, options);
  const { files, index } = planShards(named, options.maxShardBytes);
  for (const [file, group] of files) {
    const sink = folder.create(file);
    writeSafetensors(sink, group);
    sink.close();
  }
  if (index !== null) text('model.safetensors.index.json', index);
  return { tokenizerWritten };
}

/** Whether a folder would have the checkpoint's tokenizer. */
export function canWriteTokenizer(checkpoint: Pick<Checkpoint, 'config' | 'tokenizer'>): boolean {
  const nothing = { write: () => {}, close: () => {} };
  return writeTokenizer(() => {}, { create: () => nothing }, { ...checkpoint, chatTemplate: null });
}

/**
 * The files as they were found; where none of them is transformers' own, a tokenizer.model (SentencePiece) or a tokenizer.json
 * (byte-level BPE) made of the vocabulary.
 */
function writeTokenizer(
  text: (file: string, content: string) => void,
  folder: FolderSink,
  { tokenizer, chatTemplate, config }: Pick<Written, 'tokenizer' | 'chatTemplate' | 'config'>,
): boolean {
  if (chatTemplate !== null) text('chat_template.jinja', chatTemplate);
  if (tokenizer === null) return false;
  if (tokenizer.kind === 'hf') {
    text('tokenizer.json', tokenizer.json);
    if (tokenizer.config !== null) text('tokenizer_config.json', tokenizer.config);
    if (tokenizer.specialTokens !== null) text('special_tokens_map.json', tokenizer.specialTokens);
    return true;
  }
  const isFile = tokenizer.kind === 'sentencepiece' || tokenizer.kind === 'tiktoken';
  const bytes = isFile ? tokenizer.bytes : sentencePieceOf(tokenizer, config.vocabSize);
  const byteLevel = tokenizer.kind === 'sentencepiece' ? null : byteLevelHfOf(tokenizer, config.vocabSize);
  if (byteLevel !== null) {
    text('tokenizer.json', byteLevel.json);
    text('tokenizer_config.json', byteLevel.config);
  }
  if (bytes === null) return byteLevel !== null;
  const sink = folder.create('tokenizer.model');
  sink.write(bytes);
  sink.close();
  if (tokenizer.kind !== 'tiktoken') {
    const names = { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>' };
    text('tokenizer_config.json', json({ tokenizer_class: 'LlamaTokenizer', ...names, legacy: true }));
  }
  return true;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
