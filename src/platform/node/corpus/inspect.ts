/** Reading back what a corpus run noted: its audit, and the drop logs of its units. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FormatError } from '../../../base/errors.ts';
import { ByteQueue } from '../../../corpus/readers/byte-queue.ts';
import type { DropRecord } from '../../../corpus/report/audit.ts';
import type { CorpusAudit } from '../../../corpus/report/corpus-audit.ts';
import { openWorkStore } from './work-store.ts';

export function readAudit(folder: string): CorpusAudit {
  const path = join(folder, 'audit.json');
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as CorpusAudit;
  throw new FormatError(
    { code: 'corpus.no-audit', file: folder, where: 'audit.json' },
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

/** Everything in the logs that fits, in order of units. */
export async function* findDrops(folder: string, query: DropQuery): AsyncGenerator<DropRecord> {
  const work = openWorkStore(join(folder, 'work'));
  for (const phase of ['process', 'tokenise']) {
    const path = join(folder, 'work', phase);
    if (!existsSync(path)) continue;
    for (const unit of readdirSync(path).sort()) {
      if (query.source !== undefined && !unit.startsWith(`${query.source}-`)) continue;
      const lines = new ByteQueue(work.read(`${phase}/${unit}`, 'drops.jsonl'));
      for (;;) {
        const line = await lines.until(10, Number.MAX_SAFE_INTEGER);
        if (line === undefined || line === 'too-long') break;
        const drop = JSON.parse(new TextDecoder().decode(line)) as DropRecord;
        if (fits(drop, query)) yield drop;
      }
    }
  }
}

function fits(drop: DropRecord, { document, stage, reason }: DropQuery): boolean {
  if (!drop.id.includes(document) && !drop.url?.includes(document)) return false;
  if (stage !== undefined && drop.stage !== stage) return false;
  return reason === undefined || drop.reason.includes(reason);
}
