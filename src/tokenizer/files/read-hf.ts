/**
 * `tokenizer.json` (tokenizers library) with its `tokenizer_config.json`: BPE models, byte-level or with byte fallback, and unigram models.
 */
import { UnsupportedError } from '../../base/errors.ts';
import type { AddedToken } from '../encode/added-tokens.ts';
import { ByteLevelModel } from '../encode/byte-level-model.ts';
import { mergesFromList } from '../encode/merges.ts';
import { MetaspaceModel } from '../encode/metaspace-model.ts';
import { metaspaceNormalizer } from '../encode/normalize.ts';
import type { TextModel } from '../encode/text-model.ts';
import { byteFallbackIds, checkedId, endOfGenerationIds } from '../special-ids.ts';
import { Tokenizer } from '../tokenizer.ts';
import { UnigramModel } from '../unigram/unigram-model.ts';
import { byteOfPiece, createVocabulary, MAX_PIECES, PieceKind, type Vocabulary } from '../vocabulary.ts';
import {
  type PreTokenizer,
  readNormalizer,
  readPreTokenizer,
  readTemplate,
  stripsLeadingSpace,
} from './hf-pipeline.ts';
import { type Json, JsonNode, parseJson } from './json.ts';

interface AddedEntry extends AddedToken {
  readonly normalized: boolean;
}

export function readHfTokenizer(
  file: string,
  json: string,
  config: string | null,
  specialTokens: string | null,
): Tokenizer {
  const root = new JsonNode(file, parseJson(file, json));
  const configRoot = optionalRoot('tokenizer_config.json', config);
  const specialRoot = optionalRoot('special_tokens_map.json', specialTokens);
  const model = root.at('model');
  checkModel(file, model);
  const added = readAddedTokens(root.at('added_tokens'));
  const byteFallback = model.at('byte_fallback').flag(false);
  const isUnigram = model.at('type').text('BPE') === 'Unigram';
  const scored = isUnigram ? readScored(model.at('vocab')) : null;
  const listed = scored ? scored.map(({ piece }, id) => [piece, id] as const) : model.at('vocab').entries();
  const vocabulary = readVocabulary(model.at('vocab'), listed, added, byteFallback);
  const normalize = readNormalizer(root.at('normalizer'));
  const words = readPreTokenizer(root.at('pre_tokenizer'), normalize);
  const strips = stripsLeadingSpace(root.at('decoder'), words);
  const template = readTemplate(root.at('post_processor'));
  const named = (name: string): number | null =>
    tokenNamed(vocabulary, configRoot.at(name)) ?? tokenNamed(vocabulary, specialRoot.at(name));
  const idOf = (piece: string | undefined) => (piece === undefined ? null : (vocabulary.idOfPiece.get(piece) ?? null));

  const bosId = named('bos_token') ?? idOf(template.before[0]) ?? control(vocabulary, '<s>', '<|begin_of_text|>');
  const eosId =
    named('eos_token') ?? idOf(template.after[0]) ?? control(vocabulary, '</s>', '<|end_of_text|>', '<|endoftext|>');
  const unknown = model.at('unk_id');
  const unknownId = !isUnigram
    ? tokenNamed(vocabulary, model.at('unk_token'))
    : unknown.isMissing
      ? null
      : checkedId(vocabulary, 'model.unk_id', unknown.value);
  return new Tokenizer({
    vocabulary,
    model: scored
      ? unigramModel(vocabulary, scored, model, words, normalize, unknownId)
      : createModel(vocabulary, model, words, normalize, unknownId),
    spelling: {
      vocabulary,
      kind: words.kind === 'byte-level' ? 'byte-level' : 'metaspace',
      leadingSpace: strips ? 'one' : 'keep',
      unknownText: '',
    },
    addedTokens: added.filter(({ normalized }) => !normalized),
    normalizedTokens: added
      .filter(({ normalized }) => normalized)
      .map((token) => ({ ...token, content: normalize(token.content, true) })),
    bosId,
    eosId,
    unknownId,
    padId: named('pad_token'),
    eogIds: endOfGenerationIds(vocabulary, [eosId]),
    addBos: configRoot.at('add_bos_token').flag(bosId !== null && idOf(template.before[0]) === bosId) && bosId !== null,
    addEos: configRoot.at('add_eos_token').flag(eosId !== null && idOf(template.after[0]) === eosId) && eosId !== null,
    chatTemplate: readChatTemplate(configRoot.at('chat_template')),
  });
}

