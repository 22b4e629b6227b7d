/**
 * The `tokenizer.*` entries of a GGUF file: "llama" (SentencePiece with scores) and "gpt2" (byte-level BPE with merges and the
 * name of a splitting pattern).
 * Source   ggml docs/gguf.md, "Tokenizer"; llama.cpp llama-vocab.cpp for defaults.
 */
import { ArgumentError, UnsupportedError } from '../../base/errors.ts';
import { nearestNames } from '../../base/nearest.ts';
import type { GgufValue } from '../../formats/tokenizer-files.ts';
import { ByteLevelModel } from '../encode/byte-level-model.ts';
import { mergesFromList, mergesFromScores } from '../encode/merges.ts';
import { MetaspaceModel } from '../encode/metaspace-model.ts';
import { type NamedSplit, namedSplits, splitNames } from '../encode/named-splits.ts';
import { metaspaceNormalizer } from '../encode/normalize.ts';
import { createSplitter } from '../encode/split-pattern.ts';
import type { TextModel } from '../encode/text-model.ts';
import { fimMarks } from '../fim.ts';
import { byteFallbackIds, checkedId, endOfGenerationIds } from '../special-ids.ts';
import type { Spelling } from '../stream-decoder.ts';
import { controlTokens, Tokenizer } from '../tokenizer.ts';
import { badTokenizer, byteOfPiece, createVocabulary, PieceKind, show, type Vocabulary } from '../vocabulary.ts';

type Metadata = ReadonlyMap<string, GgufValue>;

export function readGgufTokenizer(file: string, metadata: Metadata): Tokenizer {
  const model = metadata.get('tokenizer.ggml.model');
  if (model !== 'llama' && model !== 'gpt2') {
    throw new UnsupportedError(
      'tokenizer.unsupported',
      `${file} @ tokenizer.ggml.model: expected llama or gpt2, found ${show(String(model))}. Cria reads SentencePiece BPE and byte-level BPE.`,
    );
  }
  const vocabulary = readVocabulary(file, metadata, model);
  const id = (name: string, missing?: number) =>
    checkedId(vocabulary, `tokenizer.ggml.${name}`, metadata.get(`tokenizer.ggml.${name}`) ?? missing);
  const flag = (name: string, missing: boolean): boolean => {
    const value = metadata.get(`tokenizer.ggml.${name}`) ?? missing;
    if (typeof value === 'boolean') return value;
    throw badTokenizer(file, `tokenizer.ggml.${name}`, `expected true or false, found ${show(String(value))}`);
  };
  const orMissing = (wanted: number) => (wanted < vocabulary.pieces.length ? wanted : undefined);
  const isLlama = model === 'llama';
  const bosId = isLlama ? id('bos_token_id', orMissing(1)) : id('bos_token_id');
  const eosId = isLlama ? id('eos_token_id', orMissing(2)) : id('eos_token_id');
  const unknownId = isLlama ? id('unknown_token_id', orMissing(0)) : id('unknown_token_id');
  const prefix = flag('add_space_prefix', true);
  const collapse = flag('remove_extra_whitespaces', false);
  const { split, remark } = isLlama ? noSplit(file, metadata) : splitOf(file, metadata, vocabulary);
  const spelling: Spelling = {
    vocabulary,
    kind: isLlama ? 'metaspace' : 'byte-level',
    leadingSpace: collapse ? 'all' : prefix ? 'one' : 'keep',
    unknownText: ' ⁇ ',
  };
  const template = metadata.get('tokenizer.chat_template');
  return new Tokenizer({
    vocabulary,
    model:
      split === null
        ? scoredModel(
            vocabulary,
            metadata,
            unknownId,
            metaspaceNormalizer({ prefix: prefix ? 'always' : 'never', collapse }),
          )
        : new ByteLevelModel({
            vocabulary,
            table: mergesFromList(vocabulary, mergePairs(file, metadata)).table,
            normalize: (text) => text,
            split: createSplitter(split),
            ignoreMerges: split.ignoreMerges ?? false,
            unknownId: null,
          }),
    spelling,
    addedTokens: controlTokens(vocabulary, [PieceKind.control, PieceKind.unknown, PieceKind.userDefined]),
    normalizedTokens: [],
    bosId,
    eosId,
    unknownId,
    padId: id('padding_token_id'),
    eogIds: endOfGenerationIds(vocabulary, [eosId, id('eot_token_id'), id('eom_token_id')]),
    fim: Object.fromEntries(
      Object.entries(fimMarks).map(([mark, { keys }]) => [
        mark,
        keys.map((key) => id(key)).find((given) => given !== null) ?? null,
      ]),
    ),
    addBos: flag('add_bos_token', isLlama || split?.addBos === true) && bosId !== null,
    addEos: flag('add_eos_token', false) && eosId !== null,
    chatTemplate: typeof template === 'string' ? template : null,
    remarks: remark === null ? [] : [remark],
  });
}

