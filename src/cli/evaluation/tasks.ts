/** `cria eval --tasks`: benchmarks by name, under the harness's rules, the papers', or both. */
import { join } from 'node:path';
import { UsageError } from '../../base/errors.ts';
import type { Metric } from '../../evaluation/metrics/metric.ts';
import { metrics } from '../../evaluation/metrics/table.ts';
import { compareSamples, type Difference } from '../../evaluation/run/compare.ts';
import { evaluateTask, type TaskResult } from '../../evaluation/run/evaluate.ts';
import { differences as differingItems, showItem } from '../../evaluation/run/explain.ts';
import { type GroupResult, groupResults } from '../../evaluation/run/groups.ts';
import { differenceHead, differenceRow, reportHtml } from '../../evaluation/run/report.ts';
import { samplesOf, summaryOf } from '../../evaluation/run/samples.ts';
import { remarksOf, scoreTables } from '../../evaluation/run/tables.ts';
import { type RuleSet, ruleSets, type TaskSpec, underRules } from '../../evaluation/task/spec.ts';
import { builtInTasks, groups, sets, tasksNamed } from '../../evaluation/tasks/table.ts';
import { loadTaskData, parsePlaces, type TaskData } from '../../platform/node/evaluation/data.ts';
import { evaluatedModel } from '../../platform/node/evaluation/evaluated-model.ts';
import { createProgramRunner } from '../../platform/node/evaluation/programs.ts';
import {
  hash,
  readSamples,
  type StoredSamples,
  writeSamples,
  writeText,
} from '../../platform/node/evaluation/results.ts';
import type { ProgramRunner } from '../../platform/node/evaluation/runner.ts';
import { isTaskFile, readTaskFile } from '../../platform/node/evaluation/task-file.ts';
import type { Llama } from '../../platform/node/index.ts';
import { type Io, writeJson, writeLine } from '../io.ts';
import { loadModel } from '../load-model.ts';
import { resolveModel } from '../model-name.ts';
import type { ModelOptions } from '../model-options.ts';
import { alignColumns } from '../terminal/columns.ts';
import { startProgress } from '../terminal/progress.ts';

export interface TaskOptions extends ModelOptions {
  readonly tasks: readonly string[];
  readonly rules: RuleSet | 'both';
  readonly shots: number | undefined;
  readonly data: readonly string[];
  readonly limit: number | undefined;
  readonly show: number;
  readonly why: number;
  readonly output: string | undefined;
  readonly against: string | undefined;
  readonly chat: boolean;
  readonly execute: boolean;
  readonly lanes: number;
  readonly json: boolean;
}

/** A task with its data. */
interface Loaded extends TaskData {
  readonly spec: TaskSpec;
}

/** Every task's name with what it needs, for --list. */
export function listTasks(io: Io): void {
  const rows = [...builtInTasks.values()]
    .filter(({ task }) => !/^(mmlu|hendrycks_math|minerva_math|bbh|agieval)_/.test(task))
    .map(({ task, output_type, num_fewshot, metric_list, paper }) => [
      task,
      output_type,
      `${num_fewshot} shots`,
      [...new Set(metric_list.map(({ name, metric }) => name ?? metric))].join(', '),
      paper?.source ?? 'not in the papers',
    ]);
  writeLine(io.stdout, alignColumns(rows));
  writeLine(io.stdout);
  for (const [name, members] of [...Object.entries(groups), ...Object.entries(sets)]) {
    writeLine(io.stdout, `${name}: ${members.join(', ')}`);
  }
}

/** The tasks that some names and files stand for, each once. */
function specsOf(names: readonly string[]): TaskSpec[] {
  const specs = new Map<string, TaskSpec>();
  for (const name of names.flatMap((each) => each.split(',')).filter((each) => each !== '')) {
    if (isTaskFile(name)) {
      const spec = readTaskFile(name);
      specs.set(spec.task, spec);
    } else for (const task of tasksNamed(name)) specs.set(task, builtInTasks.get(task)!);
  }
  return [...specs.values()];
}

