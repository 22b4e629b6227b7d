/** A folder of results: results.json, samples_TASK.jsonl (samples_TASK.paper.jsonl), report.html. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { FormatError } from '../../../base/errors.ts';
import type { TaskResult } from '../../../evaluation/run/evaluate.ts';
import { type Sample, samplesOf } from '../../../evaluation/run/samples.ts';
import { makeFolder } from '../make-folder.ts';

export const hash = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');

const fileOf = ({ task, rules }: TaskResult) => `samples_${task}${rules === 'paper' ? '.paper' : ''}.jsonl`;

/** Writes one task's samples as they are ready. */
export function writeSamples(folder: string, result: TaskResult): void {
  makeFolder(folder);
  const lines = samplesOf(result, hash).map((sample) => `${JSON.stringify(sample)}\n`);
  writeFileSync(join(folder, fileOf(result)), lines.join(''));
}

export interface StoredSamples {
  readonly task: string;
  readonly rules: string;
  readonly samples: readonly Sample[];
}

/** The samples of a folder or file: ours, or the harness's. Throws FormatError `eval.samples`. */
export function readSamples(path: string): StoredSamples[] {
  const files = statSync(path).isDirectory()
    ? readdirSync(path, { recursive: true, encoding: 'utf8' })
        .filter((name) => /(^|[\\/])samples_.*\.jsonl$/.test(name))
        .sort()
        .map((name) => join(path, name))
    : [path];
  if (files.length === 0) {
    throw new FormatError(
      { code: 'eval.samples', file: path, where: 'the folder' },
      'no file samples_TASK.jsonl, expected the results of cria eval --output, or of the harness with --log_samples',
      'Give the folder that --output named.',
    );
  }
  return files.map(readFile);
}

function readFile(path: string): StoredSamples {
  const samples = readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line, i) => {
      if (line === '') return [];
      try {
        const sample = JSON.parse(line) as Sample;
        if (typeof sample.doc_hash === 'string' && Array.isArray(sample.metrics)) return [sample];
      } catch {
        // said below
      }
      throw new FormatError(
        { code: 'eval.samples', file: path, where: `line ${i + 1}` },
        'no sample, expected a JSON object with doc_hash and metrics',
        'Give a file that cria eval --output or the harness wrote.',
      );
    });
  // The harness adds the date to the name of the task.
  const [, task = '', paper] =
    /^samples_(.*?)(\.paper)?(?:_\d{4}-\d\d-\d\dT[\d.-]+)?\.jsonl$/.exec(basename(path)) ?? [];
  return { task, rules: paper ? 'paper' : 'harness', samples };
}

export function writeText(folder: string, name: string, text: string): void {
  makeFolder(folder);
  writeFileSync(join(folder, name), text);
}
