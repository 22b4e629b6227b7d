/** A corpus of a few pages and books in four kinds of compression, whole and damaged, and what a plain run makes of it. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { parseRecipe, type Recipe } from '../../src/corpus/recipe/recipe.ts';
import { buildCorpus } from '../../src/platform/node/corpus/build.ts';

export const root = mkdtempSync(join(tmpdir(), 'corpus-test-'));
after(() => rmSync(root, { recursive: true, force: true }));

export const input = join(root, 'input');
const golden = new URL('../golden/tokenizers/sp-bpe-512/tokenizer.model', import.meta.url);
let outputs = 0;
export const newOutput = () => join(root, `out-${outputs++}`);

const sentences = [
  'The cat sat on the mat.',
  'It was a sunny day in May.',
  'Nobody knew why she left.',
  'Read more',
  'Cookies make this site work.',
];

/** Pages that share some lines with others, in four files of three kinds of compression. */
function writeInput(): void {
  mkdirSync(input, { recursive: true });
  writeFileSync(join(input, 'tokenizer.model'), readFileSync(golden));
  for (let file = 0; file < 4; file++) {
    const lines = Array.from({ length: 6 }, (_, page) => {
      const own = `Page ${'abcdefgh'[page]} of file ${'wxyz'[file]} has a line of its own.`;
      const shared = sentences.filter((_, i) => (page + file + i) % 3 === 0);
      return JSON.stringify({
        text: [own, ...shared, `And ${'klmn'[file]}${'opqrst'[page]} ends it.`].join('\n'),
        url: `http://x/${file}/${page % 5}`,
      });
    });
    const text = Buffer.from(`${lines.join('\n')}\n`);
    const packed = file === 0 ? text : file === 1 ? zstdCompressSync(text) : gzipSync(text);
    writeFileSync(join(input, `pages-${file}.jsonl`), file === 3 ? packed.subarray(0, packed.length - 20) : packed);
  }
  for (const [name, start] of [
    ['one', 0],
    ['two', 3],
    ['three', 600],
  ] as const) {
    const words = Array.from({ length: 80 }, (_, i) => `w${((start + i) * 7919) % 1000}x`);
    writeFileSync(join(input, `book-${name}.txt`), words.join(' '));
  }
}
writeInput();

export function recipe(output: string, changes: Record<string, unknown> = {}): Recipe {
  const value = {
    name: 'test',
    input,
    output,
    unitBytes: 1,
    seed: 7,
    dedupSlices: 3,
    sources: {
      web: {
        reader: 'jsonl',
        files: ['pages-*.jsonl'],
        weight: 3,
        epochs: 2.5,
        stages: [
          { 'minimum-length': { characters: 10 } },
          { 'dedup-lines': { group: 3 } },
          'dedup-urls',
          { c4: { minimumSentences: 1, minimumWordsPerLine: 2 } },
        ],
      },
      books: { reader: 'text', files: ['book-*.txt'], stages: ['dedup-near'], weight: 1, epochs: 3 },
    },
    tokens: { tokenizer: 'tokenizer.model', shardTokens: 700 },
    ...changes,
  };
  return parseRecipe(value, 'test.yaml');
}

/** All published files as text; the times lie in a file of their own. */
export function results(output: string): Record<string, string> {
  const tokens = readdirSync(join(output, 'tokens')).sort();
  const files = tokens.map((name) => [name, readFileSync(join(output, 'tokens', name), 'latin1')]);
  const audit = readFileSync(join(output, 'audit.json'), 'utf8');
  const report = readFileSync(join(output, 'report.html'), 'utf8');
  return { ...Object.fromEntries(files), audit, report };
}

let expected: Record<string, string> | undefined;
export async function reference(): Promise<Record<string, string>> {
  if (!expected) {
    const output = newOutput();
    await buildCorpus(recipe(output), { workers: 0 });
    expected = results(output);
  }
  return expected;
}

export const DEAD_PROCESS = 2 ** 22 + 1; // beyond what Linux gives out

/** The claim of another process, as it lies on the disk. */
export function plantClaim(output: string, id: string, pid: number, fields: Record<string, unknown> = {}): string {
  const path = join(output, 'work', '.claims', `unit.${id.replaceAll('/', '_')}`);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, JSON.stringify({ owner: `other-${pid}`, host: hostname(), pid, deaths: 0, ...fields }));
  return path;
}
