/** The folder of a run of any kind: where its checkpoints are, and one line of metrics for every step. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../../make-folder.ts';
import { CHECKPOINTS } from '../run-checkpoint.ts';
import { writeWholeFile } from '../whole-folder.ts';

const METRICS = 'metrics.jsonl';

export class MetricsFolder<Metrics extends { readonly step: number }> {
  readonly path: string;
  protected metrics: Metrics[] = [];

  constructor(path: string) {
    this.path = path;
    makeFolder(path);
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
  }

  record(metrics: Metrics): void {
    this.metrics.push(metrics);
    appendFileSync(join(this.path, METRICS), `${JSON.stringify(metrics)}\n`);
  }
}
