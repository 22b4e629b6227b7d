/** The files of a fine-tuning run beside its checkpoints: metrics, the report, refused rows, what is computed once. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Census } from '../../../finetuning/data/collect.ts';
import type { Run } from '../../../finetuning/data/proof.ts';
import type { TuningMetrics } from '../../../finetuning/run/loop.ts';
import { tuningHtml, tuningSvg } from '../../../finetuning/run/report.ts';
import { MetricsFolder } from '../training/run/metrics-folder.ts';
import { writeWholeFile } from '../training/whole-folder.ts';

const REFUSED = 'refused.jsonl';

export class TuningFolder extends MetricsFolder<TuningMetrics> {
  private head: {
    name: string;
    facts: readonly (readonly [string, string])[];
    samples: readonly { readonly title: string; readonly runs: readonly Run[] }[];
  } | null = null;

  /** Every refused row with its reason. */
  writeRefused(census: readonly (readonly [name: string, census: Census])[]): void {
    const lines = census.flatMap(([source, { refused }]) => refused.map((row) => JSON.stringify({ source, ...row })));
    if (lines.length > 0) writeWholeFile(join(this.path, REFUSED), `${lines.join('\n')}\n`);
  }

  setReport(head: NonNullable<TuningFolder['head']>): void {
    this.head = head;
  }

  writeReport(isRunning: boolean): void {
    if (this.head === null) return;
    const { name, facts, samples } = this.head;
    writeWholeFile(join(this.path, 'report.html'), tuningHtml(name, facts, samples, this.metrics, isRunning));
    if (this.metrics.length > 0) writeWholeFile(join(this.path, 'report.svg'), tuningSvg(this.metrics));
  }

  /** Numbers that are computed once before the first step, and must be the same when a run is resumed. */
  async once(name: string, compute: () => Promise<Float64Array>): Promise<Float64Array> {
    const file = join(this.path, name);
    if (existsSync(file)) {
      const { numbers } = JSON.parse(readFileSync(file, 'utf8')) as { numbers: number[] };
      return Float64Array.from(numbers);
    }
    const numbers = await compute();
    writeWholeFile(file, `${JSON.stringify({ numbers: [...numbers] })}\n`);
    return numbers;
  }

  /** A JSON value that a method keeps; null where there is none. */
  load<T>(name: string): T | null {
    const file = join(this.path, name);
    return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T) : null;
  }

  save(name: string, value: unknown): void {
    writeWholeFile(join(this.path, name), `${JSON.stringify(value)}\n`);
  }
}
