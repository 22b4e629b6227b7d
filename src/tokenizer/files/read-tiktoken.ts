/**
 * Llama 3's `tokenizer.model`: one line a token, its bytes in base64, a space, its rank. The special tokens are not in the
 * file; they follow the ranks, in Meta's published order.
 * Source   llama-models models/llama3/tokenizer.py; tiktoken load.py.
 */
import { bytesToLetters } from '../byte-alphabet.ts';
import { ByteLevelModel } from '../encode/byte-level-model.ts';
import { mergesFromScores } from '../encode/merges.ts';
import { createSplitter } from '../encode/split-pattern.ts';
import { endOfGenerationIds } from '../special-ids.ts';
import { controlTokens, Tokenizer } from '../tokenizer.ts';
import { badTokenizer, createVocabulary, MAX_PIECES, PieceKind } from '../vocabulary.ts';

const SPECIAL_COUNT = 256;

/** Meta's special tokens in order: the named ones, then reserved ones up to 256. */
function specialTokens(): string[] {
  const named = [
    '<|begin_of_text|>',
    '<|end_of_text|>',
    '<|reserved_special_token_0|>',
    '<|reserved_special_token_1|>',
    '<|finetune_right_pad_id|>',
    '<|step_id|>',
    '<|start_header_id|>',
    '<|end_header_id|>',
    '<|eom_id|>',
    '<|eot_id|>',
    '<|python_tag|>',
    '<|image|>',
  ];
  const reserved = Array.from(
    { length: SPECIAL_COUNT - named.length },
    (_, i) => `<|reserved_special_token_${i + 2}|>`,
  );
  return [...named, ...reserved];
}

/** `vocabSize`: the model's, where it has room for fewer than 256 special tokens. */
export function readTiktoken(file: string, bytes: Uint8Array, vocabSize?: number): Tokenizer {
  const ranked = readRanks(file, bytes);
  const count = ranked.length;
  const room = Math.min(SPECIAL_COUNT, Math.max(0, (vocabSize ?? Infinity) - count));
  const pieces = [...ranked, ...specialTokens().slice(0, room)];
  const kinds = new Uint8Array(pieces.length).fill(PieceKind.normal, 0, count).fill(PieceKind.control, count);
  const vocabulary = createVocabulary(file, pieces, kinds, 'refuse');
  const ranksAsScores = Float64Array.from(pieces, (_, rank) => -rank);
  const id = (name: string) => vocabulary.idOfPiece.get(name) ?? null;
  const bosId = id('<|begin_of_text|>');
  const eosId = id('<|end_of_text|>');
  return new Tokenizer({
    vocabulary,
    model: new ByteLevelModel({
      vocabulary,
      table: mergesFromScores(vocabulary, ranksAsScores).table,
      normalize: (text) => text,
      split: createSplitter({ steps: ['llama3'] }),
      ignoreMerges: true,
      unknownId: null,
    }),
    spelling: { vocabulary, kind: 'byte-level', leadingSpace: 'keep', unknownText: '' },
    addedTokens: controlTokens(vocabulary),
    normalizedTokens: [],
    bosId,
    eosId,
    unknownId: null,
    padId: id('<|finetune_right_pad_id|>'),
    eogIds: endOfGenerationIds(vocabulary, [eosId]),
    addBos: bosId !== null,
    addEos: false,
    chatTemplate: null,
  });
}

/** Pieces by rank, in the byte alphabet. */
function readRanks(file: string, bytes: Uint8Array): string[] {
  const pieces: string[] = [];
  const text = new TextDecoder('latin1').decode(bytes);
  for (let begin = 0, line = 1; begin < text.length; line++) {
    let end = text.indexOf('\n', begin);
    if (end === -1) end = text.length;
    const content = text.slice(begin, end).trimEnd();
    begin = end + 1;
    if (content === '') continue;
    const parts = /^([A-Za-z0-9+/]{2,}={0,2}) (\d{1,8})$/.exec(content);
    const piece = parts === null ? null : decodeBase64(parts[1]!);
    if (parts === null || piece === null) {
      throw badTokenizer(file, `line ${line}`, 'expected base64, a space and a rank, found something else');
    }
    if (Number(parts[2]) !== pieces.length || pieces.length >= MAX_PIECES) {
      throw badTokenizer(file, `line ${line}`, `expected rank ${pieces.length}, found ${parts[2]}`);
    }
    pieces.push(bytesToLetters(piece));
  }
  return pieces;
}

const digits = new Map(
  Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', (letter, value) => [letter, value]),
);

/** Bytes of base64 text with padding, or null. Written out because atob is a DOM global and Uint8Array.fromBase64 is new. */
function decodeBase64(text: string): Uint8Array | null {
  if (text.length % 4 !== 0) return null;
  const letters = text.replace(/=+$/, '');
  const bytes = new Uint8Array(Math.floor((letters.length * 6) / 8));
  let held = 0;
  let bits = 0;
  let at = 0;
  for (const letter of letters) {
    held = ((held << 6) | digits.get(letter)!) & 0xfff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = (held >> bits) & 0xff;
    }
  }
  return bytes;
}