export async function evaluateTasks(options: TaskOptions, io: Io): Promise<void> {
  const specs = specsOf(options.tasks);
  const rules = options.rules === 'both' ? ruleSets : [options.rules];
  const asked = specs.filter((spec) => rules.some((rule) => underRules(spec, rule) !== null));
  for (const { task } of specs.filter((spec) => !asked.includes(spec)))
    throw new UsageError([
      `${task}: the papers do not report it, so that it has no --rules paper; take harness or both`,
    ]);
  if (asked.length === 0) throw new UsageError(['--tasks names no task; cria eval --list shows them']);
  const before = options.against === undefined ? [] : readSamples(options.against);
  const loaded = await loadAll(asked, rules, options, io);
  const runner = openRunner(asked, options, io);
  const model = await loadModel(options, io);
  try {
    const outcome = await runAll(model, loaded, rules, options, before, runner, io);
    await tell(outcome, model, options, io);
  } finally {
    await model.close();
  }
}

/** All data is there before the first item is asked. */
async function loadAll(
  specs: readonly TaskSpec[],
  rules: readonly RuleSet[],
  options: TaskOptions,
  io: Io,
): Promise<Loaded[]> {
  const places = parsePlaces(options.data);
  const progress = startProgress(io, { what: 'data', total: 1, json: false, amount: () => '' });
  const hub = {
    signal: io.signal,
    offline: options.offline,
    env: io.env,
    onProgress: (done: number, total: number) => progress.update(total ? done / total : 0),
  };
  const loaded: Loaded[] = [];
  try {
    for (const spec of specs) {
      const most = Math.max(...rules.map((rule) => options.shots ?? underRules(spec, rule)?.num_fewshot ?? 0));
      const data = await loadTaskData(spec, places, { hub, limit: options.limit, withPool: most > 0 });
      for (const line of data.refused.slice(0, 3)) writeLine(io.stderr, `cria: ${spec.task}: ${line}, left out`);
      if (data.refused.length > 3)
        writeLine(io.stderr, `cria: ${spec.task}: ${data.refused.length - 3} more rows left out`);
      loaded.push({ ...data, spec });
    }
  } finally {
    progress.end();
  }
  return loaded;
}

const runsPrograms = (spec: TaskSpec) =>
  spec.metric_list.some(({ metric }) => (metrics[metric] as Metric).needs === 'programs');

function openRunner(specs: readonly TaskSpec[], options: TaskOptions, io: Io): ProgramRunner | null {
  const [first] = specs.filter(runsPrograms);
  if (!first) return null;
  if (!options.execute) {
    throw new UsageError([
      `${first.task} is judged by running the programs that the model writes, expected --execute, which allows it`,
    ]);
  }
  const runner = createProgramRunner();
  writeLine(io.stderr, `cria: programs are run by ${runner.description}`);
  return runner;
}

interface Outcome {
  readonly results: readonly TaskResult[];
  readonly differences: readonly Difference[];
  readonly shown: readonly string[];
  readonly why: readonly string[];
  readonly files: readonly (readonly [string, string])[];
  readonly seconds: number;
}

