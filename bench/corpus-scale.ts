/**
 * Memory and speed of the whole pipeline on an input of any size: writes seeded text, runs `cria corpus` on it, and watches the memory of
 * its process once a second.
 *
 *   node bench/corpus-scale.ts SAMPLES FOLDER [gigabytes=10] [chain=whole|dedup] [workers=2]
 *
 * SAMPLES: the folder that recipes/corpus-samples.yaml reads. FOLDER keeps the input for the next run; the output is made anew.
 * Every line is made of real sentences with words exchanged, so that the sets of hashes grow with the input; a fifth of the web's lines, one
 * page in fifty and one book in five come again. Chain `dedup` leaves out language, perplexity and classifier, whose memory does not depend
 * on the input's size.
 *
 *   web    70 %  WET, gz, 100 MB of text a file       minimum-length, dedup-lines, language, perplexity, bucket, classifier
 *   pages  15 %  JSONL, 100 MB a file                 c4, dedup-urls, dedup-spans
 *   books  15 %  plain text, half a megabyte each     dedup-near
 */

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { formatBytes } from '../src/base/units.ts';
import { readTimes } from '../src/platform/node/corpus/inspect.ts';

const [samplesGiven, folderGiven, gigabytesGiven = '10', chain = 'whole', workers = '2'] = process.argv.slice(2);
if (samplesGiven === undefined || folderGiven === undefined || !/^(?:whole|dedup)$/.test(chain))
  throw new Error('usage: node bench/corpus-scale.ts SAMPLES FOLDER [gigabytes] [whole|dedup] [workers]');
const samples = resolve(samplesGiven);
const folder = resolve(folderGiven);
const totalBytes = Number(gigabytesGiven) * 1e9;
const FILE_BYTES = Math.min(100e6, totalBytes / 20);
const BOOK_BYTES = Math.min(500e3, totalBytes / 200);

