import { CriaError } from '../base/errors.ts';
import { findTokenizer } from '../model/checkpoint/find-tokenizer.ts';
import { createTokenizer } from '../tokenizer/create-tokenizer.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { download } from './download.ts';

/** A tokenizer by its address: a tokenizer.json, a tokenizer.model, or a folder (with a slash at its end) that holds one. */
export async function downloadTokenizer(url: string): Promise<Tokenizer> {
  const { folder } = await download(url, () => {});
  const files = findTokenizer(folder);
  if (files) return createTokenizer(files);
  throw new CriaError(
    'tokenizer.none',
    `Tokenizer.load: ${url} is no tokenizer.json or tokenizer.model, expected one. Give its address.`,
  );
}
