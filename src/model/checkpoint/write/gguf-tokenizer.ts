/**
 * A tokenizer as the tokenizer.* fields of a GGUF file. SentencePiece becomes "llama" (pieces with scores), byte-level BPE becomes
 * "gpt2" (pieces with merges). Source  ggml docs/gguf.md, "Tokenizer"; the fields are those of llama.cpp's converter.
 */
import { UnsupportedError } from '../../../base/errors.ts';
import { Cursor } from '../../../formats/cursor.ts';
import type { GgufField, GgufType } from '../../../formats/gguf-values.ts';
import { isObject, type Json, type JsonObject, parseJsonObject } from '../../../formats/json.ts';
import { MemorySource } from '../../../formats/memory-source.ts';
import type { GgufValue, TokenizerFiles } from '../../../formats/tokenizer-files.ts';
import { createTokenizer } from '../../../tokenizer/create-tokenizer.ts';
import {
  nameOfSteps,
  publishedPatterns,
  type SplitPattern,
  splitNames,
} from '../../../tokenizer/encode/named-splits.ts';
import { readFields } from '../../../tokenizer/files/protobuf.ts';
import type { Tokenizer } from '../../../tokenizer/tokenizer.ts';
import { PieceKind } from '../../../tokenizer/vocabulary.ts';

/** The file's own fields where it is GGUF already; else the pieces, padded to the model's vocabulary. */
export function ggufTokenizerFields(files: TokenizerFiles, vocabSize: number): Map<string, GgufField> {
  if (files.kind === 'gguf')
    return new Map([...files.metadata].map(([key, value]) => [key, { type: typeOf(value), value }]));
  const tokenizer = createTokenizer(files, { vocabSize });
  const fields = new Map<string, GgufField>();
  const set = (key: string, type: GgufType, value: GgufValue) => fields.set(`tokenizer.ggml.${key}`, { type, value });
  const model = modelOf(files, tokenizer);
  const count = Math.max(vocabSize, tokenizer.vocabSize);
  const pieces = Array.from({ length: count }, (_, id) =>
    id < tokenizer.vocabSize ? tokenizer.pieceOf(id) : `[PAD${id}]`,
  );
  const kinds = Int32Array.from(pieces, (_, id) =>
    id < tokenizer.vocabSize ? tokenizer.kindOf(id) : PieceKind.unused,
  );
  set('model', 'string', model.kind);
  set('pre', 'string', model.pre);
  set('tokens', 'array', pieces);
  if (model.kind === 'llama') {
    const scores = new Float32Array(count).fill(-10_000);
    scores.set(model.scores);
    set('scores', 'array', scores);
  }
  set('token_type', 'array', kinds);
  if (model.kind === 'gpt2') set('merges', 'array', model.merges);
  const ids = { bos: tokenizer.bosId, eos: tokenizer.eosId, unknown: tokenizer.unknownId, padding: tokenizer.padId };
  for (const [name, id] of Object.entries(ids)) if (id !== null) set(`${name}_token_id`, 'u32', id);
  set('add_bos_token', 'bool', tokenizer.addBos);
  set('add_eos_token', 'bool', tokenizer.addEos);
  if (model.kind === 'llama') {
    const spelled = (text: string) => tokenizer.pieces(tokenizer.encode(text)).join('');
    set('add_space_prefix', 'bool', spelled('a').startsWith('▁'));
    if (spelled('a  a') === spelled('a a')) set('remove_extra_whitespaces', 'bool', true);
  }
  return fields;
}

function typeOf(value: GgufValue): GgufType {
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'string') return 'string';
  if (typeof value === 'bigint') return value < 0n ? 'i64' : 'u64';
  if (typeof value !== 'number') return 'array';
  if (!Number.isInteger(value)) return 'f32';
  return value < 0 ? 'i32' : value > 0xffffffff ? 'u64' : 'u32';
}

type Model =
  | { readonly kind: 'llama'; readonly pre: string; readonly scores: readonly number[] }
  | { readonly kind: 'gpt2'; readonly pre: string; readonly merges: readonly string[] };

function modelOf(files: Exclude<TokenizerFiles, { kind: 'gguf' }>, tokenizer: Tokenizer): Model {
  switch (files.kind) {
    case 'sentencepiece':
      return { kind: 'llama', pre: 'default', scores: sentencePieceScores(files.file, files.bytes) };
    case 'llama2c':
      return { kind: 'llama', pre: 'default', scores: llama2cScores(files.file, files.bytes) };
    case 'tiktoken':
      return { kind: 'gpt2', pre: 'llama-bpe', merges: mergesOfRanks(tokenizer) };
    case 'hf':
      return hfModel(files.file, files.json, tokenizer);
    default:
      return files satisfies never;
  }
}

/**
 * Field 2 of each piece (field 1 of the model), as sentencepiece_model.proto has them; a missing score is 0. Throws UnsupportedError for what "llama" in a GGUF
 * file does not say: a unigram model, a normalisation table.
 */
