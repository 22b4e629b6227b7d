/** Finds the tokenizer and the chat template among the files of a model. What they mean is src/tokenizer's to say. */
import { readText, readWhole } from '../../formats/cursor.ts';
import type { Gguf } from '../../formats/gguf.ts';
import { isObject, type JsonObject, parseJsonObject } from '../../formats/json.ts';
import type { GgufValue, TokenizerFiles } from '../../formats/tokenizer-files.ts';
import type { FileFolder } from '../../tensor/source.ts';
import { tokenizerJsonOfSlow } from '../../tokenizer/files/vocab-merges.ts';

const LIMIT_BYTES = 1 << 27;

/** tokenizer.json, or else tokenizer.model of either kind, or else vocab.json with merges.txt, or null. */
export function findTokenizer(folder: FileFolder | null): TokenizerFiles | null {
  if (folder === null) return null;
  const json = textOf(folder, 'tokenizer.json');
  if (json !== null) {
    const config = textOf(folder, 'tokenizer_config.json');
    return {
      kind: 'hf',
      file: 'tokenizer.json',
      json,
      config,
      specialTokens: textOf(folder, 'special_tokens_map.json'),
    };
  }
  const bytes = bytesOf(folder, 'tokenizer.model');
  if (bytes !== null) return { kind: isTiktoken(bytes) ? 'tiktoken' : 'sentencepiece', file: 'tokenizer.model', bytes };
  return findSlowTokenizer(folder);
}

/** The older form of transformers' byte-level BPE, as the tokenizer.json that it comes to. */
function findSlowTokenizer(folder: FileFolder): TokenizerFiles | null {
  const vocab = textOf(folder, 'vocab.json');
  const merges = textOf(folder, 'merges.txt');
  if (vocab === null || merges === null) return null;
  const config = textOf(folder, 'tokenizer_config.json');
  const specialTokens = textOf(folder, 'special_tokens_map.json');
  const addedTokens = textOf(folder, 'added_tokens.json');
  const model = textOf(folder, 'config.json');
  const json = tokenizerJsonOfSlow({ vocab, merges, addedTokens, config, specialTokens, model });
  return { kind: 'hf', file: 'vocab.json', json, config, specialTokens };
}

/** llama2.c's tokenizer beside its model: tok512.bin for 512 pieces, or tokenizer.bin. */
export function findLlama2cTokenizer(folder: FileFolder | null, vocabSize: number): TokenizerFiles | null {
  if (folder === null) return null;
  for (const file of [`tok${vocabSize}.bin`, 'tokenizer.bin']) {
    const bytes = bytesOf(folder, file);
    if (bytes !== null) return { kind: 'llama2c', file, bytes };
  }
  return findTokenizer(folder);
}

/** The tokenizer inside a GGUF file, or null where it has none. `pre`: in place of its tokenizer.ggml.pre. */
export function ggufTokenizer(file: string, gguf: Gguf, pre?: string): TokenizerFiles | null {
  if (!gguf.fields.has('tokenizer.ggml.tokens')) return null;
  const metadata = new Map<string, GgufValue>();
  for (const [key, { value }] of gguf.fields) if (key.startsWith('tokenizer.')) metadata.set(key, value);
  if (pre !== undefined) metadata.set('tokenizer.ggml.pre', pre);
  return { kind: 'gguf', file, metadata };
}

/** The first line of a tiktoken file is base64, a space and a rank; a SentencePiece model starts with a protobuf tag (0x0a). */
export function isTiktoken(bytes: Uint8Array): boolean {
  const line = String.fromCharCode(...bytes.subarray(0, 256)).split('\n', 1)[0]!;
  return /^[A-Za-z0-9+/]+={0,2} [0-9]+\r?$/.test(line);
}

/** chat_template.jinja, or the template in chat_template.json or tokenizer_config.json; of several, the one named default. */
export function findChatTemplate(folder: FileFolder | null): string | null {
  if (folder === null) return null;
  const jinja = textOf(folder, 'chat_template.jinja');
  if (jinja !== null) return jinja;
  for (const file of ['chat_template.json', 'tokenizer_config.json']) {
    const text = textOf(folder, file);
    const template = text === null ? null : templateOf(parseJsonObject(file, text));
    if (template !== null) return template;
  }
  return null;
}

function templateOf({ chat_template: template }: JsonObject): string | null {
  if (typeof template === 'string') return template;
  if (!Array.isArray(template)) return null;
  const named = template.filter(isObject);
  const chosen = named.find(({ name }) => name === 'default') ?? named[0];
  return typeof chosen?.template === 'string' ? chosen.template : null;
}

export function textOf(folder: FileFolder, file: string): string | null {
  return withFile(folder, file, (source) => readText(source, LIMIT_BYTES));
}

function bytesOf(folder: FileFolder, file: string): Uint8Array | null {
  return withFile(folder, file, (source) => readWhole(source, LIMIT_BYTES));
}

function withFile<T>(folder: FileFolder, file: string, read: (source: ReturnType<FileFolder['open']>) => T): T | null {
  if (!folder.list().includes(file)) return null;
  const source = folder.open(file);
  try {
    return read(source);
  } finally {
    source.close();
  }
}
