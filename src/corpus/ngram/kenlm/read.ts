import type { ByteSource } from '../../../tensor/source.ts';
import type { NgramModel } from '../model.ts';
import { type HashedNgramModel, readKenlmHashed } from './hashed.ts';
import { readHeader } from './layout.ts';
import { readKenlmTrie } from './packed.ts';

/** A binary language model of KenLM: probing (with rest costs or without), or a trie (quantized, array-compressed, both or neither). Closes the source. */
export function readKenlm(source: ByteSource): NgramModel | HashedNgramModel {
  try {
    const header = readHeader(source);
    return header.type === 'probing' || header.type === 'rest'
      ? readKenlmHashed(source, header)
      : readKenlmTrie(source, header);
  } finally {
    source.close();
  }
}
