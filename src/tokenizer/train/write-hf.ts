/**
 * `tokenizer.json` and `tokenizer_config.json` of a trained vocabulary, as transformers writes them for LLaMA (SentencePiece as BPE
 * with byte fallback) and for Llama 3 (byte-level BPE).
 */
import { splitPatterns } from '../encode/split-pattern.ts';
import { PieceKind } from '../vocabulary.ts';
import type { TrainedByteLevel } from './byte-level-trainer.ts';
import type { TrainedSentencePiece } from './sentencepiece-trainer.ts';

export interface HfTokenizerFiles {
  /** tokenizer.json */
  readonly json: string;
  /** tokenizer_config.json */
  readonly config: string;
}

export function sentencePieceToHf(trained: TrainedSentencePiece): HfTokenizerFiles {
  const { pieces } = trained;
  const ids = new Map(pieces.map(({ piece }, id) => [piece, id]));
  const controls = pieces.flatMap(({ piece, kind }, id) =>
    kind === PieceKind.control || kind === PieceKind.unknown ? [{ piece, id }] : [],
  );
  const json = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: controls.map(({ piece, id }) => addedToken(piece, id)),
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    },
    pre_tokenizer: null,
    post_processor: beginWith('<s>', 1),
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: '<unk>',
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: Object.fromEntries(ids),
      merges: mergesOf(trained, ids),
    },
  };
  const config = {
    tokenizer_class: 'LlamaTokenizer',
    add_bos_token: true,
    add_eos_token: false,
    add_prefix_space: true,
    legacy: true,
    bos_token: '<s>',
    eos_token: '</s>',
    unk_token: '<unk>',
    clean_up_tokenization_spaces: false,
  };
  return { json: stringify(json), config: stringify(config) };
}

/** Every way to join two pieces into a third, best score first; of one piece, the longest left part first, as transformers. */
function mergesOf(trained: TrainedSentencePiece, ids: ReadonlyMap<string, number>): [string, string][] {
  const merges: [string, string][] = [];
  for (const { piece, kind } of trained.pieces) {
    if (kind !== PieceKind.normal) continue;
    const characters = Array.from(piece);
    for (let cut = characters.length - 1; cut > 0; cut--) {
      const left = characters.slice(0, cut).join('');
      const right = characters.slice(cut).join('');
      if (ids.has(left) && ids.has(right)) merges.push([left, right]);
    }
  }
  return merges;
}

export function byteLevelToHf(trained: TrainedByteLevel, names: { bos?: string; eos?: string } = {}): HfTokenizerFiles {
  const { pieces, merges, specialTokens, pattern } = trained;
  const ordinary = pieces.slice(0, pieces.length - specialTokens.length);
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
  const bosId = names.bos === undefined ? -1 : pieces.indexOf(names.bos);
  const json = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((token, i) => addedToken(token, ordinary.length + i)),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: splitPatterns[pattern] }, behavior: 'Isolated', invert: false },
        { ...byteLevel, use_regex: false },
      ],
    },
    post_processor: names.bos === undefined ? { ...byteLevel, use_regex: true } : beginWith(names.bos, bosId),
    decoder: { ...byteLevel, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: pattern === 'llama3',
      vocab: Object.fromEntries(ordinary.map((piece, id) => [piece, id])),
      merges,
    },
  };
  const config = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    ...(names.bos === undefined ? {} : { bos_token: names.bos }),
    ...(names.eos === undefined ? {} : { eos_token: names.eos }),
    clean_up_tokenization_spaces: false,
  };
  return { json: stringify(json), config: stringify(config) };
}

function addedToken(content: string, id: number): object {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}

/** A post-processor that puts one token in front. */
function beginWith(token: string, id: number): object {
  const special = (type: number) => ({ SpecialToken: { id: token, type_id: type } });
  const sequence = (name: string, type: number) => ({ Sequence: { id: name, type_id: type } });
  return {
    type: 'TemplateProcessing',
    single: [special(0), sequence('A', 0)],
    pair: [special(0), sequence('A', 0), special(1), sequence('B', 1)],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}

function stringify(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
