/**
 * Memory and cost of the whole pipeline on an input of any size: writes seeded text, runs `cria corpus` on it, and prints what each phase cost: processor
 * seconds, bytes moved, files opened, memory.
 *
 *   node bench/corpus-scale.ts SAMPLES FOLDER [gigabytes=10] [chain=whole|dedup|web] [workers=2] [opens]
 *
 * Gigabytes are of text. With `opens`, strace counts files opened, which costs time.
 * SAMPLES: the folder that recipes/corpus-samples.yaml reads. FOLDER keeps the input for the next run; the output is made anew.
 * Every line is made of real sentences with words exchanged, so that the sets of hashes grow with the input; a fifth of the web's lines, one
 * page in fifty and one book in five come again. Chain `dedup` leaves out language, perplexity and classifier, whose memory does not depend
 * on the input's size.
 *
 *   web    70 %  WET, gz, 100 MB of text a file       minimum-length, dedup-lines, language, perplexity, bucket, classifier
 *   pages  15 %  JSONL, 100 MB a file                 c4, dedup-urls, dedup-spans
 *   books  15 %  plain text, half a megabyte each     dedup-near
 *
 * Chain `web` is recipes/corpus-web.yaml over pages of HTML instead, half a paragraph of menus and notices to each of text: WARC, gz, a member a record.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { parse } from 'yaml';
import { readTimes } from '../src/platform/node/corpus/inspect.ts';
import { printPhases, watchCorpus } from './corpus-watch.ts';

const [samplesGiven, folderGiven, gigabytesGiven = '10', chain = 'whole', workers = '2', opens] = process.argv.slice(2);
if (samplesGiven === undefined || folderGiven === undefined || !/^(?:whole|dedup|web)$/.test(chain))
  throw new Error('usage: node bench/corpus-scale.ts SAMPLES FOLDER [gigabytes] [whole|dedup|web] [workers] [opens]');
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

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** A page around a text: head, menu, article, list of others, foot. */
function htmlOf(page: number, text: string): string {
  const links = Array.from(
    { length: 12 },
    (_, i) => `<li><a href="/topic/${(page * 7 + i) % 997}">Topic ${(page * 7 + i) % 997}</a></li>`,
  );
  const body = text.split('\n').map((line) => `<p>${escaped(line)}</p>`);
  return (
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Page ${page}</title><style>p{margin:1em}nav li{display:inline}</style>` +
    `<script>window.dataLayer=window.dataLayer||[];function tag(){dataLayer.push(arguments)}tag('page',${page});</script></head><body>` +
    `<header><a href="/">Home</a><nav><ul>${links.join('')}</ul></nav></header><main><article><h1>Page ${page}</h1>${body.join('\n')}</article></main>` +
    `<aside class="sidebar"><h3>Most read</h3><ul>${links.reverse().join('')}</ul></aside>` +
    '<footer><p>All rights reserved. <a href="/privacy">Privacy policy</a> · <a href="/terms">Terms of use</a></p><div class="cookie-notice">We use cookies. <button>Accept</button></div></footer></body></html>'
  );
}

/** As a crawler writes: each record a gzip member. */
function makeWebInput(): void {
  const pools = readPools();
  const writer = new Writer();
  mkdirSync(join(folder, 'in', 'warc'), { recursive: true });
  mkdirSync(join(folder, 'in', 'blocked'), { recursive: true });
  writeFileSync(join(folder, 'in', 'blocked', 'domains.txt'), 'site13.example\n');
  for (const name of ['langid', 'tokenizers', 'bench']) {
    if (!existsSync(join(folder, 'in', name))) symlinkSync(join(samples, name), join(folder, 'in', name));
  }
  let page = 0;
  for (let file = 0; file < totalBytes / FILE_BYTES; file++) {
    const parts: Buffer[] = [];
    for (let filled = 0; filled < FILE_BYTES; page++) {
      writePage(writer, pools, pageSeed(page));
      const text = writer.take().toString();
      filled += text.length;
      const http = Buffer.from(
        `HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n${htmlOf(page, text)}`,
      );
      // One address in a hundred is an earlier one.
      const address = `http://site${page % 9973}.example/${page % 100 === 7 ? Math.floor(page / 2) : page}`;
      const head = `WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: ${address}\r\nContent-Type: application/http; msgtype=response\r\nContent-Length: ${http.length}\r\n\r\n`;
      parts.push(gzipSync(Buffer.concat([Buffer.from(head), http, Buffer.from('\r\n\r\n')]), { level: 1 }));
    }
    writeFileSync(join(folder, 'in', 'warc', `${String(file).padStart(5, '0')}.warc.gz`), Buffer.concat(parts));
  }
}

/** The recipe that is in the package, with the samples' models and evaluation sets. */
function webRecipe(): unknown {
  const given = parse(readFileSync(join(import.meta.dirname, '../recipes/corpus-web.yaml'), 'utf8'));
  return {
    ...given,
    input: join(folder, 'in'),
    output: join(folder, 'out'),
    models: {
      lid: { fasttext: { file: 'langid/lid.176.ftz' } },
      benchmarks: { 'evaluation-sets': { tasks: ['gsm8k'], data: ['gsm8k=bench/gsm8k/test.jsonl'] } },
    },
    tokens: { ...given.tokens, tokenizer: 'tokenizers/llama2_tokenizer.model' },
  };
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

async function run(): Promise<void> {
  rmSync(join(folder, 'out'), { recursive: true, force: true });
  const file = join(folder, 'recipe.yaml');
  writeFileSync(file, JSON.stringify(chain === 'web' ? webRecipe() : recipe(), undefined, 1));
  const { phases, code } = await watchCorpus(file, folder, { workers: Number(workers), countOpens: opens === 'opens' });
  console.log(`${gigabytesGiven} GB of text, ${chain} chain, ${workers} workers, exit ${code}`);
  printPhases(phases, totalBytes);
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

const marker = join(folder, `input-${chain === 'web' ? 'web-' : ''}${gigabytesGiven}`);
if (!existsSync(marker)) {
  rmSync(join(folder, 'in'), { recursive: true, force: true });
  const begun = performance.now();
  if (chain === 'web') makeWebInput();
  else makeInput();
  writeFileSync(marker, '');
  console.log(`made ${gigabytesGiven} GB in ${((performance.now() - begun) / 1000).toFixed(0)} s`);
}
await run();
