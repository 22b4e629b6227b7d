/** Tokenizer files of test/golden and ../shared, for the tests of this folder. */
import { readFileSync } from 'node:fs';
import { shared } from '../../../test/support/shared.ts';
import type { GgufValue, TokenizerFiles } from '../../formats/tokenizer-files.ts';
import { createTokenizer } from '../create-tokenizer.ts';
import type { Tokenizer } from '../tokenizer.ts';

const golden = new URL('../../../test/golden/', import.meta.url);

export function goldenJson<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(path, golden), 'utf8')) as T;
}

export function goldenText(path: string): string {
  return readFileSync(new URL(path, golden), 'utf8');
}

export function goldenBytes(path: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(path, golden)));
}

export function sharedText(path: string): string {
  return readFileSync(shared(path), 'utf8');
}

export function sharedJson<T>(path: string): T {
  return JSON.parse(sharedText(path)) as T;
}

export function sharedBytes(path: string): Uint8Array {
  return new Uint8Array(readFileSync(shared(path)));
}

export function goldenSentencePiece(folder: string): Tokenizer {
  return createTokenizer({
    kind: 'sentencepiece',
    file: 'tokenizer.model',
    bytes: goldenBytes(`${folder}/tokenizer.model`),
  });
}

export function goldenHf(folder: string): Tokenizer {
  return createTokenizer(goldenHfFiles(folder));
}

export function goldenHfFiles(folder: string): TokenizerFiles & { kind: 'hf' } {
  return {
    kind: 'hf',
    file: 'tokenizer.json',
    json: goldenText(`${folder}/tokenizer.json`),
    config: goldenText(`${folder}/tokenizer_config.json`),
    specialTokens: null,
  };
}

export function sharedHf(path: string): Tokenizer {
  return createTokenizer({ kind: 'hf', file: path, json: sharedText(path), config: null, specialTokens: null });
}

/** The `llama` tokenizer that a GGUF converter would write for a SentencePiece tokenizer with these pieces. */
export function metadataOf(tokens: string[], scores: number[], types: number[]): Map<string, GgufValue> {
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', 'llama'],
    ['tokenizer.ggml.tokens', tokens],
    ['tokenizer.ggml.scores', Float32Array.from(scores)],
    ['tokenizer.ggml.token_type', Int32Array.from(types)],
  ]);
}