/** mulberry32. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Pool {
  readonly sentences: readonly { text: Buffer; from: number; to: number }[];
  readonly words: readonly Buffer[];
}

/** Sentences with the place of their longest word, and the words to exchange it with. */
function poolOf(text: string): Pool {
  const words = [...new Set(text.match(/\p{L}{4,}/gu))].map((word) => Buffer.from(word));
  const sentences = text
    .split(/(?<=[.!?]["”]?)\s+|\n+/u)
    .filter((sentence) => sentence.length > 40)
    .map((sentence) => {
      const longest = (sentence.match(/\p{L}+/gu) ?? ['']).reduce((a, b) => (b.length > a.length ? b : a));
      const from = Buffer.byteLength(sentence.slice(0, sentence.indexOf(longest)));
      return { text: Buffer.from(sentence), from, to: from + Buffer.byteLength(longest) };
    });
  return { sentences, words };
}

function readPools(): { english: Pool; others: Pool[] } {
  const lines: string[] = [];
  for (const file of ['web/dolma/cc_en_head-0091.jsonl', 'web/dolma/cc_en_head-0174.jsonl'])
    lines.push(...readFileSync(join(samples, file), 'utf8').trim().split('\n'));
  for (const file of readdirSync(join(samples, 'web/c4')).filter((name) => name.endsWith('.gz')))
    lines.push(
      ...gunzipSync(readFileSync(join(samples, 'web/c4', file)))
        .toString()
        .trim()
        .split('\n'),
    );
  const books = readdirSync(join(samples, 'text/gutenberg')).map((name) =>
    readFileSync(join(samples, 'text/gutenberg', name), 'utf8').replaceAll(/\r?\n(?!\r?\n)/g, ' '),
  );
  const english = poolOf([...lines.map((line) => (JSON.parse(line) as { text: string }).text), ...books].join('\n'));
  const others = readdirSync(join(samples, 'langid/lingua_sentences'))
    .filter((name) => name !== 'en.txt')
    .map((name) => poolOf(readFileSync(join(samples, 'langid/lingua_sentences', name), 'utf8')));
  return { english, others };
}

/** Text written into one buffer that is used again and again. */
class Writer {
  readonly buffer = Buffer.allocUnsafe(8 << 20);
  length = 0;

  put(bytes: Uint8Array): void {
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** A sentence of the pool, its longest word exchanged. */
  sentence({ sentences, words }: Pool, next: () => number): void {
    const { text, from, to } = sentences[Math.floor(next() * sentences.length)]!;
    text.copy(this.buffer, this.length, 0, from);
    this.length += from;
    this.put(words[Math.floor(next() * words.length)]!);
    text.copy(this.buffer, this.length, to);
    this.length += text.length - to;
  }

  paragraph(pool: Pool, next: () => number): void {
    for (let i = Math.floor(next() * 4); i >= 0; i--) {
      this.sentence(pool, next);
      this.buffer[this.length++] = 0x20;
    }
    this.buffer[this.length - 1] = 0x0a;
  }

  take(): Buffer {
    const bytes = this.buffer.subarray(0, this.length);
    this.length = 0;
    return bytes;
  }
}

/** Lines that many pages share: the n-th is the same in every file. */
const SHARED_LINES = 300_000;

function writePage(writer: Writer, { english, others }: ReturnType<typeof readPools>, seed: number): void {
  const next = random(seed);
  const pool = next() < 0.9 ? english : others[Math.floor(next() * others.length)]!;
  for (let line = Math.floor(4 + next() ** 2 * 60); line > 0; line--) {
    if (next() < 0.2) writer.paragraph(pool, random(Math.floor(next() * SHARED_LINES) + 7_000_000_000));
    else writer.paragraph(pool, next);
  }
}

/** One page in fifty has an earlier page's seed. */
const pageSeed = (page: number) => (page % 50 === 49 ? Math.floor(page / 3) : page);

function makeInput(): void {
  const pools = readPools();
  const writer = new Writer();
  for (const name of ['web', 'pages', 'books']) mkdirSync(join(folder, 'in', name), { recursive: true });
  for (const name of ['langid', 'text', 'tokenizers']) {
    if (!existsSync(join(folder, 'in', name))) symlinkSync(join(samples, name), join(folder, 'in', name));
  }
  let page = 0;
  const fill = (bytes: number, each: (page: number, text: Buffer) => Buffer): Buffer => {
    const parts: Buffer[] = [];
    for (let filled = 0; filled < bytes; page++) {
      writePage(writer, pools, pageSeed(page));
      const part = Buffer.from(each(page, writer.take()));
      parts.push(part);
      filled += part.length;
    }
    return Buffer.concat(parts);
  };
  for (let file = 0; file < (0.7 * totalBytes) / FILE_BYTES; file++) {
    const bytes = fill(FILE_BYTES, (number, text) => {
      const head = `WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://site${number % 9973}.example/${number}\r\nContent-Length: ${text.length}\r\n\r\n`;
      return Buffer.concat([Buffer.from(head), text, Buffer.from('\r\n\r\n')]);
    });
    writeFileSync(
      join(folder, 'in', 'web', `${String(file).padStart(5, '0')}.warc.wet.gz`),
      gzipSync(bytes, { level: 1 }),
    );
  }
  for (let file = 0; file < (0.15 * totalBytes) / FILE_BYTES; file++) {
    const bytes = fill(FILE_BYTES, (number, text) =>
      Buffer.from(`${JSON.stringify({ url: `https://page.example/${pageSeed(number)}`, text: text.toString() })}\n`),
    );
    writeFileSync(join(folder, 'in', 'pages', `${String(file).padStart(5, '0')}.jsonl`), bytes);
  }
  for (let book = 0; book < (0.15 * totalBytes) / BOOK_BYTES; book++) {
    // Every fifth is an earlier book with one paragraph in forty written anew.
    const next = random(book % 5 === 4 ? 5e9 + book - 4 : 5e9 + book);
    const changes = random(6e9 + book);
    while (writer.length < BOOK_BYTES) {
      const seed = Math.floor(next() * 2 ** 32);
      writer.paragraph(pools.english, random(book % 5 === 4 && changes() < 0.025 ? seed + book : seed));
    }
    writeFileSync(join(folder, 'in', 'books', `${String(book).padStart(6, '0')}.txt`), writer.take());
  }
}

function recipe(): unknown {
  const mining = [
    { language: { model: 'lid', threshold: 0.5 } },
    { perplexity: { models: { en: 'english' } } },
    { bucket: { cutoffs: { en: [600, 1500] } } },
    { classifier: { model: 'wikiref', label: 'wiki', attribute: 'wikiref' } },
  ];
  const wiki = { reader: 'wikipedia', files: ['text/wiki/enwiki-pages*.bz2'] };
  const models = {
    lid: { fasttext: { file: 'langid/lid.176.ftz' } },
    english: { 'train-ngram': { from: wiki, pieces: 'tokenizers/llama2_tokenizer.model' } },
    wikiref: {
      'train-classifier': {
        labels: { wiki, cc: { reader: 'jsonl', files: ['pages/00000.jsonl'] } },
        maximumDocuments: 1000,
      },
    },
  };
  return {
    name: `corpus-scale ${gigabytesGiven} GB ${chain}`,
    input: join(folder, 'in'),
    output: join(folder, 'out'),
    models: chain === 'whole' ? models : {},
    sources: {
      web: {
        reader: 'wet',
        files: ['web/*.gz'],
        stages: ['minimum-length', { 'dedup-lines': { group: 2000 } }, ...(chain === 'whole' ? mining : [])],
        weight: 70,
      },
      pages: { reader: 'jsonl', files: ['pages/*.jsonl'], stages: ['c4', 'dedup-urls', 'dedup-spans'], weight: 15 },
      books: { reader: 'text', files: ['books/*.txt'], stages: ['gutenberg', 'dedup-near'], weight: 15 },
    },
    tokens: { tokenizer: 'tokenizers/llama2_tokenizer.model', mixture: 'natural' },
  };
}

/** Resident bytes of one process, threads included, from the kernel's books. */
function residentBytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

interface PhaseRow {
  readonly phase: string;
  readonly started: number;
  peakBytes: number;
}

async function run(): Promise<void> {
  rmSync(join(folder, 'out'), { recursive: true, force: true });
  writeFileSync(join(folder, 'recipe.yaml'), JSON.stringify(recipe(), undefined, 1));
  const cria = resolve(import.meta.dirname, '../bin/cria.js');
  const child = spawn(process.execPath, [cria, 'corpus', join(folder, 'recipe.yaml'), '--workers', workers, '--json'], {
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  const rows: PhaseRow[] = [];
  const begun = performance.now();
  const watch = setInterval(() => {
    const row = rows.at(-1);
    if (row) row.peakBytes = Math.max(row.peakBytes, residentBytes(child.pid!));
  }, 250);
  let rest = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      if (!line.startsWith('{')) console.error(line);
      else {
        const event = JSON.parse(line) as { kind: string; phase: string };
        if (event.kind !== 'phase') continue;
        report(rows.at(-1));
        rows.push({ phase: event.phase, started: performance.now(), peakBytes: 0 });
      }
    }
  });
  const report = (row: PhaseRow | undefined) => {
    if (!row) return;
    const seconds = (performance.now() - row.started) / 1000;
    console.log(
      `${row.phase.padEnd(12)} ${seconds.toFixed(0).padStart(6)} s ${(totalBytes / 1e6 / seconds).toFixed(1).padStart(8)} MB/s   peak ${formatBytes(row.peakBytes)}`,
    );
  };
  const code = await new Promise<number | null>((done) => child.on('close', done));
  clearInterval(watch);
  report(rows.at(-1));
  const seconds = (performance.now() - begun) / 1000;
  const peak = Math.max(...rows.map(({ peakBytes }) => peakBytes));
  console.log(
    `${gigabytesGiven} GB, ${chain} chain, ${workers} workers: ${seconds.toFixed(0)} s, ${(totalBytes / 1e6 / seconds).toFixed(1)} MB/s, largest memory ${formatBytes(peak)}, exit ${code}`,
  );
  stageTable();
  process.exitCode = code ?? 1;
}

function stageTable(): void {
  for (const [source, { stages }] of Object.entries(readTimes(join(folder, 'out')))) {
    for (const [name, { documents, seconds, documentsPerSecond, megabytesPerSecond }] of Object.entries(stages)) {
      console.log(
        `${source.padEnd(6)} ${name.padEnd(20)} ${String(documents).padStart(9)} documents ${documentsPerSecond.toFixed(0).padStart(9)}/s ${megabytesPerSecond.toFixed(1).padStart(8)} MB/s ${seconds.toFixed(1).padStart(7)} s`,
      );
    }
  }
}

const marker = join(folder, `input-${gigabytesGiven}`);
if (!existsSync(marker)) {
  rmSync(join(folder, 'in'), { recursive: true, force: true });
  const begun = performance.now();
  makeInput();
  writeFileSync(marker, '');
  console.log(`made ${gigabytesGiven} GB in ${((performance.now() - begun) / 1000).toFixed(0)} s`);
}
await run();
