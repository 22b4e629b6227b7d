/**
 * `tokenizer.model`: a SentencePiece ModelProto. BPE models, which LLaMA and its relatives have, and unigram models are read, with the
 * normalisation table that they bring; word and character models are refused.
 * Source   sentencepiece_model.proto (field numbers below are its).
 */
import { UnsupportedError } from '../../base/errors.ts';
import { mergesFromScores } from '../encode/merges.ts';
import { MetaspaceModel } from '../encode/metaspace-model.ts';
import { metaspaceNormalizer } from '../encode/normalize.ts';
import { byteFallbackIds, endOfGenerationIds } from '../special-ids.ts';
import { controlTokens, Tokenizer } from '../tokenizer.ts';
import { CharacterMap } from '../unigram/character-map.ts';
import { UnigramModel } from '../unigram/unigram-model.ts';
import { badTokenizer, createVocabulary, MAX_PIECES, PieceKind } from '../vocabulary.ts';
import { type Field, readFields } from './protobuf.ts';

interface ModelProto {
  readonly pieces: string[];
  readonly scores: number[];
  readonly kinds: number[];
  readonly trainer: Map<number, Field>;
  readonly normalizer: Map<number, Field>;
}

const trainerField = {
  modelType: 3,
  whitespaceAsSuffix: 24,
  byteFallback: 35,
  unknownId: 40,
  bosId: 41,
  eosId: 42,
  padId: 43,
  unknownText: 44,
};
const normalizerField = { name: 1, table: 2, addDummyPrefix: 3, removeExtraSpaces: 4, escapeSpaces: 5 };
const modelTypes = ['', 'unigram', 'BPE', 'word', 'character'];

export function readSentencePiece(file: string, bytes: Uint8Array): Tokenizer {
  const proto = readModelProto(file, bytes);
  const { trainer, normalizer } = proto;
  const number = (fields: Map<number, Field>, field: number, missing: number): number => {
    const found = fields.get(field);
    if (found === undefined) return missing;
    if (found.wire === 'varint') return found.value;
    throw badTokenizer(file, `byte ${found.at}`, `expected a whole number in field ${field}, found ${found.wire}`);
  };
  const text = (fields: Map<number, Field>, field: number): string | null => {
    const found = fields.get(field);
    return found?.wire === 'bytes' ? decodeText(file, found.at, found.value) : null;
  };
  const refuse = (what: string, advice: string) =>
    new UnsupportedError(
      'tokenizer.unsupported',
      `${file}: expected a SentencePiece BPE or unigram model, found ${what}. ${advice}`,
    );

  const modelType = number(trainer, trainerField.modelType, 1);
  if (modelType !== 1 && modelType !== 2) {
    throw refuse(
      `model type ${modelTypes[modelType] ?? modelType}`,
      "LLaMA-family models use BPE; use the model's own tokenizer.",
    );
  }
  const table = normalizer.get(normalizerField.table);
  const map = table?.wire === 'bytes' && table.value.length > 0 ? new CharacterMap(file, table.value) : null;
  if (number(trainer, trainerField.whitespaceAsSuffix, 0) !== 0)
    throw refuse('treat_whitespace_as_suffix', 'Only leading ▁ is implemented.');
  if (number(normalizer, normalizerField.escapeSpaces, 1) === 0)
    throw refuse('escape_whitespaces = false', 'Only ▁ for spaces is implemented.');

  const vocabulary = createVocabulary(file, proto.pieces, Uint8Array.from(proto.kinds), 'refuse');
  const idOfKind = (kind: PieceKind, field: number, missing: number): number | null => {
    const id = number(trainer, field, missing);
    return id >= 0 && id < proto.pieces.length && proto.kinds[id] === kind ? id : null;
  };
  const unknownId = proto.kinds.indexOf(PieceKind.unknown);
  if (unknownId < 0) throw badTokenizer(file, 'pieces', 'expected a piece of kind "unknown", found none');
  const byteIds = byteFallbackIds(vocabulary);
  if (number(trainer, trainerField.byteFallback, 0) !== 0 && byteIds === null) {
    throw badTokenizer(file, 'pieces', 'expected the 256 byte pieces that byte_fallback needs, found none');
  }
  const dummyPrefix = number(normalizer, normalizerField.addDummyPrefix, 1) !== 0;
  const collapse = number(normalizer, normalizerField.removeExtraSpaces, 1) !== 0;
  const bosId = idOfKind(PieceKind.control, trainerField.bosId, 1);
  const eosId = idOfKind(PieceKind.control, trainerField.eosId, 2);
  const spaces = metaspaceNormalizer({ prefix: dummyPrefix ? 'always' : 'never', collapse });
  const normalize = map === null ? spaces : (text: string, atStart: boolean) => spaces(map.apply(text), atStart);
  const common = { vocabulary, normalize, words: 'free', byteIds, unknownId } as const;
  return new Tokenizer({
    vocabulary,
    model:
      modelType === 1
        ? new UnigramModel({ ...common, scores: checkedScores(file, proto), sums: 'f32' })
        : new MetaspaceModel({
            ...common,
            merges: mergesFromScores(vocabulary, proto.scores),
            fuseUnknown: true,
            ignoreMerges: false,
          }),
    spelling: {
      vocabulary,
      kind: 'metaspace',
      leadingSpace: collapse ? 'all' : dummyPrefix ? 'one' : 'keep',
      unknownText: text(trainer, trainerField.unknownText) ?? ' ⁇ ',
    },
    addedTokens: controlTokens(vocabulary, [PieceKind.control, PieceKind.unknown]),
    normalizedTokens: controlTokens(vocabulary, [PieceKind.userDefined]),
    bosId,
    eosId,
    unknownId,
    padId: idOfKind(PieceKind.control, trainerField.padId, -1),
    eogIds: endOfGenerationIds(vocabulary, [eosId]),
    addBos: bosId !== null,
    addEos: false,
    chatTemplate: null,
  });
}