function readVocabulary(file: string, metadata: Metadata, model: 'llama' | 'gpt2'): Vocabulary {
  const tokens = strings(file, metadata, 'tokenizer.ggml.tokens');
  const types = metadata.get('tokenizer.ggml.token_type');
  if (types !== undefined && !(isNumbers(types) && types.length === tokens.length)) {
    throw badTokenizer(file, 'tokenizer.ggml.token_type', `expected ${tokens.length} numbers, one for each token`);
  }
  const kinds = new Uint8Array(tokens.length);
  for (const [id, token] of tokens.entries()) {
    const type = types === undefined ? 0 : types[id]!;
    if (type !== 0 && !(type >= 1 && type <= 6)) {
      throw badTokenizer(file, `tokenizer.ggml.token_type[${id}]`, `expected a type from 0 to 6, found ${type}`);
    }
    const untyped = model === 'llama' && byteOfPiece(token) >= 0 ? PieceKind.byte : PieceKind.normal;
    kinds[id] = type === 0 ? untyped : type;
    if (kinds[id] === PieceKind.byte && byteOfPiece(token) < 0) {
      throw badTokenizer(
        file,
        `tokenizer.ggml.tokens[${id}]`,
        `expected a byte piece like <0x41>, found ${show(token)}`,
      );
    }
  }
  return createVocabulary(file, tokens, kinds, 'first');
}

/** SentencePiece BPE; without scores (some test files) ids still become text, but text cannot become ids. */
function scoredModel(
  vocabulary: Vocabulary,
  metadata: Metadata,
  unknownId: number | null,
  normalize: (text: string, atStart: boolean) => string,
): TextModel {
  const { file, pieces } = vocabulary;
  const scores = metadata.get('tokenizer.ggml.scores');
  if (scores === undefined) {
    const encode = () => {
      throw new ArgumentError(
        'tokenizer.no-scores',
        `${file} @ tokenizer.ggml.scores: expected a score for each token, found none, so text cannot be encoded. Pass token ids, or use another file.`,
      );
    };
    return { normalize: (text) => text, encode, merges: encode };
  }
  if (!(isNumbers(scores) && scores.length === pieces.length)) {
    throw badTokenizer(file, 'tokenizer.ggml.scores', `expected ${pieces.length} numbers, one for each token`);
  }
  return new MetaspaceModel({
    vocabulary,
    merges: mergesFromScores(vocabulary, scores),
    normalize,
    words: 'free',
    byteIds: byteFallbackIds(vocabulary),
    unknownId,
    fuseUnknown: true,
    ignoreMerges: false,
  });
}

interface Split {
  readonly split: NamedSplit | null;
  /** What the user should hear. */
  readonly remark: string | null;
}

/** SentencePiece cuts no words; a name of how to cut them is then `default`, or somebody's mistake. */
function noSplit(file: string, metadata: Metadata): Split {
  const name = metadata.get('tokenizer.ggml.pre');
  if (typeof name === 'string' && name !== 'default' && namedSplits.has(name)) {
    const remark = `${file}: its vocabulary is SentencePiece's, which cuts no words: tokenizer.ggml.pre ${name} is not used`;
    return { split: null, remark };
  }
  return { split: null, remark: null };
}

