/** tokenizer.json for a byte-level BPE vocabulary that came without one: out of a GGUF file, or as Llama 3's ranks. */
import type { TokenizerFiles } from '../../../formats/tokenizer-files.ts';
import { namedSplits } from '../../../tokenizer/encode/named-splits.ts';
import { type AddedPiece, byteLevelJson, type HfTokenizerFiles } from '../../../tokenizer/files/byte-level-json.ts';
import { PieceKind } from '../../../tokenizer/vocabulary.ts';
import { ggufTokenizerFields } from './gguf-tokenizer.ts';

/** null for SentencePiece, which is written as tokenizer.model. Pieces that only fill the vocabulary up are left out. */
export function byteLevelHfOf(files: TokenizerFiles, vocabSize: number): HfTokenizerFiles | null {
  const fields = ggufTokenizerFields(files, vocabSize);
  const value = (key: string) => fields.get(`tokenizer.ggml.${key}`)?.value;
  const [pre, kinds] = [value('pre'), value('token_type')];
  const split = typeof pre === 'string' ? namedSplits.get(pre) : undefined;
  const [pieces, merges] = [texts(value('tokens')), texts(value('merges'))];
  if (value('model') !== 'gpt2' || split === undefined || pieces === null || merges === null) return null;

  const kindOf = (id: number) => (kinds instanceof Int32Array ? kinds[id]! : PieceKind.normal);
  const vocab = new Map<string, number>();
  const added: AddedPiece[] = [];
  for (const [id, content] of pieces.entries()) {
    const kind = kindOf(id);
    if (kind === PieceKind.unused) continue;
    if (kind === PieceKind.normal || kind === PieceKind.byte) {
      if (!vocab.has(content)) vocab.set(content, id);
    } else added.push({ id, content, special: kind !== PieceKind.userDefined });
  }
  const named = (name: string) => {
    const id = value(`${name}_token_id`);
    return typeof id === 'number' ? pieces[id] : undefined;
  };
  const names = { bos_token: named('bos'), eos_token: named('eos'), pad_token: named('padding') };
  const bos = names.bos_token;
  // As readGgufTokenizer takes it where the file does not say.
  const addBos = value('add_bos_token') ?? split.addBos ?? false;
  return byteLevelJson({
    vocab,
    merges: merges.map((pair) => {
      const space = pair.indexOf(' ', 1);
      return [pair.slice(0, space), pair.slice(space + 1)] as const;
    }),
    added,
    split,
    nfc: split.steps[0] === 'qwen2',
    begin: addBos === true && bos !== undefined ? { content: bos, id: value('bos_token_id') as number } : null,
    config: Object.fromEntries(Object.entries(names).filter(([, name]) => name !== undefined)),
  });
}

function texts(value: unknown): readonly string[] | null {
  return Array.isArray(value) && value.every((text) => typeof text === 'string') ? value : null;
}
