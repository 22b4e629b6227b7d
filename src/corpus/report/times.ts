/** What a run took, apart from what it found: two equal runs have equal audits and reports, never equal times. */
import type { CorpusAudit } from './corpus-audit.ts';

export interface StageTime {
  readonly documents: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly documentsPerSecond: number;
  readonly megabytesPerSecond: number;
}

/** Processor time of all units by source; `stages` has a row of its own for reading and writing. */
export type CorpusTimes = Readonly<
  Record<
    string,
    { readonly seconds: number; readonly tokeniseSeconds: number; readonly stages: Readonly<Record<string, StageTime>> }
  >
>;

export function timesOf({ sources }: CorpusAudit): CorpusTimes {
  return Object.fromEntries(
    Object.entries(sources).map(([name, { audit, seconds, tokeniseSeconds }]) => {
      const stages = Object.entries(audit.stages);
      const inStages = stages.reduce((sum, [, stage]) => sum + stage.seconds, 0);
      const first = stages[0]?.[1].in ?? { documents: 0, bytes: 0 };
      const rows = stages.map(([stage, counts]) => [stage, stageTime(counts.in, counts.seconds)] as const);
      const reading = ['reading and writing', stageTime(first, Math.max(0, seconds - inStages))] as const;
      return [
        name,
        {
          seconds: round(seconds),
          tokeniseSeconds: round(tokeniseSeconds),
          stages: Object.fromEntries([...rows, reading]),
        },
      ];
    }),
  );
}

function stageTime({ documents, bytes }: { documents: number; bytes: number }, seconds: number): StageTime {
  const rate = (amount: number) => (seconds > 0 ? round(amount / seconds) : 0);
  return {
    documents,
    bytes,
    seconds: round(seconds),
    documentsPerSecond: rate(documents),
    megabytesPerSecond: rate(bytes / 1e6),
  };
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}

type WithoutTimes<T> = T extends readonly (infer Each)[]
  ? readonly WithoutTimes<Each>[]
  : T extends object
    ? { [Key in keyof T as Key extends 'seconds' | 'tokeniseSeconds' ? never : Key]: WithoutTimes<T[Key]> }
    : T;

/** The audit as it is read back. */
export type RecordedAudit = WithoutTimes<CorpusAudit>;

/** The audit as it is written: `seconds` of every kind left out. */
export function auditJson(audit: CorpusAudit): string {
  return `${JSON.stringify(audit, (key, value) => (isTime(key) && typeof value === 'number' ? undefined : value), 1)}\n`;
}

function isTime(key: string): boolean {
  return key === 'seconds' || key === 'tokeniseSeconds';
}
