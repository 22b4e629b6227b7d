/** Tokenizers without a model: `import { Tokenizer } from 'cria/tokenizer'`. */
import { fileURLToPath } from 'node:url';
import type { Tokenizer as LoadedTokenizer } from '../../tokenizer/tokenizer.ts';

/** Text ⇄ token ids, without a model. The readers of all formats are many files: the import of the library does not wait for them. */
export type Tokenizer = LoadedTokenizer;
export const Tokenizer = {
  /**
   * From tokenizer.model, tokenizer.json, a GGUF file, a folder, any model that brings one, or the URL of a tokenizer's file or folder
   * (with a slash at its end). Throws CriaError `tokenizer.none`, FormatError.
   */
  async load(source: string | URL): Promise<Tokenizer> {
    const isUrl = source instanceof URL || /^(?:https?|file):\/\//.test(source);
    if (!isUrl) return loadFile(source as string);
    const url = new URL(source);
    if (url.protocol === 'file:') return loadFile(fileURLToPath(url));
    return (await import('../download-tokenizer.ts')).downloadTokenizer(url.href);
  },
};

async function loadFile(path: string): Promise<Tokenizer> {
  return (await import('./load-tokenizer.ts')).loadTokenizer(path);
}

export { CriaError, FormatError } from '../../base/errors.ts';
export type { DecodeOptions, EncodeOptions } from '../../tokenizer/tokenizer.ts';
