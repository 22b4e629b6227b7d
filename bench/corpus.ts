/**
 * Speed of the CCNet chain: line hashing, then mining (duplicates out, language, pieces and 5-gram perplexity, classifier), one worker.
 *
 *   node bench/corpus.ts SAMPLES [documents=2000]        SAMPLES: the folder that recipes/corpus-samples.yaml reads
 *
 * The documents are the samples' own pages, each copy with lines made different, packed as a WET file. CCNet published about 40
 * documents/s per mining worker and 600 documents/s per core for hashing (arXiv:1911.00359 §4.3). Say with a number what else ran.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { formatBytes } from '../src/base/units.ts';
import type { CorpusEvent } from '../src/corpus/pipeline/run.ts';
import { parseRecipe } from '../src/corpus/recipe/recipe.ts';
import { buildCorpus } from '../src/platform/node/corpus/build.ts';

const [samples, count = '2000'] = process.argv.slice(2);
if (samples === undefined) throw new Error('usage: node bench/corpus.ts SAMPLES [documents]');
const documentCount = Number(count);
const folder = mkdtempSync(join(tmpdir(), 'corpus-bench-'));

function sampleTexts(): string[] {
  const texts: string[] = [];
  for (const name of ['web/dolma/cc_en_head-0091.jsonl', 'web/dolma/cc_en_head-0174.jsonl']) {
    for (const line of readFileSync(join(samples!, name), 'utf8').trim().split('\n')) texts.push(JSON.parse(line).text);
  }
  return texts;
}

function writeWet(texts: readonly string[]): number {
  let bytes = 0;
  const records = Array.from({ length: documentCount }, (_, i) => {
    const text = texts[i % texts.length]!.split('\n')
      .map((line, n) => (n % 4 === 3 ? line : `${line} ${wordOf(i)}`))
      .join('\n');
    const body = Buffer.from(`title ${i}\n${text}\n`);
    bytes += body.length;
    return Buffer.concat([
      Buffer.from(
        `WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://x/${i}\r\nContent-Length: ${body.length}\r\n\r\n`,
      ),
      body,
      Buffer.from('\r\n\r\n'),
    ]);
  });
  writeFileSync(join(folder, 'in', 'bench.warc.wet.gz'), gzipSync(Buffer.concat(records)));
  return bytes;
}

/** Digits become 0 before hashing, so copies differ by letters. */
function wordOf(n: number): string {
  return n.toString(26).replace(/\d/g, (digit) => 'qrstuvwxyz'[Number(digit)]!);
}

try {
  mkdirSync(join(folder, 'in'));
  for (const name of ['langid', 'text', 'tokenizers', 'web'])
    symlinkSync(resolve(samples, name), join(folder, 'in', name));
  const bytes = writeWet(sampleTexts());
  const recipe = parseRecipe(
    {
      name: 'bench',
      input: join(folder, 'in'),
      output: join(folder, 'out'),
      dedupSlices: 1,
      models: {
        lid: { fasttext: { file: 'langid/lid.176.ftz' } },
        english: {
          'train-ngram': {
            from: { reader: 'wikipedia', files: ['text/wiki/enwiki-table*.bz2'] },
            pieces: 'tokenizers/llama2_tokenizer.model',
          },
        },
        wikiref: {
          'train-classifier': {
            labels: {
              wiki: { reader: 'wikipedia', files: ['text/wiki/enwiki-table*.bz2'] },
              cc: { reader: 'jsonl', files: ['web/c4/*.gz'] },
            },
          },
        },
      },
      sources: {
        web: {
          reader: 'wet',
          files: ['bench.warc.wet.gz'],
          stages: [
            'minimum-length',
            'dedup-lines',
            { language: { model: 'lid' } },
            { perplexity: { models: { en: 'english' } } },
            'bucket',
            { classifier: { model: 'wikiref', label: 'wiki', attribute: 'wikiref' } },
          ],
        },
      },
    },
    'bench',
  );
  const phases: [string, number][] = [];
  const onEvent = (event: CorpusEvent) =>
    void (event.kind === 'phase' && phases.push([event.phase, performance.now()]));
  const { audit } = await buildCorpus(recipe, { workers: 0, onEvent });
  phases.push(['end', performance.now()]);
  const seconds = (name: string) => {
    const i = phases.findIndex(([phase]) => phase === name);
    return (phases[i + 1]![1] - phases[i]![1]) / 1000;
  };
  const web = audit.sources.web!;
  console.log(`${documentCount} documents, ${formatBytes(bytes)} of text`);
  console.log(
    `hashing: ${(documentCount / seconds('collect 1')).toFixed(0)} documents/s, ${(bytes / 1e6 / seconds('collect 1')).toFixed(1)} MB/s`,
  );
  console.log(
    `mining:  ${(documentCount / seconds('process')).toFixed(0)} documents/s, ${(bytes / 1e6 / seconds('process')).toFixed(1)} MB/s`,
  );
  const stageSeconds = Object.values(web.audit.stages).reduce((sum, stage) => sum + stage.seconds, 0);
  for (const [name, stage] of Object.entries(web.audit.stages)) {
    console.log(
      `  ${name.padEnd(20)} ${(stage.in.documents / stage.seconds).toFixed(0).padStart(8)} documents/s ${(stage.in.bytes / 1e6 / stage.seconds).toFixed(1).padStart(7)} MB/s ${((100 * stage.seconds) / web.seconds).toFixed(1).padStart(5)} %`,
    );
  }
  console.log(
    `  ${'reading and writing'.padEnd(20)} ${''.padStart(31)} ${((100 * (web.seconds - stageSeconds)) / web.seconds).toFixed(1).padStart(5)} %`,
  );
  console.log(`largest memory: ${formatBytes(process.resourceUsage().maxRSS * 1024)}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
