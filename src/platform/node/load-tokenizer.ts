import { statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { ArgumentError, CriaError } from '../../base/errors.ts';
import { Cursor, readText, readWhole } from '../../formats/cursor.ts';
import { GGUF_MAGIC, readGguf } from '../../formats/gguf.ts';
import type { TokenizerFiles } from '../../formats/tokenizer-files.ts';
import { findTokenizer, ggufTokenizer, isTiktoken, textOf } from '../../model/checkpoint/find-tokenizer.ts';
import type { ByteSource } from '../../tensor/source.ts';
import { createTokenizer } from '../../tokenizer/create-tokenizer.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { openCheckpointAt, openFile, openFolder } from './files.ts';

const LIMIT_BYTES = 1 << 27;

/**
 * The tokenizer at a path: tokenizer.model, tokenizer.json, a GGUF file (one with a vocabulary and no tensors will do), a folder, or
 * any model that brings one. Throws CriaError `tokenizer.none` where there is none.
 */
export function loadTokenizer(path: string, pre?: string): Tokenizer {
  return createTokenizer(findTokenizerFiles(path, pre));
}

/** The same, unread, as a checkpoint's writer wants it. */
export function findTokenizerFiles(path: string, pre?: string): TokenizerFiles {
  const files = statSync(path).isDirectory() ? findTokenizer(openFolder(path)) : ofFile(path, pre);
  const found = files ?? ofCheckpoint(path, pre);
  if (found !== null && (pre === undefined || found.kind === 'gguf')) return found;
  if (found !== null) {
    throw new ArgumentError(
      'tokenizer.pre',
      `${path}: --pre ${pre} says how the vocabulary of a GGUF file is to be read, but this is ${found.file}, which says that itself. Leave it out.`,
    );
  }
  throw new CriaError(
    'tokenizer.none',
    `${path}: expected a tokenizer, found a model without one. Put tokenizer.json or tokenizer.model beside it.`,
  );
}

function ofFile(path: string, pre: string | undefined): TokenizerFiles | null {
  const file = basename(path);
  if (file === 'vocab.json' || file === 'merges.txt') return findTokenizer(openFolder(dirname(path)));
  const source = openFile(path);
  try {
    if (file.endsWith('.json')) {
      const beside = openFolder(dirname(path));
      const config = textOf(beside, 'tokenizer_config.json');
      const specialTokens = textOf(beside, 'special_tokens_map.json');
      return { kind: 'hf', file, json: readText(source, LIMIT_BYTES), config, specialTokens };
    }
    if (source.byteLength >= 4 && new Cursor(source).u32() === GGUF_MAGIC) {
      return ggufOf(path, file, source, pre);
    }
    if (!file.endsWith('.model')) return null;
    const bytes = readWhole(source, LIMIT_BYTES);
    return { kind: isTiktoken(bytes) ? 'tiktoken' : 'sentencepiece', file, bytes };
  } finally {
    source.close();
  }
}

/** Of a split file only the first part has the vocabulary; the checkpoint's reader finds it. */
function ggufOf(path: string, file: string, source: ByteSource, pre: string | undefined): TokenizerFiles | null {
  const gguf = readGguf(source);
  const isLaterPart = (gguf.fields.get('split.count')?.value ?? 1) !== 1 && gguf.fields.get('split.no')?.value !== 0;
  return isLaterPart ? ofCheckpoint(path, pre) : ggufTokenizer(file, gguf, pre);
}

function ofCheckpoint(path: string, pre: string | undefined): TokenizerFiles | null {
  const checkpoint = openCheckpointAt(path, pre === undefined ? {} : { pre });
  checkpoint.close();
  return checkpoint.tokenizer;
}
