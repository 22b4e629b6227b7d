/**
 * The folder of a run of any kind: where its checkpoints are, and one line of metrics for every step; the numbers also as CSV and as
 * TensorBoard reads them.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CriaError } from '../../../../base/errors.ts';
import { atPath } from '../../../../base/system-error.ts';
import { firstEvent, scalarEvent } from '../../../../training/run/event-file.ts';
import { csvHead, csvLine, scalarsOf } from '../../../../training/run/scalars.ts';
import { makeFolder } from '../../make-folder.ts';
import { CHECKPOINTS } from '../run-checkpoint.ts';
import { writeWholeFile } from '../whole-folder.ts';

const METRICS = 'metrics.jsonl';
const TABLE = 'metrics.csv';
const EVENTS = 'events.out.tfevents.0.cria';

export class MetricsFolder<Metrics extends { readonly step: number; readonly seconds: number }> {
  readonly path: string;
  /** The folder was not there before. */
  readonly isNew: boolean;
  protected metrics: Metrics[] = [];
  private columns: string[] = [];

  constructor(path: string) {
    this.path = path;
    this.isNew = !existsSync(path);
    try {
      makeFolder(path);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
      const reason = code === 'EEXIST' ? 'there is a file of this name' : code;
      const problem = `${path}: expected a folder for the run, or room to make one, found none (${reason})`;
      throw new CriaError('training.folder', `${problem}. Choose another with --out.`, { cause: error });
    }
  }

  get checkpoints(): string {
    return join(this.path, CHECKPOINTS);
  }

  /** Metrics of the steps up to `step`; later ones, which a resumed run makes again, are taken off the file. */
  rewindMetrics(step: number): void {
    const file = join(this.path, METRICS);
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
    this.metrics = lines.flatMap((line) => {
      try {
        const metrics = JSON.parse(line) as Metrics;
        return metrics.step <= step ? [metrics] : [];
      } catch {
        return []; // the end of a file whose process was killed
      }
    });
    writeWholeFile(file, this.metrics.map((metrics) => `${JSON.stringify(metrics)}\n`).join(''));
    this.columns = [...new Set(this.metrics.flatMap((metrics) => scalarsOf(metrics).map(([name]) => name)))];
    this.writeTable();
    const now = Date.now() / 1000;
    const last = this.metrics.at(-1)?.seconds ?? 0;
    const events = this.metrics.map((metrics) => eventOf(metrics, now - last + metrics.seconds));
    writeWholeFile(join(this.path, EVENTS), Buffer.concat([firstEvent(now - last), ...events]));
  }

  record(metrics: Metrics): void {
    this.metrics.push(metrics);
    this.append(METRICS, `${JSON.stringify(metrics)}\n`);
    this.append(EVENTS, eventOf(metrics, Date.now() / 1000));
    const fresh = scalarsOf(metrics).flatMap(([name]) => (this.columns.includes(name) ? [] : [name]));
    this.columns.push(...fresh);
    if (fresh.length > 0) this.writeTable();
    else this.append(TABLE, csvLine(this.columns, metrics));
  }

  private append(name: string, content: string | Uint8Array): void {
    const file = join(this.path, name);
    atPath(file, () => appendFileSync(file, content));
  }

  private writeTable(): void {
    const lines = this.metrics.map((metrics) => csvLine(this.columns, metrics));
    writeWholeFile(join(this.path, TABLE), [csvHead(this.columns), ...lines].join(''));
  }
}

function eventOf(metrics: { readonly step: number }, wallSeconds: number): Uint8Array {
  return scalarEvent(
    wallSeconds,
    metrics.step,
    scalarsOf(metrics).filter(([name]) => name !== 'step'),
  );
}
