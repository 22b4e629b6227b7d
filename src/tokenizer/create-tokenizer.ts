import type { TokenizerFiles } from '../formats/tokenizer-files.ts';
import { readGgufTokenizer } from './files/read-gguf.ts';
import { readHfTokenizer } from './files/read-hf.ts';
import { readLlama2cTokenizer } from './files/read-llama2c.ts';
import { readSentencePiece } from './files/read-sentencepiece.ts';
import { readTiktoken } from './files/read-tiktoken.ts';
import type { Tokenizer } from './tokenizer.ts';

/**
 * The tokenizer that a checkpoint's files describe. `vocabSize`: the model's, for Llama 3 files that name no special tokens.
 * Throws FormatError (damaged) or UnsupportedError (of a kind that is not implemented).
 */
export function createTokenizer(files: TokenizerFiles, { vocabSize }: { vocabSize?: number } = {}): Tokenizer {
  switch (files.kind) {
    case 'sentencepiece':
      return readSentencePiece(files.file, files.bytes);
    case 'tiktoken':
      return readTiktoken(files.file, files.bytes, vocabSize);
    case 'hf':
      return readHfTokenizer(files.file, files.json, files.config, files.specialTokens);
    case 'gguf':
      return readGgufTokenizer(files.file, files.metadata);
    case 'llama2c':
      return readLlama2cTokenizer(files.file, files.bytes);
  }
}
