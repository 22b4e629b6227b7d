/**
 * A tokenizer's vocabulary as a grammar sees it: the bytes of every token that is text, as tries to be walked together with an
 * automaton. Special tokens are no text, whatever their name looks like; a grammar reaches them only by naming them.
 */
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { PieceKind } from '../../tokenizer/vocabulary.ts';

/**
 * Nodes in depth-first order, so that a walk is one pass over arrays, with a jump over what is refused. The tokens at node i are
 * ids[firstId[i]] to ids[firstId[i + 1] − 1].
 */
export interface Trie {
  readonly nodeCount: number;
  readonly bytes: Uint8Array;
  /** The node after the last one below. */
  readonly ends: Uint32Array;
  /** 1 for nodes of one byte. */
  readonly depths: Uint16Array;
  readonly firstId: Uint32Array;
  readonly ids: Uint32Array;
  readonly maxDepth: number;
}

export interface GrammarVocabulary {
  /** Ids that the model knows; there may be more than the tokenizer has pieces for. */
  readonly size: number;
  /** The bytes of each text token; null for others. */
  readonly bytesOf: readonly (Uint8Array | null)[];
  readonly all: Trie;
  /** The tokens that are not plain. */
  readonly notPlain: Trie;
  /** [n]: a bit for each plain token of at most n characters. */
  readonly plainUpTo: readonly Uint32Array[];
  readonly eogIds: readonly number[];
  /** The id of the token with this text. */
  idOf(text: string): number | null;
}

/** target ∪= other */
export function includeBits(target: Uint32Array, other: Uint32Array): void {
  for (let w = 0; w < target.length; w++) target[w]! |= other[w]!;
}

export function wordsOf(size: number): number {
  return Math.ceil(size / 32);
}

/** `eogIds`: what may be picked where a text may end. */
export function createGrammarVocabulary(
  tokenizer: Tokenizer,
  eogIds: Iterable<number>,
  size = tokenizer.vocabSize,
): GrammarVocabulary {
  const special = new Set([...tokenizer.controlTokens.map(({ id }) => id), ...eogIds]);
  const textKinds: readonly number[] = [PieceKind.normal, PieceKind.byte, PieceKind.userDefined];
  const isText = (id: number) => textKinds.includes(tokenizer.kindOf(id)) && !special.has(id);
  const count = Math.min(size, tokenizer.vocabSize);
  const bytesOf = Array.from({ length: count }, (_, id) => (isText(id) ? tokenizer.bytesOf(id) : null));
  return vocabularyOf(bytesOf, size, [...eogIds], (text) => tokenizer.idOf(text));
}

export function vocabularyOf(
  bytesOf: readonly (Uint8Array | null)[],
  size: number,
  eogIds: readonly number[],
  idOf: (text: string) => number | null,
): GrammarVocabulary {
  const ids = [...bytesOf.keys()].filter((id) => bytesOf[id] !== null && bytesOf[id]!.length > 0);
  const order = sortedByBytes(ids, bytesOf);
  const lengths = order.map((id) => plainLength(bytesOf[id]!));
  const longest = lengths.reduce((a, b) => Math.max(a, b), 0);
  const plainUpTo = Array.from({ length: longest + 1 }, () => new Uint32Array(wordsOf(size)));
  for (const [i, length] of lengths.entries()) {
    if (length >= 0) plainUpTo[length]![order[i]! >> 5]! |= 1 << (order[i]! & 31);
  }
  for (let n = 1; n <= longest; n++) includeBits(plainUpTo[n]!, plainUpTo[n - 1]!);
  return {
    size,
    bytesOf,
    all: buildTrie(order, bytesOf),
    notPlain: buildTrie(
      order.filter((_, i) => lengths[i]! < 0),
      bytesOf,
    ),
    plainUpTo,
    eogIds: eogIds.filter((id) => id < size),
    idOf,
  };
}

/**
 * Characters that can stand in a JSON string as themselves: all but quote, backslash and control characters. Most tokens consist
 * of them, and most grammars treat them alike, so a mask can take those tokens as a whole.
 */
export const plainRanges: readonly (readonly [from: number, to: number])[] = [
  [0x20, 0x21],
  [0x23, 0x5b],
  [0x5d, 0x7e],
];

/** Longer tokens are rare and not worth a set of their own for each length. */
const MAX_PLAIN = 64;

/** How many whole plain characters the bytes are; −1 when they are something else, or too many. */
function plainLength(bytes: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < bytes.length; ) {
    const byte = bytes[i]!;
    if (byte < 0x80) {
      if (byte < 0x20 || byte === 0x22 || byte === 0x5c || byte === 0x7f) return -1; // plainRanges, written out for speed
      i++;
    } else {
      const length = byte < 0xc2 ? 0 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf5 ? 4 : 0;
      if (length === 0 || i + length > bytes.length) return -1;
      const second = bytes[i + 1]!;
      const low = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
      const high = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
      if (second < low || second > high) return -1;
      for (let k = 2; k < length; k++) if ((bytes[i + k]! & 0xc0) !== 0x80) return -1;
      i += length;
    }
    count++;
  }
  return count <= MAX_PLAIN ? count : -1;
}

function sortedByBytes(ids: readonly number[], bytesOf: readonly (Uint8Array | null)[]): number[] {
  // One character for each byte: strings compare fast.
  const keys = bytesOf.map((bytes) =>
    bytes === null ? '' : String.fromCharCode.apply(null, bytes as unknown as number[]),
  );
  return ids.toSorted((a, b) => (keys[a]! < keys[b]! ? -1 : keys[a]! > keys[b]! ? 1 : a - b));
}

/** `order`: ids sorted by their bytes. */
function buildTrie(order: readonly number[], bytesOf: readonly (Uint8Array | null)[]): Trie {
  const most = order.reduce((sum, id) => sum + bytesOf[id]!.length, 0);
  const bytes = new Uint8Array(most);
  const ends = new Uint32Array(most);
  const depths = new Uint16Array(most);
  const firstId = new Uint32Array(most + 1);
  let count = 0;
  let maxDepth = 0;
  let before: Uint8Array = new Uint8Array(0);
  const open: number[] = []; // nodes of the token before, by depth
  const close = (depth: number) => {
    while (open.length > depth) ends[open.pop()!] = count;
  };
  for (let i = 0; i < order.length; i++) {
    const token = bytesOf[order[i]!]!;
    let shared = 0;
    while (shared < before.length && shared < token.length && before[shared] === token[shared]) shared++;
    close(shared);
    for (let depth = shared; depth < token.length; depth++) {
      open.push(count);
      bytes[count] = token[depth]!;
      depths[count] = depth + 1;
      firstId[count++] = i; // an inner node's own tokens end where its first child's begin: it has none
    }
    maxDepth = Math.max(maxDepth, token.length);
    before = token;
  }
  close(0);
  firstId[count] = order.length;
  return {
    nodeCount: count,
    bytes: bytes.slice(0, count),
    ends: ends.slice(0, count),
    depths: depths.slice(0, count),
    firstId: firstId.slice(0, count + 1),
    ids: Uint32Array.from(order),
    maxDepth,
  };
}