function optionalRoot(file: string, text: string | null): JsonNode {
  return new JsonNode(file, text === null ? undefined : parseJson(file, text));
}

function checkModel(file: string, model: JsonNode): void {
  const type = model.at('type').text('BPE');
  if (type !== 'BPE' && type !== 'Unigram') {
    throw new UnsupportedError(
      'tokenizer.unsupported',
      `${file} @ model.type: expected BPE or Unigram, found ${type}. LLaMA-family models use BPE; use the model's own tokenizer.`,
    );
  }
  for (const key of ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix']) {
    const node = model.at(key);
    if (!node.isMissing && node.value !== '' && node.value !== 0)
      throw node.expected('null', 'Cria does not implement it.');
  }
}

function readAddedTokens(list: JsonNode): AddedEntry[] {
  if (list.isMissing) return [];
  return list.items().map((item) => {
    const control = item.at('special').flag(false);
    return {
      id: item.at('id').count(),
      content: item.at('content').text(),
      control,
      lstrip: item.at('lstrip').flag(false),
      rstrip: item.at('rstrip').flag(false),
      singleWord: item.at('single_word').flag(false),
      normalized: item.at('normalized').flag(!control),
    };
  });
}

/** `vocab` and the added tokens, by id. Ids that nothing has are gaps: unused, without text. */
function readVocabulary(
  vocab: JsonNode,
  entries: readonly (readonly [piece: string, id: Json])[],
  added: readonly AddedEntry[],
  byteFallback: boolean,
): Vocabulary {
  let count = 0;
  const claim = (id: unknown, where: JsonNode): number => {
    if (!(typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < MAX_PIECES)) {
      throw where.expected(`ids from 0 to ${MAX_PIECES - 1}`);
    }
    count = Math.max(count, id + 1);
    return id;
  };
  for (const [piece, id] of entries) claim(id, new JsonNode(vocab.file, id, `${vocab.path}.${piece}`));
  for (const token of added) claim(token.id, new JsonNode(vocab.file, token.id, `added_tokens (${token.content})`));

  const pieces = new Array<string>(count).fill('');
  const kinds = new Uint8Array(count).fill(PieceKind.unused);
  for (const [piece, value] of entries) {
    const id = value as number;
    if (kinds[id] !== PieceKind.unused)
      throw new JsonNode(vocab.file, id, `${vocab.path}.${piece}`).expected(`an id of its own (${id} is taken)`);
    pieces[id] = piece;
    kinds[id] = byteFallback && byteOfPiece(piece) >= 0 ? PieceKind.byte : PieceKind.normal;
  }
  for (const { id, content, control } of added) {
    if (pieces[id] !== content && kinds[id] !== PieceKind.unused) {
      throw new JsonNode(vocab.file, content, `added_tokens (id ${id})`).expected(
        `the piece ${pieces[id]} that vocab has there`,
      );
    }
    pieces[id] = content;
    kinds[id] = control ? PieceKind.control : PieceKind.userDefined;
  }
  return createVocabulary(vocab.file, pieces, kinds, 'refuse');
}

/** A unigram model's pieces with their log-probabilities, in order of ids. */
function readScored(vocab: JsonNode): { readonly piece: string; readonly score: number }[] {
  return vocab.items().map((item) => {
    const [piece, score] = Array.isArray(item.value) ? item.value : [];
    if (typeof piece === 'string' && typeof score === 'number' && Number.isFinite(score)) return { piece, score };
    throw item.expected('a piece and its score');
  });
}