/** How the file says that text is cut into words, or how its vocabulary lets guess. */
function splitOf(file: string, metadata: Metadata, vocabulary: Vocabulary): Split {
  const given = metadata.get('tokenizer.ggml.pre');
  if (given === undefined || given === '') {
    const guess = guessSplit(vocabulary);
    const remark = `${file} does not say how its vocabulary cuts text into words (tokenizer.ggml.pre); taken as ${guess.name}, ${guess.why}. Another: --pre NAME`;
    return { split: namedSplits.get(guess.name)!, remark };
  }
  const split = typeof given === 'string' ? namedSplits.get(given) : undefined;
  if (split !== undefined) return { split, remark: null };
  const near = nearestNames(String(given), [...namedSplits.keys()], 1)[0];
  throw new UnsupportedError(
    'tokenizer.unsupported',
    `${file} @ tokenizer.ggml.pre: expected one of ${splitNames.join(', ')} or another name of these, found ${show(String(given))}${near ? ` (near ${near})` : ''}. ` +
      'Text would be cut into words in another way than the model was trained with. Where you know which of these it is: --pre NAME.',
  );
}

/** Vocabularies that are known by their size and a token. */
const knownVocabularies = [
  { name: 'llama-bpe', least: 128_000, most: 129_000, token: '<|begin_of_text|>', whose: 'Llama 3' },
  { name: 'qwen2', least: 150_000, most: 153_000, token: '<|endoftext|>', whose: 'Qwen 2' },
  { name: 'tekken', least: 130_000, most: 132_000, token: '[INST]', whose: 'Mistral Nemo' },
  { name: 'gpt-4o', least: 199_000, most: 203_000, token: '<|endoftext|>', whose: 'GPT-4o' },
  { name: 'deepseek-coder', least: 32_000, most: 32_300, token: '<｜begin▁of▁sentence｜>', whose: 'DeepSeek Coder' },
  { name: 'deepseek-llm', least: 100_000, most: 102_500, token: '<｜begin▁of▁sentence｜>', whose: 'DeepSeek LLM' },
  { name: 'deepseek-v3', least: 128_000, most: 129_500, token: '<｜begin▁of▁sentence｜>', whose: 'DeepSeek V3' },
  { name: 'smollm', least: 49_000, most: 49_300, token: '<|endoftext|>', whose: 'SmolLM' },
  { name: 'gpt-2', least: 50_000, most: 51_300, token: '<|endoftext|>', whose: 'GPT-2' },
] as const;

function guessSplit({ pieces, idOfPiece }: Vocabulary): { readonly name: string; readonly why: string } {
  const known = knownVocabularies.find(
    ({ least, most, token }) => pieces.length >= least && pieces.length <= most && idOfPiece.has(token),
  );
  if (known)
    return { name: known.name, why: `as its ${pieces.length} tokens with ${known.token} are those of ${known.whose}` };
  return { name: 'default', why: 'as llama.cpp takes it' };
}

function* mergePairs(file: string, metadata: Metadata): Generator<[string, string]> {
  for (const [rank, merge] of strings(file, metadata, 'tokenizer.ggml.merges').entries()) {
    const space = merge.indexOf(' ', 1);
    if (space < 0)
      throw badTokenizer(
        file,
        `tokenizer.ggml.merges[${rank}]`,
        `expected two pieces and a space, found ${show(merge)}`,
      );
    yield [merge.slice(0, space), merge.slice(space + 1)];
  }
}

function strings(file: string, metadata: Metadata, key: string): readonly string[] {
  const value = metadata.get(key);
  if (Array.isArray(value) && value.every((entry) => typeof entry === 'string')) return value as readonly string[];
  throw badTokenizer(
    file,
    key,
    `expected a list of strings, found ${value === undefined ? 'nothing' : 'something else'}`,
  );
}

function isNumbers(value: GgufValue): value is Float32Array | Int32Array {
  return ArrayBuffer.isView(value) && !(value instanceof BigInt64Array) && !(value instanceof BigUint64Array);
}
