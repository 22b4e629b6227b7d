/**
 * A byte-level BPE vocabulary that makes the borders of words visible: the 256 bytes and every pair of bytes, merged in a scrambled
 * order. A word of n bytes becomes pairs and single bytes, and two ways to cut a text almost never give the same ids.
 */
import type { GgufValue } from '../../src/formats/tokenizer-files.ts';
import { letterOfByte } from '../../src/tokenizer/byte-alphabet.ts';

const PAIRS = 0x10000;

/** The tokenizer.* fields of a GGUF file. `pre`: how text is cut into words; null: the file does not say. */
export function pairVocabulary(pre: string | null): Map<string, GgufValue> {
  const pairs = Array.from({ length: PAIRS }, (_, rank) => {
    const pair = (rank * 40_503 + 12_345) & (PAIRS - 1);
    return [letterOfByte[pair >> 8]!, letterOfByte[pair & 0xff]!] as const;
  });
  const tokens = [...letterOfByte, ...pairs.map(([left, right]) => left + right), '<s>', '</s>'];
  const kinds = Int32Array.from(tokens, (_, id) => (id < tokens.length - 2 ? 1 : 3));
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', 'gpt2'],
    ...(pre === null ? [] : [['tokenizer.ggml.pre', pre] as const]),
    ['tokenizer.ggml.tokens', tokens],
    ['tokenizer.ggml.token_type', kinds],
    ['tokenizer.ggml.merges', pairs.map((pair) => pair.join(' '))],
    ['tokenizer.ggml.bos_token_id', tokens.length - 2],
    ['tokenizer.ggml.eos_token_id', tokens.length - 1],
  ]);
}