async function runAll(
  model: Llama,
  loaded: readonly Loaded[],
  rules: readonly RuleSet[],
  options: TaskOptions,
  before: readonly StoredSamples[],
  runner: ProgramRunner | null,
  io: Io,
): Promise<Outcome> {
  const view = evaluatedModel(model, { signal: io.signal, chat: options.chat });
  const total = loaded.reduce((sum, { docs }) => sum + docs.length, 0);
  const progress = startProgress(io, { what: 'eval', total, json: options.json });
  const started = performance.now();
  const results: TaskResult[] = [];
  const differences: Difference[] = [];
  const shown: string[] = [];
  const why: string[] = [];
  let done = 0;
  try {
    for (const task of loaded) {
      const found = await evaluateTask(view, options.chat ? inChat(task) : task, {
        rules,
        shots: options.shots,
        lanes: options.lanes,
        run: runner?.run,
        signal: io.signal,
        onItem: () => progress.update(++done, task.spec.task),
      });
      for (const result of found) {
        if (options.output !== undefined) writeSamples(options.output, result);
        for (const old of before.filter(({ task: name, rules: of }) => name === result.task && of === result.rules)) {
          differences.push(...compareSamples(result.task, result.rules, old.samples, samplesOf(result, hash)));
        }
        shown.push(...result.items.slice(0, options.show).map((item) => showItem(result, item)));
      }
      const [harness, paper] = found;
      if (harness && paper && options.why > 0) why.push(...differingItems(harness, paper).slice(0, options.why));
      results.push(...found.map((result) => ({ ...result, items: [] })));
    }
  } finally {
    progress.end();
  }
  const files = loaded.map(({ spec, files: read }): [string, string] => [spec.task, read.join(', ')]);
  return { results, differences, shown, why, files, seconds: (performance.now() - started) / 1000 };
}

/** After a template's line break the answer begins without a space, as in the harness. */
function inChat(task: Loaded): Loaded {
  return task.spec.output_type === 'multiple_choice' ? { ...task, spec: { ...task.spec, target_delimiter: '' } } : task;
}

async function tell(outcome: Outcome, model: Llama, options: TaskOptions, io: Io): Promise<void> {
  const { results, differences, shown, why, files, seconds } = outcome;
  const parts: GroupResult[] = groupResults(results);
  const tables = scoreTables(results, parts, model.facts.parameterCount);
  const remarks = remarksOf(results);
  const about = {
    model_name: resolveModel(options.model),
    chat: options.chat,
    limit: options.limit ?? null,
    total_evaluation_time_seconds: seconds,
    data_files: Object.fromEntries(files),
  };
  const summary = summaryOf(results, parts, about);
  if (options.output !== undefined) {
    writeText(options.output, 'results.json', `${JSON.stringify(summary, null, 2)}\n`);
    const facts = [
      ['model', resolveModel(options.model)],
      ['items', options.limit === undefined ? 'all' : `the first ${options.limit} of each task`],
      ['prompts', options.chat ? "in the model's chat template" : 'as plain text'],
    ] as const;
    const page = {
      title: `Evaluation of ${model.facts.name}`,
      facts,
      files,
      tables,
      remarks,
      differences,
      results,
      shown: [...shown, ...why],
    };
    writeText(options.output, 'report.html', reportHtml(page));
  }
  if (options.json) {
    writeJson(io.stdout, {
      ...summary,
      remarks,
      differences,
      ...(shown.length > 0 && { shown }),
      ...(why.length > 0 && { why }),
    });
    return;
  }
  for (const text of [...shown, ...why]) writeLine(io.stdout, `${text}\n`);
  for (const { title, head, rows, right } of tables) {
    writeLine(io.stdout, title);
    writeLine(io.stdout, `${alignColumns([head, ...rows], right)}\n`);
  }
  if (options.against !== undefined) tellDifferences(differences, options.against, io);
  for (const remark of remarks) writeLine(io.stdout, remark);
  if (options.output !== undefined)
    writeLine(io.stderr, `cria: results in ${join(options.output, 'report.html')} and beside it`);
}

function tellDifferences(differences: readonly Difference[], path: string, io: Io): void {
  writeLine(io.stdout, `Against ${path}`);
  if (differences.length === 0) {
    writeLine(io.stdout, 'no item that both runs have, under the same rules and filters\n');
    return;
  }
  writeLine(io.stdout, `${alignColumns([differenceHead, ...differences.map(differenceRow)], [3, 4, 5, 6, 8, 9])}\n`);
}