/** A score that is no number would win or lose every comparison. */
function checkedScores(file: string, { scores }: ModelProto): readonly number[] {
  const wrong = scores.findIndex((score) => !Number.isFinite(score));
  if (wrong < 0) return scores;
  throw badTokenizer(file, `piece ${wrong}`, `expected a finite score, found ${scores[wrong]}`);
}

function readModelProto(file: string, bytes: Uint8Array): ModelProto {
  const proto: ModelProto = { pieces: [], scores: [], kinds: [], trainer: new Map(), normalizer: new Map() };
  for (const field of readFields(file, bytes)) {
    if (field.number > 5 || (field.number < 6 && field.wire !== 'bytes')) {
      if (field.number >= 200) continue; // extensions are allowed by the schema
      throw badTokenizer(
        file,
        `byte ${field.at}`,
        `expected a SentencePiece model, found field ${field.number} (${field.wire})`,
      );
    }
    if (field.wire !== 'bytes') continue;
    if (field.number === 1) {
      if (proto.pieces.length === MAX_PIECES)
        throw badTokenizer(file, `byte ${field.at}`, `expected at most ${MAX_PIECES} pieces, found more`);
      readPiece(file, field.value, field.at, proto);
    } else if (field.number === 2 || field.number === 3) {
      const fields = field.number === 2 ? proto.trainer : proto.normalizer;
      for (const inner of readFields(file, field.value, field.at)) fields.set(inner.number, inner);
    }
  }
  return proto;
}

function readPiece(file: string, bytes: Uint8Array, at: number, proto: ModelProto): void {
  let piece: string | null = null;
  let score = 0;
  let kind: number = PieceKind.normal;
  for (const field of readFields(file, bytes, at)) {
    if (field.number === 1 && field.wire === 'bytes') piece = decodeText(file, field.at, field.value);
    else if (field.number === 2 && field.wire === 'fixed32') score = field.value;
    else if (field.number === 3 && field.wire === 'varint') kind = field.value;
    else if (field.number < 4)
      throw badTokenizer(
        file,
        `byte ${field.at}`,
        `expected piece, score or type, found field ${field.number} (${field.wire})`,
      );
  }
  if (piece === null || piece === '')
    throw badTokenizer(file, `byte ${at}`, `expected a text for piece ${proto.pieces.length}, found none`);
  if (!(kind >= 1 && kind <= 6))
    throw badTokenizer(file, `byte ${at}`, `expected a piece type from 1 to 6, found ${kind}`);
  proto.pieces.push(piece);
  proto.scores.push(score);
  proto.kinds.push(kind);
}

function decodeText(file: string, at: number, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw badTokenizer(file, `byte ${at}`, 'expected UTF-8 text, found other bytes');
  }
}
