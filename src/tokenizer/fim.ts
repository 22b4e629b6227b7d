/**
 * Fill-in-the-middle: which tokens of a vocabulary mark what stands before a gap, what stands after it, and where the model writes what
 * belongs between. GGUF files name the ids; other files do not, so the published names are one table here.
 * Source: Bavarian et al. 2022, arXiv:2207.14255; the marks of a repository and its files: Qwen2.5-Coder, arXiv:2409.12186 §3.2;
 * names and keys: llama.cpp, llama-vocab.cpp.
 */
import type { Vocabulary } from './vocabulary.ts';

export type FimMark = 'prefix' | 'suffix' | 'middle' | 'pad' | 'repository' | 'file';
export type FimTokens = Readonly<Record<FimMark, number | null>>;

/** For each mark: GGUF's keys after `tokenizer.ggml.`, the newer first, and the names of the token in published vocabularies. */
export const fimMarks: Readonly<
  Record<FimMark, { readonly keys: readonly string[]; readonly names: readonly string[] }>
> = {
  prefix: {
    keys: ['fim_pre_token_id', 'prefix_token_id'],
    names: ['<|fim_prefix|>', '<fim-prefix>', '<fim_prefix>', '<｜fim▁begin｜>', '▁<PRE>', '<PRE>', '<|code_prefix|>'],
  },
  suffix: {
    keys: ['fim_suf_token_id', 'suffix_token_id'],
    names: ['<|fim_suffix|>', '<fim-suffix>', '<fim_suffix>', '<｜fim▁hole｜>', '▁<SUF>', '<SUF>', '<|code_suffix|>'],
  },
  middle: {
    keys: ['fim_mid_token_id', 'middle_token_id'],
    names: ['<|fim_middle|>', '<fim-middle>', '<fim_middle>', '<｜fim▁end｜>', '▁<MID>', '<MID>', '<|code_middle|>'],
  },
  pad: { keys: ['fim_pad_token_id'], names: ['<|fim_pad|>', '<fim-pad>', '<fim_pad>'] },
  repository: { keys: ['fim_rep_token_id'], names: ['<|fim_repo|>', '<|repo_name|>', '<fim-repo>', '<reponame>'] },
  file: { keys: ['fim_sep_token_id'], names: ['<|file_sep|>', '<file_sep>'] },
};

/** `given`: the ids that a file names. */
export function fimTokensOf({ idOfPiece }: Vocabulary, given: Partial<FimTokens> = {}): FimTokens {
  const idOf = (mark: FimMark) => {
    const named = fimMarks[mark].names.map((name) => idOfPiece.get(name)).find((id) => id !== undefined);
    return given[mark] ?? named ?? null;
  };
  const tokens = { prefix: idOf('prefix'), suffix: idOf('suffix'), middle: idOf('middle') };
  // Without all three the others are names of something else.
  if (Object.values(tokens).includes(null)) return { ...tokens, pad: null, repository: null, file: null };
  return { ...tokens, pad: idOf('pad'), repository: idOf('repository'), file: idOf('file') };
}
