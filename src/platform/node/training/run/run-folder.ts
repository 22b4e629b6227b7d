/** The files of a run beside its checkpoints: metrics, the report, and the recipe as it was used. */
import { join } from 'node:path';
import type { StepMetrics } from '../../../../training/run/loop.ts';
import { reportHtml, reportSvg } from '../../../../training/run/report.ts';
import { writeWholeFile } from '../whole-folder.ts';
import { MetricsFolder } from './metrics-folder.ts';

export class RunFolder extends MetricsFolder<StepMetrics> {
  /** Where the texts are kept as tokens. */
  get tokens(): string {
    return join(this.path, 'tokens');
  }

  writeReport(name: string, facts: readonly (readonly [string, string])[], isRunning: boolean): void {
    writeWholeFile(join(this.path, 'report.html'), reportHtml(name, facts, this.metrics, isRunning));
    writeWholeFile(join(this.path, 'report.svg'), reportSvg(this.metrics));
  }
}
