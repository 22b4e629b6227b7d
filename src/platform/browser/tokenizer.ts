/** Tokenizers without a model, in a browser: `import { Tokenizer } from 'cria/tokenizer'`. */
import type { Tokenizer as LoadedTokenizer } from '../../tokenizer/tokenizer.ts';
import { downloadTokenizer } from '../download-tokenizer.ts';

/** Text ⇄ token ids, without a model. */
export type Tokenizer = LoadedTokenizer;
export const Tokenizer = {
  /** From the address of a tokenizer.json, a tokenizer.model, or a folder (with a slash at its end) that holds one. */
  async load(url: string | URL): Promise<Tokenizer> {
    return downloadTokenizer(absolute(url));
  },
};

/** An address relative to the page; to the script, in a worker. */
export function absolute(url: string | URL): string {
  return new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href).href;
}

export { CriaError, FormatError } from '../../base/errors.ts';
export type { DecodeOptions, EncodeOptions } from '../../tokenizer/tokenizer.ts';