function unigramModel(
  vocabulary: Vocabulary,
  scored: readonly { readonly score: number }[],
  model: JsonNode,
  words: PreTokenizer,
  normalize: (text: string, atStart: boolean) => string,
  unknownId: number | null,
): TextModel {
  if (words.kind === 'byte-level') throw model.at('type').expected('BPE where the pre-tokenizer is ByteLevel');
  const metaspace = words.kind === 'metaspace' ? metaspaceNormalizer(words.rule) : null;
  return new UnigramModel({
    vocabulary,
    scores: vocabulary.pieces.map((_, id) => scored[id]?.score ?? 0),
    normalize: metaspace === null ? normalize : (text, atStart) => metaspace(normalize(text, atStart), atStart),
    words: words.kind === 'metaspace' ? words.words : 'free',
    sums: 'f64',
    byteIds: model.at('byte_fallback').flag(false) ? byteFallbackIds(vocabulary) : null,
    unknownId,
  });
}

function* mergePairs(merges: JsonNode): Generator<readonly [string, string]> {
  const list = merges.value;
  if (!Array.isArray(list)) throw merges.expected('a list');
  for (const [rank, merge] of list.entries()) {
    if (Array.isArray(merge) && merge.length === 2 && typeof merge[0] === 'string' && typeof merge[1] === 'string') {
      yield [merge[0], merge[1]];
    } else {
      const space = typeof merge === 'string' ? merge.indexOf(' ', 1) : -1;
      if (space < 0) throw new JsonNode(merges.file, merge, `${merges.path}[${rank}]`).expected('two pieces');
      yield [merge.slice(0, space), merge.slice(space + 1)];
    }
  }
}

function createModel(
  vocabulary: Vocabulary,
  model: JsonNode,
  words: PreTokenizer,
  normalize: (text: string, atStart: boolean) => string,
  unknownId: number | null,
): TextModel {
  const merges = mergesFromList(vocabulary, mergePairs(model.at('merges')));
  const ignoreMerges = model.at('ignore_merges').flag(false);
  if (words.kind === 'byte-level') {
    const prefixed = (text: string, atStart: boolean) => {
      const done = normalize(text, atStart);
      return words.prefixSpace && !done.startsWith(' ') ? ` ${done}` : done;
    };
    return new ByteLevelModel({
      vocabulary,
      table: merges.table,
      normalize: prefixed,
      split: words.split,
      ignoreMerges,
      unknownId,
    });
  }
  const metaspace = words.kind === 'metaspace' ? metaspaceNormalizer(words.rule) : null;
  return new MetaspaceModel({
    vocabulary,
    merges,
    normalize: metaspace === null ? normalize : (text, atStart) => metaspace(normalize(text, atStart), atStart),
    words: words.kind === 'metaspace' ? words.words : 'free',
    byteIds: model.at('byte_fallback').flag(false) ? byteFallbackIds(vocabulary) : null,
    unknownId,
    fuseUnknown: model.at('fuse_unk').flag(false),
    ignoreMerges,
  });
}

/** The id of a token that a config names, as a string or as { content }. */
function tokenNamed(vocabulary: Vocabulary, node: JsonNode): number | null {
  if (node.isMissing) return null;
  const name = typeof node.value === 'string' ? node.value : node.at('content').text();
  return vocabulary.idOfPiece.get(name) ?? null;
}

function control(vocabulary: Vocabulary, ...names: string[]): number | null {
  for (const name of names) {
    const id = vocabulary.idOfPiece.get(name);
    if (id !== undefined && vocabulary.kinds[id] === PieceKind.control) return id;
  }
  return null;
}

/** A template text, or the one named "default" in a list of named ones. */
function readChatTemplate(node: JsonNode): string | null {
  if (node.isMissing) return null;
  if (typeof node.value === 'string') return node.value;
  const chosen = node.items().find((item) => item.at('name').text() === 'default') ?? node.items()[0];
  return chosen === undefined ? null : chosen.at('template').text();
}
