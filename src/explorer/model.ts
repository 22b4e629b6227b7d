/** What the explorer asks of a model: the library's, in this process or in a page's worker, or one behind a server. */
import type { GenerationResult } from '../inference/generation.ts';
import type { RemoteModel } from '../inference/remote/model.ts';

export type ExplorerModel = Pick<
  RemoteModel,
  'config' | 'facts' | 'hasTokenizer' | 'tokenizer' | 'trace' | 'parameterRows' | 'nearestRows'
>;

/** What the page asks beside: a sequence that goes on. */
export type PageSource = ExplorerModel & {
  generate(
    ids: ArrayLike<number>,
    options: { readonly maxTokens: number; readonly temperature: number },
  ): { readonly result: Promise<Pick<GenerationResult, 'ids' | 'timings'>> };
};

/** A token as people can read it: its piece, with bytes and spaces as they are spelled. */
export function pieceOf(model: Pick<ExplorerModel, 'hasTokenizer' | 'tokenizer'>, id: number): string {
  return model.hasTokenizer ? model.tokenizer.pieceOf(id) : String(id);
}
