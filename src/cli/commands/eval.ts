import { UsageError } from '../../base/errors.ts';
import { choiceRules } from '../../evaluation/multiple-choice.ts';
import { DATA_FOLDER } from '../../platform/node/evaluation/data.ts';
import { defineCommand } from '../command.ts';
import { evaluatePrepared } from '../evaluation/prepared.ts';
import { evaluateTasks, listTasks } from '../evaluation/tasks.ts';
import { modelOptions } from '../model-options.ts';

export const command = defineCommand({
  options: {
    ...modelOptions,
    tasks: {
      kind: 'texts',
      value: 'NAME,…',
      help: 'benchmarks, groups of them (mmlu), sets (commonsense), or a .yaml or .json file with a task of your own',
    },
    list: { kind: 'flag', help: 'show the tasks, and ask nothing' },
    rules: {
      kind: 'choice',
      values: ['both', 'harness', 'paper'],
      default: 'both',
      help: 'prompts and scores as the lm-evaluation-harness has them, as the papers do, or both, computed once',
    },
    shots: {
      kind: 'integer',
      min: 0,
      max: 1000,
      otherwise: 'as the rules say',
      help: 'worked examples before each question',
    },
    data: {
      kind: 'texts',
      value: 'PLACE',
      otherwise: `the folder ${DATA_FOLDER}`,
      help: 'where the tasks’ data is: a folder, TASK=FILE, TASK:SPLIT=FILE, TASK=hf:owner/name, or hf: for each task’s data set on the hub',
    },
    limit: { kind: 'integer', min: 1, otherwise: 'all', help: 'ask this many items only, from the first of each task' },
    show: {
      kind: 'integer',
      min: 0,
      default: 0,
      help: 'show this many items of each task in full: prompt, answers, extraction, verdict',
    },
    why: {
      kind: 'integer',
      min: 0,
      default: 0,
      help: 'show this many items of each task that the two rule sets judge differently, and why',
    },
    output: {
      kind: 'text',
      short: 'o',
      value: 'FOLDER',
      otherwise: 'nothing is written',
      help: "write results.json, samples_TASK.jsonl in the harness's format, and report.html there",
    },
    against: {
      kind: 'text',
      value: 'RESULTS',
      otherwise: 'nothing is compared',
      help: 'a folder of --output, or of the harness: the paired difference of each score, with its interval of 95 %',
    },
    chat: { kind: 'flag', help: "put each question into the model's chat template, as a user's message" },
    execute: {
      kind: 'flag',
      help: 'allow the programs that the model writes to be run, for HumanEval and MBPP: by pyodide where it is installed, else by the Python of this system, apart and with limits',
    },
    lanes: {
      kind: 'integer',
      min: 1,
      max: 1024,
      default: 8,
      help: 'items that are asked at a time; no score depends on it',
    },
    file: {
      kind: 'text',
      short: 'f',
      value: 'PATH',
      otherwise: '--tasks say what is asked',
      help: 'instead of tasks, prepared items as JSON lines, plain or .gz: { query, choices, gold } each, or HellaSwag, PIQA, or requests as OLMo publishes them',
    },
    labels: {
      kind: 'text',
      value: 'PATH',
      otherwise: 'the items say',
      help: 'with FILE: one right answer per line, as with PIQA',
    },
    unconditional: {
      kind: 'text',
      default: 'Answer:',
      help: 'with FILE: what answers are put after for acc_uncond, where the file does not say; "": leave that rule out',
    },
    truncate: {
      kind: 'flag',
      help: 'with FILE: drop the beginning of items that are longer than the context, as the harness does; otherwise they are an error',
    },
    scores: {
      kind: 'text',
      value: 'PATH',
      otherwise: 'none',
      help: "with FILE: write every item's scores there, as JSON lines",
    },
    json: { kind: 'flag', help: 'one JSON object; progress as JSON lines on stderr' },
  },
  positionals: ['model', 'file'],
  placeWords: (words, free) => (words.length === 1 && free.includes('file') ? ['file'] : free),
  details:
    'Benchmarks by name, each under two rule sets: those of the lm-evaluation-harness to the letter, and those that the LLaMA papers state. ' +
    'docs/evaluation.md has the tasks, the rules, and how to write a task of your own. ' +
    `Data is looked for in the folder ${DATA_FOLDER}, as TASK/SPLIT.jsonl (.json, .parquet, .csv), under the names and layouts in which it is published.\n` +
    'Items longer than the context lose their beginning, as in the harness, and are counted.\n' +
    '\nWith FILE: multiple choice by likelihood of prepared items, where rules pick one answer each:\n' +
    Object.entries(choiceRules)
      .map(([name, { help }]) => `  ${name.padEnd(14)}${help}`)
      .join('\n') +
    '\nFew-shot examples, if any, are part of the questions in the file.',
  examples: [
    [
      'eval -m model.gguf --tasks arc_easy,hellaswag,gsm8k --limit 50',
      'two tables: the harness’s rules and the papers’',
    ],
    [
      'eval -m model.gguf --tasks mmlu --shots 5 --data hf: -o results',
      '57 subjects from the hub, with every item kept',
    ],
    [
      'eval -m model.gguf --tasks mine.yaml --data mine=items.jsonl --show 3',
      'a task of your own, three items in full',
    ],
    ['eval -m tuned.gguf --tasks gsm8k --against results', 'what tuning changed, item by item'],
    ['eval -m model.gguf hellaswag_val.jsonl', 'prepared items, accuracy by every rule'],
  ],
  async run(options, io) {
    if (options.list) {
      listTasks(io);
      return;
    }
    const { file, tasks } = options;
    if (file !== undefined && tasks.length > 0) {
      throw new UsageError([`both --tasks and the file ${file} are given, expected one of them`]);
    }
    if (file !== undefined) return evaluatePrepared({ ...options, file }, io);
    const ofFile = [
      ...(['labels', 'scores'] as const).filter((key) => options[key] !== undefined),
      ...(['truncate'] as const).filter((key) => options[key]),
    ];
    if (ofFile.length > 0)
      throw new UsageError([`--${ofFile.join(', --')}: expected a FILE of prepared items with it`]);
    if (tasks.length === 0) {
      throw new UsageError(['expected --tasks NAME,… or a FILE of prepared items; cria eval --list shows the tasks']);
    }
    await evaluateTasks(options, io);
  },
});
