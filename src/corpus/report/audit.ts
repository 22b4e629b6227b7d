/**
 * The audit of a unit of work: what went in and came out of every stage, why, and a few examples of each reason. Audits add up:
 * merging is commutative and the examples are those with the smallest hash, so the sum does not depend on who did what when.
 */
import { type Document, utf8Length } from '../document.ts';
import type { Drop, LineLog, Stage } from '../stages/stage.ts';

export interface Amount {
  documents: number;
  bytes: number;
}

export interface Sample {
  readonly rank: number;
  readonly id: string;
  readonly detail: string;
  readonly text: string;
}

export interface ReasonCounts {
  /** Documents dropped for it, and their bytes when they came in. */
  documents: number;
  documentBytes: number;
  /** Lines removed for it from documents that went on. */
  lines: number;
  lineBytes: number;
  samples: Sample[];
}

export interface StageCounts {
  in: Amount;
  out: Amount;
  seconds: number;
  reasons: Record<string, ReasonCounts>;
}

/** A file that could not be read to its end, or a record in it that was skipped. */
export interface Problem {
  readonly file: string;
  readonly kind: string;
  readonly message: string;
  count: number;
}

export interface Audit {
  /** In the order in which documents meet them. */
  stages: Record<string, StageCounts>;
  /** Documents that came in and that were kept, by what was known of their language at the end of the chain or at the drop. */
  languages: Record<string, { seen: Amount; kept: Amount }>;
  problems: Problem[];
}

export const READING = 'read';
const SAMPLES_PER_REASON = 6;
const SAMPLE_CHARACTERS = 600;
const MAXIMUM_PROBLEMS = 200;

export function emptyAudit(): Audit {
  return { stages: {}, languages: {}, problems: [] };
}

/** What happened to one document, for the log beside the output. */
export interface DropRecord {
  readonly id: string;
  readonly url?: string;
  readonly stage: string;
  readonly reason: string;
  readonly detail?: string;
  readonly bytes: number;
  /** Line numbers within the document as this stage saw it; absent when the whole document went. */
  readonly lines?: number[];
}

/** Runs documents through stages and keeps the books. */
export class StageRunner {
  readonly audit = emptyAudit();
  private readonly stages: readonly Stage[];
  private readonly clock: () => number;
  private readonly record: (drop: DropRecord) => void;
  private readonly isLast: boolean;

  /**
   * `clock`: milliseconds. `record`: every drop and removal, one call per document, stage and reason. `isLast`: false where documents that go through come to
   * further stages later, whose books will have their language.
   */
  constructor(
    stages: readonly Stage[],
    clock: () => number,
    record: (drop: DropRecord) => void = () => {},
    isLast = true,
  ) {
    this.stages = stages;
    this.clock = clock;
    this.record = record;
    this.isLast = isLast;
    for (const { name } of stages) stageCounts(this.audit, name);
  }

  /** True when the document went through all stages. `bytesRead`: of its text when it was read, where other stages have seen it since. */
  run(document: Document, bytesRead = utf8Length(document.text)): boolean {
    let bytes = utf8Length(document.text);
    for (const stage of this.stages) {
      const counts = stageCounts(this.audit, stage.name);
      counts.in.documents++;
      counts.in.bytes += bytes;
      const log = new RemovedLines();
      const { text } = document;
      const started = this.clock();
      const drop = stage.apply(document, log);
      counts.seconds += (this.clock() - started) / 1000;
      this.countLines(document, stage.name, counts, log);
      if (drop) {
        this.countDrop(document, stage.name, counts, drop, bytes);
        this.countLanguage(document, bytesRead, 0);
        return false;
      }
      if (document.text !== text) bytes = utf8Length(document.text);
      counts.out.documents++;
      counts.out.bytes += bytes;
    }
    if (this.isLast) this.countLanguage(document, bytesRead, bytes);
    return true;
  }

  private countDrop(document: Document, stage: string, counts: StageCounts, drop: Drop, bytes: number): void {
    const reason = reasonCounts(counts, drop.reason);
    reason.documents++;
    reason.documentBytes += bytes;
    addSample(reason, document, drop.reason, drop.detail ?? '', document.text);
    this.record({ ...identity(document), stage, ...drop, bytes });
  }

