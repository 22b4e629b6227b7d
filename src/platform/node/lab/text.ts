/** The text that a lab trains on: tokenized once, in memory that all workers see. */
import { readFileSync } from 'node:fs';
import { brotliDecompressSync } from 'node:zlib';
import { ArgumentError } from '../../../base/errors.ts';
import type { LabText } from '../../../lab/train-once.ts';
import { createTokenizer } from '../../../tokenizer/create-tokenizer.ts';
import type { Tokenizer } from '../../../tokenizer/tokenizer.ts';
import { trainSentencePieceBpe } from '../../../tokenizer/train/sentencepiece-trainer.ts';
import { writeSentencePieceModel } from '../../../tokenizer/train/write-sentencepiece.ts';
import type { Documents } from '../../../training/data/documents.ts';
import { holdBack } from '../../../training/data/hold-back.ts';
import { packagePath } from '../package-folder.ts';
import { textFiles } from '../training/data/text-files.ts';
import { readTexts } from '../training/data/texts.ts';
import { sha256 } from './digest.ts';

/** Stories that the bundled model wrote, one to a document. */
const OWN_TEXT = packagePath('recipes/lab-stories.txt.br');
const SEPARATOR = '\n<|endoftext|>\n';

export interface SharedTokens {
  readonly ids: Uint16Array;
  /** Where each document ends in `ids`. */
  readonly ends: Uint32Array;
}

/** As workers get it. */
export interface SharedText {
  readonly train: SharedTokens;
  readonly valid: SharedTokens;
  readonly validBytes: number;
}

export interface PreparedText {
  readonly shared: SharedText;
  readonly digest: string;
  /** For people: where it is from and how much there is of it. */
  readonly description: string;
}

/** `path`: plain text, JSON lines, gzip or not; absent: the text that comes along. Throws ArgumentError `lab.text`. */
export async function prepareText(path: string | undefined, vocabSize: number): Promise<PreparedText> {
  const texts = path === undefined ? ownTexts() : await textsOf(path);
  const { kept, heldBack } = holdBack(texts.map((text) => ({ text })));
  if (kept.length === 0 || heldBack.length === 0)
    throw new ArgumentError('lab.text', `${path}: expected a text of which a part can be held back, found less.`);
  const trained = await trainSentencePieceBpe(lines(kept), { vocabSize });
  const bytes = writeSentencePieceModel(trained);
  const tokenizer = createTokenizer({ kind: 'sentencepiece', file: 'tokenizer.model', bytes });
  const train = encode(tokenizer, kept);
  const size = kept.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  const validBytes = heldBack.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  return {
    shared: { train, valid: encode(tokenizer, heldBack), validBytes },
    digest: sha256([...kept, ...heldBack].map(({ text }) => text).join('\0')),
    description:
      `${path ?? 'stories that the bundled model wrote'}: ${(size / 1e6).toFixed(2)} MB in ${kept.length} documents, ` +
      `${train.ids.length} tokens of ${(size / train.ids.length).toFixed(2)} bytes; ${(validBytes / 1000).toFixed(0)} kB held back`,
  };
}

function ownTexts(): string[] {
  return brotliDecompressSync(readFileSync(OWN_TEXT)).toString('utf8').split(SEPARATOR);
}

async function textsOf(path: string): Promise<string[]> {
  const texts: string[] = [];
  for (const file of textFiles(path)) for await (const text of readTexts(file)) texts.push(text);
  return texts;
}

function* lines(documents: readonly { readonly text: string }[]): Generator<string> {
  for (const { text } of documents) yield* text.split('\n');
}

function encode(tokenizer: Tokenizer, documents: readonly { readonly text: string }[]): SharedTokens {
  const parts = documents.map(({ text }) => tokenizer.encode(text, { bos: true, eos: true }));
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  const ids = new Uint16Array(new SharedArrayBuffer(2 * total));
  const ends = new Uint32Array(new SharedArrayBuffer(4 * parts.length));
  let at = 0;
  for (const [i, part] of parts.entries()) {
    ids.set(part, at);
    at += part.length;
    ends[i] = at;
  }
  return { ids, ends };
}

/** In a worker: the same as documents. */
export function labText({ train, valid, validBytes }: SharedText): LabText {
  return { train: documentsOf('text', train), valid: documentsOf('validation', valid), validBytes };
}

function documentsOf(name: string, { ids, ends }: SharedTokens): Documents {
  const begin = (document: number) => (document === 0 ? 0 : ends[document - 1]!);
  return {
    name,
    count: ends.length,
    tokenCount: ids.length,
    weightOf: null,
    lengthOf: (document) => ends[document]! - begin(document),
    tokens: (document, from = 0, to = ends[document]! - begin(document)) =>
      Uint32Array.from(ids.subarray(begin(document) + from, begin(document) + to)),
  };
}
