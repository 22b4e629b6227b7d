/** Reading back what a corpus run noted: its audit, and the drop logs of its units. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FormatError } from '../../../base/errors.ts';
import type { Attributes, AttributeValue } from '../../../corpus/document.ts';
import { ByteQueue } from '../../../corpus/readers/byte-queue.ts';
import type { DropRecord } from '../../../corpus/report/audit.ts';
import type { CorpusTimes, RecordedAudit } from '../../../corpus/report/times.ts';
import { openWorkStore } from './work-store.ts';

/** What a run found: its audit without times. */
export function readAudit(folder: string): RecordedAudit {
  return readResult(folder, 'audit.json') as RecordedAudit;
}

export function readTimes(folder: string): CorpusTimes {
  return readResult(folder, 'times.json') as CorpusTimes;
}

function readResult(folder: string, file: string): unknown {
  const path = join(folder, file);
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8'));
  throw new FormatError(
    { code: 'corpus.no-audit', file: folder, where: file },
    'there is none',
    'Is this the output folder of `cria corpus`?',
  );
}

export interface DropQuery {
  /** Part of an id or an address. */
  readonly document: string;
  readonly source: string | undefined;
  readonly stage: string | undefined;
  readonly reason: string | undefined;
}

/** The finished units of a phase, in order; every thousand of a source has a folder of its own. */
function* unitsOf(folder: string, phase: string): Generator<{ id: string; source: string }> {
  const root = join(folder, 'work', phase);
  for (const name of existsSync(root) ? readdirSync(root).sort() : []) {
    const source = name.slice(0, name.lastIndexOf('-'));
    if (!/-\d+k$/.test(name)) yield { id: `${phase}/${name}`, source };
    else for (const unit of readdirSync(join(root, name)).sort()) yield { id: `${phase}/${name}/${unit}`, source };
  }
}

/** The passes before, which keep logs of their own; in order. */
function collectingPhases(folder: string): string[] {
  const names = existsSync(join(folder, 'work')) ? readdirSync(join(folder, 'work')) : [];
  return names.filter((name) => /^collect-\d+$/.test(name)).sort((a, b) => Number(a.slice(8)) - Number(b.slice(8)));
}

/** Everything in the logs that fits, in order of units. */
export async function* findDrops(folder: string, query: DropQuery): AsyncGenerator<DropRecord> {
  const work = openWorkStore(join(folder, 'work'));
  for (const phase of [...collectingPhases(folder), 'process', 'tokenise']) {
    for (const { id, source } of unitsOf(folder, phase)) {
      if (query.source !== undefined && source !== query.source) continue;
      if (!work.done(id)?.files.some(({ name }) => name.startsWith('drops.jsonl'))) continue;
      const lines = new ByteQueue(work.read(id, 'drops.jsonl'));
      for (;;) {
        const line = await lines.until(10, Number.MAX_SAFE_INTEGER);
        if (line === undefined || line === 'too-long') break;
        const drop = JSON.parse(new TextDecoder().decode(line)) as DropRecord;
        if (fits(drop, query)) yield drop;
      }
    }
  }
}

export interface AttributeSpread {
  readonly source: string;
  readonly language: string;
  readonly documents: number;
  /** Values at 0, 10, … 100 % for numbers. */
  readonly percentiles?: readonly number[];
  /** Documents per value for texts, most frequent first. */
  readonly values?: readonly (readonly [value: string, documents: number])[];
}

const PERCENTILES = Array.from({ length: 11 }, (_, i) => i * 10);

/** How an attribute is spread over the documents that the stages let through: what a threshold would keep. */
export async function attributeSpread(folder: string, attribute: string): Promise<AttributeSpread[]> {
  const work = openWorkStore(join(folder, 'work'));
  const groups = new Map<string, AttributeValue[]>();
  for (const { id, source } of unitsOf(folder, 'process')) {
    const lines = new ByteQueue(work.read(id, 'attributes.jsonl'));
    for (;;) {
      const line = await lines.until(10, Number.MAX_SAFE_INTEGER);
      if (line === undefined || line === 'too-long') break;
      const attributes = JSON.parse(new TextDecoder().decode(line)) as Attributes;
      const value = attributes[attribute];
      if (value === undefined) continue;
      const key = `${source}\n${attributes.language ?? 'not identified'}`;
      const values = groups.get(key);
      if (values) values.push(value);
      else groups.set(key, [value]);
    }
  }
  return [...groups].map(([key, values]) => {
    const [source, language] = key.split('\n') as [string, string];
    return { source, language, documents: values.length, ...spreadOf(values) };
  });
}

function spreadOf(values: readonly AttributeValue[]): Pick<AttributeSpread, 'percentiles' | 'values'> {
  if (values.every((value) => typeof value === 'number')) {
    const sorted = Float64Array.from(values).sort();
    return {
      percentiles: PERCENTILES.map((p) => sorted[Math.min(sorted.length - 1, Math.floor((p / 100) * sorted.length))]!),
    };
  }
  const counts = new Map<string, number>();
  for (const value of values) counts.set(String(value), (counts.get(String(value)) ?? 0) + 1);
  return { values: [...counts].sort((a, b) => b[1] - a[1]) };
}

function fits(drop: DropRecord, { document, stage, reason }: DropQuery): boolean {
  if (!drop.id.includes(document) && !drop.url?.includes(document)) return false;
  if (stage !== undefined && drop.stage !== stage) return false;
  return reason === undefined || drop.reason.includes(reason);
}
