/** `cria lab`: its runs in worker threads, each kept under its name as soon as it is done, and what comes of them as a report. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatDuration } from '../../../base/units.ts';
import type { DeviceKind } from '../../../devices/device.ts';
import { armTraining, type LabSize, type LabTraining } from '../../../lab/arm-model.ts';
import { baseline } from '../../../lab/experiments.ts';
import { costInRuns, type LabChoice, type LabResult, type PlannedRun, runLab } from '../../../lab/lab.ts';
import { type LabFacts, labReport } from '../../../lab/report.ts';
import type { RunResult } from '../../../lab/train-once.ts';
import { describeMachine } from '../machine.ts';
import { makeFolder } from '../make-folder.ts';
import { packageVersion } from '../serve/version.ts';
import { writeWholeFile } from '../training/whole-folder.ts';
import { sha256 } from './digest.ts';
import { type PreparedText, prepareText } from './text.ts';
import { LabWorkers } from './workers.ts';

export interface LabOptions {
  readonly choice: LabChoice;
  /** The time that all runs together are to take; absent: what the sizes need. */
  readonly minutes?: number;
  readonly data?: string;
  readonly folder: string;
  /** Trainings at a time. */
  readonly workers: number;
  readonly device: DeviceKind;
  /** Of the wasm device. */
  readonly blas: boolean;
  readonly signal: AbortSignal;
  tell(message: string): void;
  /** `share`: of the trainings in sight, 0 to 1. */
  onProgress(share: number): void;
}

export interface LabEnd {
  /** null: it was stopped; the same command goes on. */
  readonly result: LabResult | null;
  readonly report: string;
}

interface Kept {
  readonly key: string;
  readonly purpose: PlannedRun['purpose'];
  readonly arm: string;
  readonly choice: PlannedRun['choice'];
  readonly device: string;
  readonly result: RunResult;
}

export async function lab(options: LabOptions): Promise<LabEnd> {
  const { folder, signal, tell } = options;
  makeFolder(folder);
  const text = await prepareText(options.data, options.choice.size.vocabSize);
  tell(`text: ${text.description}`);
  const { device, blas } = options;
  const workers = new LabWorkers(options.workers, text.shared, { device, blas }, signal);
  try {
    const choice = await fitTo(options, workers);
    const kept = new KeptRuns(join(folder, 'results.jsonl'), text, { device, blas });
    const total = costInRuns(choice) * choice.size.tokens;
    let done = 0;
    const count = ({ steps, rows, config }: LabTraining) => {
      done += steps * rows * config.contextLength;
      options.onProgress(Math.min(1, done / total));
    };
    writeWholeFile(
      join(folder, 'plan.json'),
      `${JSON.stringify({ choice, machine: describeMachine(), text: text.description }, null, 2)}\n`,
    );
    const outside = {
      tell,
      async run(runs: readonly PlannedRun[]): Promise<readonly RunResult[] | null> {
        const results = await Promise.all(
          runs.map(async (run) => {
            const known = kept.find(run);
            const result = known ?? (await workers.train(run.training).then((end) => end && kept.add(run, end)));
            if (result) count(run.training);
            return result;
          }),
        );
        const finished = results.filter((result) => result !== null);
        return finished.length === results.length ? finished : null;
      },
    };
    const result = await runLab(choice, outside);
    const report = join(folder, 'report.html');
    if (result === null) return { result, report };
    const facts: LabFacts = {
      machine: `${describeMachine().cpu}, ${options.workers} trainings at a time${device === 'webgpu' ? '' : ', one thread each'}`,
      device: kept.device ?? 'unknown',
      text: text.description,
      work: kept.work,
    };
    writeWholeFile(join(folder, 'lab.json'), `${JSON.stringify(result, null, 2)}\n`);
    writeWholeFile(report, labReport(result, facts));
    return { result, report };
  } finally {
    await workers.close();
  }
}

/** Steps of the run that tells how fast this machine is. */
const PACE_STEPS = 30;

/** The choice with as many tokens a run as `minutes` have room for. */
async function fitTo({ choice, minutes, tell, workers: count }: LabOptions, workers: LabWorkers): Promise<LabChoice> {
  if (minutes === undefined) return choice;
  const { size } = choice;
  const trial: LabTraining = {
    ...armTraining(baseline, size, { seed: 1 }),
    steps: PACE_STEPS,
    evaluations: 0,
  };
  const pace = await Promise.all(Array.from({ length: count }, () => workers.train(trial)));
  const rate = pace.reduce((sum, end) => sum + (end ? end.result.tokens / end.result.seconds : 0), 0);
  if (rate === 0) return choice;
  // Evaluations take about a tenth.
  const room = 0.9 * 60 * minutes * rate;
  const tokens = Math.max(
    size.batchTokens * 200,
    Math.floor(room / costInRuns(choice) / size.batchTokens) * size.batchTokens,
  );
  const fitted: LabSize = { ...size, tokens };
  tell(`${rate.toFixed(0)} tokens a second in all: ${tokens} tokens a run for ${minutes} minutes`);
  return { ...choice, size: fitted };
}

/** Runs that are done, one a line: a lab that was stopped goes on after them. */
class KeptRuns {
  device: string | null = null;
  /** Keys of those that this lab has asked for. */
  private readonly asked = new Set<string>();
  private readonly file: string;
  private readonly common: string;
  private readonly runs = new Map<string, Kept>();

  constructor(file: string, { digest }: PreparedText, { device, blas }: Pick<LabOptions, 'device' | 'blas'>) {
    this.file = file;
    // What the numbers follow from beside the training itself.
    const own = device === 'wasm' ? [] : [device];
    this.common = JSON.stringify([digest, blas, packageVersion(), describeMachine().cpu, ...own]);
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
    for (const line of lines) {
      try {
        const kept = JSON.parse(line) as Kept;
        this.runs.set(kept.key, kept);
      } catch {
        // the end of a file whose process was killed
      }
    }
  }

  find(run: PlannedRun): RunResult | null {
    const key = this.keyOf(run);
    this.asked.add(key);
    const kept = this.runs.get(key);
    if (!kept) return null;
    this.device = kept.device;
    return kept.result;
  }

  add(run: PlannedRun, { result, device }: { readonly result: RunResult; readonly device: string }): RunResult {
    const { purpose, arm, choice } = run;
    const kept: Kept = { key: this.keyOf(run), purpose, arm, choice, device, result };
    this.runs.set(kept.key, kept);
    this.device = device;
    appendFileSync(this.file, `${JSON.stringify(kept)}\n`);
    return result;
  }

  get work(): string {
    const results = [...this.asked].flatMap((key) => this.runs.get(key)?.result ?? []);
    const isWork = results.every(({ processorSeconds }) => typeof processorSeconds === 'number');
    const seconds = results.reduce((sum, one) => sum + (isWork ? one.processorSeconds! : one.seconds), 0);
    return `${results.length} trainings, ${formatDuration(seconds)}${isWork ? ' of processor time' : ' in all'} without their evaluations`;
  }

  private keyOf({ training }: PlannedRun): string {
    return sha256(`${this.common}${JSON.stringify(training)}`).slice(0, 16);
  }
}
