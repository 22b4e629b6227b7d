/**
 * The text of the bundled model, out of two corpora that are not part of this repository: short simple stories (TinyStories and
 * storybooks under CC BY) that fit into the context with their end, and old children's books of Project Gutenberg in passages
 * that do. JSON lines {"text", "simple", …}, gzipped or not.
 *
 *   node recipes/stories-data.ts --simple FILE… --books FILE --simple-valid FILE --books-valid FILE --out FOLDER
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync, gzipSync } from 'node:zlib';

interface Row {
  readonly text: string;
  readonly simple: number;
  readonly title?: string;
  readonly dark?: boolean;
  readonly split?: string;
}

/** About 400 tokens: with its end, a passage fits into a context of 512. */
const passageCharacters = 1600;

function rows(path: string): Row[] {
  const bytes = readFileSync(path);
  const text = (bytes[0] === 0x1f ? gunzipSync(bytes) : bytes).toString('utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);
}

/** Without the line that names it: what a person asks for begins with a sentence. */
function withoutTitle({ text }: Row): string {
  const [first = '', ...rest] = text.split('\n\n');
  return rest.length > 0 && !/[.!?,;:"')]$/.test(first.trim()) && first.length < 80 ? rest.join('\n\n') : text;
}

/** Whole paragraphs in pieces of at most `passageCharacters`; a paragraph that is longer by itself is left out. */
function passages(text: string): string[] {
  const found: string[] = [];
  let passage = '';
  for (const paragraph of text.split('\n\n')) {
    if (paragraph.length > passageCharacters) continue;
    if (passage.length + paragraph.length + 2 > passageCharacters) {
      found.push(passage);
      passage = '';
    }
    passage += (passage === '' ? '' : '\n\n') + paragraph;
  }
  return [...found, passage].filter((piece) => piece.length >= 200);
}

const simpleStories = (all: readonly Row[]) =>
  all.filter((row) => row.dark !== true && row.split !== 'valid').map((row) => withoutTitle(row).trim());

const bookPassages = (all: readonly Row[]) =>
  all.filter((row) => row.simple >= 0.6).flatMap((row) => passages(withoutTitle(row)));

function write(path: string, texts: readonly string[]): void {
  const lines = texts.map((text) => `${JSON.stringify({ text })}\n`).join('');
  writeFileSync(path, gzipSync(lines, { level: 9 }));
  const characters = texts.reduce((sum, text) => sum + text.length, 0);
  console.log(`${path}: ${texts.length} documents, ${(characters / 1e6).toFixed(2)} M characters`);
}

const { values } = parseArgs({
  options: {
    simple: { type: 'string', multiple: true },
    books: { type: 'string' },
    'simple-valid': { type: 'string' },
    'books-valid': { type: 'string' },
    out: { type: 'string' },
  },
});
const needed = (name: keyof typeof values): string => {
  const value = values[name];
  if (typeof value !== 'string') throw new Error(`--${name} is needed`);
  return value;
};
const out = needed('out');
mkdirSync(out, { recursive: true });
write(join(out, 'simple.jsonl.gz'), simpleStories((values.simple ?? []).flatMap(rows)));
write(join(out, 'books.jsonl.gz'), bookPassages(rows(needed('books'))));
write(
  join(out, 'simple-valid.jsonl.gz'),
  rows(needed('simple-valid')).map((row) => row.text),
);
write(join(out, 'books-valid.jsonl.gz'), bookPassages(rows(needed('books-valid'))));