function sentencePieceScores(file: string, bytes: Uint8Array): number[] {
  const scores: number[] = [];
  let isBpe = false;
  for (const piece of readFields(file, bytes)) {
    if (piece.wire !== 'bytes') continue;
    if (piece.number === 2 || piece.number === 3) {
      for (const field of readFields(file, piece.value, piece.at)) {
        if (piece.number === 2 && field.number === 3) isBpe = field.wire === 'varint' && field.value === 2;
        if (piece.number === 3 && field.number === 2 && field.wire === 'bytes' && field.value.length > 0)
          throw notInGguf(file, 'a normalisation table');
      }
    }
    if (piece.number !== 1) continue;
    let score = 0;
    for (const field of readFields(file, piece.value, piece.at)) {
      if (field.number === 2 && field.wire === 'fixed32') score = field.value;
    }
    scores.push(score);
  }
  if (!isBpe) throw notInGguf(file, 'a unigram model');
  return scores;
}

function notInGguf(file: string, what: string): UnsupportedError {
  return new UnsupportedError(
    'gguf.tokenizer',
    `${file}: expected SentencePiece BPE without a normalisation table, found ${what}, which Cria does not write to GGUF. Save in another format.`,
  );
}

function llama2cScores(file: string, bytes: Uint8Array): number[] {
  const cursor = new Cursor(new MemorySource(file, bytes), 4);
  const scores: number[] = [];
  while (cursor.bytesLeft > 0) {
    scores.push(cursor.f32());
    cursor.skip(cursor.u32());
  }
  return scores;
}

function hfModel(file: string, json: string, tokenizer: Tokenizer): Model {
  const root = parseJsonObject(file, json);
  const model = isObject(root.model) ? root.model : {};
  if (model.type === 'Unigram') throw notInGguf(file, 'a unigram model');
  const merges = mergeList(model);
  if (model.byte_fallback === true) return { kind: 'llama', pre: 'default', scores: scoresOfMerges(merges, tokenizer) };
  return {
    kind: 'gpt2',
    pre: splittingName(file, root.pre_tokenizer ?? null, model.ignore_merges === true),
    merges: merges.map((pair) => pair.join(' ')),
  };
}

/** Merges are texts 'a b' in older files, pairs in newer ones. */
function mergeList(model: JsonObject): [string, string][] {
  if (!Array.isArray(model.merges)) return [];
  return model.merges.map((merge) => {
    if (Array.isArray(merge)) return [String(merge[0]), String(merge[1])];
    const text = String(merge);
    const space = text.indexOf(' ', 1);
    return [text.slice(0, space), text.slice(space + 1)];
  });
}

/** The earlier a merge, the higher the score of the piece that it makes. */
function scoresOfMerges(merges: readonly [string, string][], tokenizer: Tokenizer): number[] {
  const rankOf = new Map<string, number>();
  for (const [rank, pair] of merges.entries()) {
    const piece = pair.join('');
    if (!rankOf.has(piece)) rankOf.set(piece, rank);
  }
  return Array.from({ length: tokenizer.vocabSize }, (_, id) => {
    if (tokenizer.kindOf(id) !== PieceKind.normal) return 0;
    return -(rankOf.get(tokenizer.pieceOf(id)) ?? merges.length);
  });
}

/** llama.cpp's name of how a tokenizer.json cuts text: its stages are looked up in the table of patterns. */
function splittingName(file: string, preTokenizer: Json, ignoreMerges: boolean): string {
  const stages =
    isObject(preTokenizer) && Array.isArray(preTokenizer.pretokenizers) ? preTokenizer.pretokenizers : [preTokenizer];
  const steps = stages.flatMap((stage): (SplitPattern | null)[] => {
    if (!isObject(stage)) return [null];
    if (stage.type === 'ByteLevel') return stage.use_regex === false ? [] : ['gpt-2'];
    if (stage.type === 'Digits') return [stage.individual_digits === true ? 'digits' : 'numbers'];
    const source = stage.type === 'Split' && isObject(stage.pattern) ? stage.pattern.Regex : undefined;
    return [
      typeof source === 'string'
        ? (publishedPatterns.get(asEscapes(source)) ?? publishedPatterns.get(source) ?? null)
        : null,
    ];
  });
  const name = steps.includes(null) ? null : nameOfSteps(steps as SplitPattern[], ignoreMerges);
  if (name !== null) return name;
  throw new UnsupportedError(
    'tokenizer.unsupported',
    `${file} @ pre_tokenizer: expected stages that llama.cpp has a name for (${splitNames.join(', ')}), found others. GGUF has no name for them.`,
  );
}

/** Characters beyond ASCII as the table spells them. */
function asEscapes(pattern: string): string {
  return pattern.replace(/[^\x00-\x7f]/gu, (character) => {
    const digits = character.codePointAt(0)!.toString(16);
    return digits.length > 4 ? `\\u{${digits}}` : `\\u${digits.padStart(4, '0')}`;
  });
}

/**
 * Merges of a vocabulary that has only ranks: each piece is the merge of the two parts that byte-pair encoding with the
 * lower ranks leaves of it.
 */
function mergesOfRanks(tokenizer: Tokenizer): string[] {
  const merges: string[] = [];
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    const piece = tokenizer.pieceOf(id);
    if (tokenizer.kindOf(id) !== PieceKind.normal || piece.length < 2) continue;
    const parts = [...piece];
    while (parts.length > 2) {
      let best = -1;
      let lowest = id;
      for (let i = 0; i + 1 < parts.length; i++) {
        const rank = tokenizer.idOf(parts[i]! + parts[i + 1]!) ?? id;
        if (rank < lowest) [best, lowest] = [i, rank];
      }
      if (best < 0) break;
      parts.splice(best, 2, parts[best]! + parts[best + 1]!);
    }
    if (parts.length === 2) merges.push(parts.join(' '));
  }
  return merges;
}