  private countLines(document: Document, stage: string, counts: StageCounts, log: RemovedLines): void {
    for (const [name, removed] of log.byReason) {
      const reason = reasonCounts(counts, name);
      reason.lines += removed.lines.length;
      reason.lineBytes += removed.bytes;
      addSample(
        reason,
        document,
        name,
        `${removed.lines.length} lines, first is line ${removed.lines[0]}`,
        removed.example,
      );
      this.record({ ...identity(document), stage, reason: name, bytes: removed.bytes, lines: removed.lines });
    }
  }

  private countLanguage(document: Document, seenBytes: number, keptBytes: number): void {
    const { language } = document.attributes;
    const entry = (this.audit.languages[typeof language === 'string' ? language : 'not identified'] ??= {
      seen: { documents: 0, bytes: 0 },
      kept: { documents: 0, bytes: 0 },
    });
    entry.seen.documents++;
    entry.seen.bytes += seenBytes;
    if (keptBytes > 0) entry.kept.documents++;
    entry.kept.bytes += keptBytes;
  }
}

class RemovedLines implements LineLog {
  readonly byReason = new Map<string, { lines: number[]; bytes: number; example: string }>();

  removed(reason: string, lineNumber: number, line: string): void {
    let entry = this.byReason.get(reason);
    if (!entry) this.byReason.set(reason, (entry = { lines: [], bytes: 0, example: line }));
    entry.lines.push(lineNumber);
    entry.bytes += utf8Length(line) + 1;
  }
}

export function addProblem(audit: Audit, file: string, kind: string, message: string): void {
  const known = audit.problems.find((each) => each.file === file && each.kind === kind);
  if (known) known.count++;
  else audit.problems.push({ file, kind, message, count: 1 });
}

/** into += from */
export function mergeAudit(into: Audit, from: Audit): void {
  for (const [name, counts] of Object.entries(from.stages)) {
    const total = stageCounts(into, name);
    addAmount(total.in, counts.in);
    addAmount(total.out, counts.out);
    total.seconds += counts.seconds;
    for (const [key, reason] of Object.entries(counts.reasons)) {
      const sum = reasonCounts(total, key);
      sum.documents += reason.documents;
      sum.documentBytes += reason.documentBytes;
      sum.lines += reason.lines;
      sum.lineBytes += reason.lineBytes;
      sum.samples = [...sum.samples, ...reason.samples].sort(bySample).slice(0, SAMPLES_PER_REASON);
    }
  }
  for (const [language, { seen, kept }] of Object.entries(from.languages)) {
    const total = (into.languages[language] ??= { seen: { documents: 0, bytes: 0 }, kept: { documents: 0, bytes: 0 } });
    addAmount(total.seen, seen);
    addAmount(total.kept, kept);
  }
  for (const problem of from.problems) {
    if (into.problems.length < MAXIMUM_PROBLEMS) into.problems.push({ ...problem });
    else into.problems.at(-1)!.count += problem.count;
  }
}

function stageCounts(audit: Audit, name: string): StageCounts {
  return (audit.stages[name] ??= {
    in: { documents: 0, bytes: 0 },
    out: { documents: 0, bytes: 0 },
    seconds: 0,
    reasons: {},
  });
}

function reasonCounts(counts: StageCounts, reason: string): ReasonCounts {
  return (counts.reasons[reason] ??= { documents: 0, documentBytes: 0, lines: 0, lineBytes: 0, samples: [] });
}

function addAmount(into: Amount, from: Amount): void {
  into.documents += from.documents;
  into.bytes += from.bytes;
}

function addSample(reason: ReasonCounts, document: Document, name: string, detail: string, text: string): void {
  const rank = textHash(`${document.id}\n${name}`);
  const last = reason.samples.at(-1);
  if (reason.samples.length >= SAMPLES_PER_REASON && last && rank >= last.rank) return;
  reason.samples.push({ rank, id: document.url ?? document.id, detail, text: text.slice(0, SAMPLE_CHARACTERS) });
  reason.samples.sort(bySample);
  if (reason.samples.length > SAMPLES_PER_REASON) reason.samples.pop();
}

function bySample(a: Sample, b: Sample): number {
  return a.rank - b.rank || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

function identity(document: Document): { id: string; url?: string } {
  return document.url === undefined ? { id: document.id } : { id: document.id, url: document.url };
}

/** FNV-1a over UTF-16 units: a fixed random-looking order of documents. */
export function textHash(text: string): number {
  let hash = 2166136261;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}
