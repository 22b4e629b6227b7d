/**
 * Near duplicates among many documents, end to end: makes seeded documents of 20 words, runs `dedup-minhash` over them, and compares what went with
 * what was made alike.
 *
 *   node bench/near-duplicates.ts FOLDER [millions=10] [workers=2]        FOLDER is emptied at the end
 *
 * One document in five is an earlier one with its first or second word exchanged (Jaccard similarity 0.88 and 0.78, of which FineWeb's 14 bands of 8 rows
 * find 99.7 % and 87 %), one in fifty an earlier one as it was.
 */
import { createWriteStream, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createGzip } from 'node:zlib';
import { formatCount } from '../src/base/units.ts';
import { printPhases, watchCorpus } from './corpus-watch.ts';

const [folderGiven, millions = '10', workers = '2'] = process.argv.slice(2);
if (folderGiven === undefined) throw new Error('usage: node bench/near-duplicates.ts FOLDER [millions] [workers]');
const folder = resolve(folderGiven);
const documentCount = Math.round(Number(millions) * 1e6);
const PER_FILE = 100_000;
const WORDS = 20;
const LEXICON = 1 << 15;

/** A permutation of 32-bit numbers: the n-th number of a stream without the ones before it. */
function mixed(n: number): number {
  let hash = Math.imul(n ^ (n >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Words of two to four syllables. */
const lexicon = Array.from({ length: LEXICON }, (_, i) => {
  let word = '';
  for (let rest = i + 1; rest > 0; rest = Math.floor(rest / 60))
    word += 'bdfgklmnprst'[rest % 12]! + 'aeiou'[Math.floor(rest / 12) % 5]!;
  return word;
});

const isVariant = (n: number) => n % 5 === 4;
const isCopy = (n: number) => n % 50 === 23;

/** The document that number n repeats; never one that repeats another. */
const originalOf = (n: number) => {
  const earlier = mixed(n ^ 0x5bd1e995) % n;
  return earlier - (isVariant(earlier) || isCopy(earlier) ? 1 : 0);
};

function textOf(n: number): string {
  const repeats = n > 0 && (isVariant(n) || isCopy(n));
  const seed = repeats ? originalOf(n) : n;
  const words: string[] = [];
  for (let i = 0; i < WORDS; i++)
    words.push(lexicon[mixed(Math.imul(seed, 0x9e3779b1) + Math.imul(i, 0x85ebca6b)) % LEXICON]!);
  if (repeats && isVariant(n)) words[(n >> 1) % 2] = `x${n}`;
  return words.join(' ');
}

async function makeInput(): Promise<number> {
  mkdirSync(join(folder, 'in'), { recursive: true });
  let bytes = 0;
  for (let first = 0; first < documentCount; first += PER_FILE) {
    const gzip = createGzip({ level: 1 });
    const file = createWriteStream(join(folder, 'in', `${String(first / PER_FILE).padStart(5, '0')}.jsonl.gz`));
    const done = new Promise((resolved) => file.on('close', resolved));
    gzip.pipe(file);
    for (let n = first; n < Math.min(documentCount, first + PER_FILE); n += 1000) {
      let lines = '';
      for (let k = n; k < Math.min(documentCount, n + 1000); k++) {
        const text = textOf(k);
        bytes += text.length;
        lines += `{"text":"${text}"}\n`;
      }
      if (!gzip.write(lines)) await new Promise((resolved) => gzip.once('drain', resolved));
    }
    gzip.end();
    await done;
  }
  return bytes;
}

rmSync(folder, { recursive: true, force: true });
try {
  const bytes = await makeInput();
  const recipe = join(folder, 'recipe.yaml');
  const source = { reader: 'jsonl', files: ['*.jsonl.gz'], stages: [{ 'dedup-minhash': { preset: 'fineweb' } }] };
  writeFileSync(
    recipe,
    JSON.stringify({
      name: 'near duplicates',
      input: join(folder, 'in'),
      output: join(folder, 'out'),
      sources: { made: source },
    }),
  );
  const { phases, code } = await watchCorpus(recipe, folder, { workers: Number(workers) });
  printPhases(phases, bytes);
  const { sources } = JSON.parse(readFileSync(join(folder, 'out', 'audit.json'), 'utf8'));
  const { in: seen, out: kept } = sources.made.audit.stages['dedup-minhash'];
  let alike = 0;
  for (let n = 1; n < documentCount; n++) if (isVariant(n) || isCopy(n)) alike++;
  console.log(
    `${formatCount(seen.documents)} documents, ${formatCount(alike)} made alike, ${formatCount(seen.documents - kept.documents)} found; exit ${code}`,
  );
  process.exitCode = code ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
