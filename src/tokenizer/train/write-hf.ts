/**
 * `tokenizer.json` and `tokenizer_config.json` of a trained vocabulary, as transformers writes them for LLaMA (SentencePiece as BPE
 * or unigram with byte fallback) and for Llama 3 (byte-level BPE).
 */
import { beginWith, byteLevelJson, type HfTokenizerFiles, stringify } from '../files/byte-level-json.ts';
import { PieceKind } from '../vocabulary.ts';
import type { TrainedByteLevel } from './byte-level-trainer.ts';
import type { TrainedSentencePiece } from './sentencepiece-trainer.ts';

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
    model: trained.modelType === 'bpe' ? bpeModel(trained, ids) : unigramModel(trained),
  };
  const config = {
    tokenizer_class: trained.modelType === 'bpe' ? 'LlamaTokenizer' : 'PreTrainedTokenizerFast',
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

function bpeModel(trained: TrainedSentencePiece, ids: ReadonlyMap<string, number>): object {
  return {
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
  };
}

function unigramModel({ pieces }: TrainedSentencePiece): object {
  return {
    type: 'Unigram',
    unk_id: pieces.findIndex(({ kind }) => kind === PieceKind.unknown),
    vocab: pieces.map(({ piece, score }) => [piece, score]),
    byte_fallback: true,
  };
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
  const { bos, eos } = names;
  return byteLevelJson({
    vocab: ordinary.map((piece, id) => [piece, id] as const),
    merges,
    added: specialTokens.map((content, i) => ({ content, id: ordinary.length + i, special: true })),
    split: { steps: [pattern], ...(pattern === 'llama3' && { ignoreMerges: true }) },
    begin: bos === undefined ? null : { content: bos, id: pieces.indexOf(bos) },
    config: { ...(bos !== undefined && { bos_token: bos }), ...(eos !== undefined && { eos_token: eos }) },
  });
}

function addedToken(content: string, id: number): object {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}
