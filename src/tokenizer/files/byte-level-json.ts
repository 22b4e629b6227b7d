/**
 * `tokenizer.json` and `tokenizer_config.json` of a byte-level BPE vocabulary, as transformers writes them for Llama 3, Qwen 2 and
 * GPT-2. What it was made of (a GGUF file, ranks, `vocab.json` with `merges.txt`, our own trainer) is the caller's to say.
 */
import { type NamedSplit, splitPatterns } from '../encode/named-splits.ts';

export interface HfTokenizerFiles {
  /** tokenizer.json */
  readonly json: string;
  /** tokenizer_config.json */
  readonly config: string;
}

export interface AddedPiece {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
  readonly single_word?: boolean;
  readonly normalized?: boolean;
}

export interface ByteLevelVocabulary {
  /** Ordinary pieces, in the byte alphabet, with their ids. */
  readonly vocab: Iterable<readonly [piece: string, id: number]>;
  readonly merges: Iterable<readonly [string, string]>;
  readonly added: readonly AddedPiece[];
  readonly split: NamedSplit;
  /** Text is composed first (Unicode's NFC), as for Qwen 2. */
  readonly nfc?: boolean;
  /** A space is put before a text that has none. */
  readonly prefixSpace?: boolean;
  /** The token that every text begins with. */
  readonly begin?: { readonly content: string; readonly id: number } | null;
  /** tokenizer_config.json: bos_token, eos_token … */
  readonly config: Readonly<Record<string, unknown>>;
}

export function byteLevelJson(vocabulary: ByteLevelVocabulary): HfTokenizerFiles {
  const { vocab, merges, added, split, nfc = false, prefixSpace = false, begin = null, config } = vocabulary;
  const byteLevel = { type: 'ByteLevel', add_prefix_space: prefixSpace, trim_offsets: true };
  const endsAsGpt2 = split.steps.at(-1) === 'gpt-2';
  const steps = endsAsGpt2 ? split.steps.slice(0, -1) : split.steps;
  const pretokenizers = [
    ...steps.map((step) =>
      step === 'digits'
        ? { type: 'Digits', individual_digits: true }
        : { type: 'Split', pattern: { Regex: literal(splitPatterns[step]) }, behavior: 'Isolated', invert: false },
    ),
    { ...byteLevel, use_regex: endsAsGpt2 },
  ];
  const json = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added.map(({ id, content, special, ...how }) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special,
      ...how,
    })),
    normalizer: nfc ? { type: 'NFC' } : null,
    pre_tokenizer: pretokenizers.length === 1 ? pretokenizers[0] : { type: 'Sequence', pretokenizers },
    post_processor: begin === null ? { ...byteLevel, use_regex: true } : beginWith(begin.content, begin.id),
    decoder: { ...byteLevel, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: split.ignoreMerges ?? false,
      vocab: Object.fromEntries(vocab),
      merges: [...merges],
    },
  };
  const cleaned = { tokenizer_class: 'PreTrainedTokenizerFast', ...config, clean_up_tokenization_spaces: false };
  return { json: stringify(json), config: stringify(cleaned) };
}

/** A pattern with characters in place of `\u0041`, which Oniguruma spells otherwise. */
function literal(pattern: string): string {
  return pattern.replace(/\\u\{?([0-9a-f]+)\}?/g, (_, digits: string) =>
    String.fromCodePoint(Number.parseInt(digits, 16)),
  );
}

/** A post-processor that puts one token in front. */
export function beginWith(token: string, id: number): object {
  const special = (type: number) => ({ SpecialToken: { id: token, type_id: type } });
  const sequence = (name: string, type: number) => ({ Sequence: { id: name, type_id: type } });
  return {
    type: 'TemplateProcessing',
    single: [special(0), sequence('A', 0)],
    pair: [special(0), sequence('A', 0), special(1), sequence('B', 1)],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}

export function stringify(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
