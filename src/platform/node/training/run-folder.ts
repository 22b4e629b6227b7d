/** The files of a run beside its checkpoints: metrics, the report, and the recipe as it was used. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StepMetrics } from '../../../training/run/loop.ts';
import { reportHtml, reportSvg } from '../../../training/run/report.ts';
import { makeFolder } from '../make-folder.ts';
import { CHECKPOINTS } from './run-checkpoint.ts';
import { writeWholeFile } from './whole-folder.ts';

const METRICS = 'metrics.jsonl';

export class RunFolder {
  readonly path: string;
  private metrics: StepMetrics[] = [];

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
        const metrics = JSON.parse(line) as StepMetrics;
        return metrics.step <= step ? [metrics] : [];
      } catch {
        return []; // the end of a file whose process was killed
      }
    });
    writeWholeFile(file, this.metrics.map((metrics) => `${JSON.stringify(metrics)}\n`).join(''));
  }

  record(metrics: StepMetrics): void {
    this.metrics.push(metrics);
    appendFileSync(join(this.path, METRICS), `${JSON.stringify(metrics)}\n`);
  }

  writeReport(name: string, facts: readonly (readonly [string, string])[], isRunning: boolean): void {
    writeWholeFile(join(this.path, 'report.html'), reportHtml(name, facts, this.metrics, isRunning));
    writeWholeFile(join(this.path, 'report.svg'), reportSvg(this.metrics));
  }
}
