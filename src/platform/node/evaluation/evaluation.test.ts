import { deepStrictEqual, match, ok, rejects, strictEqual, throws } from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { goldenPath } from '../../../../test/support/golden.ts';
import { builtInTasks } from '../../../evaluation/tasks/table.ts';
import type { PullOptions } from '../../hub/pull.ts';
import { Llama } from '../index.ts';
import { loadTaskData, parsePlaces } from './data.ts';
import { evaluatedModel } from './evaluated-model.ts';
import { createPyodideRunner } from './pyodide.ts';
import { createPythonRunner } from './python.ts';
import { readSamples } from './results.ts';
import { readTaskFile } from './task-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'cria-eval-data-'));
after(() => rmSync(folder, { recursive: true }));
const put = (name: string, text: string) => {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  return path;
};
const hub: PullOptions = { signal: new AbortController().signal, offline: true, env: {}, onProgress() {} };
const lines = (...rows: object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
const load = (task: string, given: readonly string[] = [folder], withPool = false) =>
  loadTaskData(builtInTasks.get(task)!, parsePlaces(given), { hub, limit: 2, withPool });

test('data is found by task, data set, split and the published names', async () => {
  put(
    'gsm8k/test.jsonl',
    lines(
      { question: 'q', answer: '#### 1' },
      { question: 'r', answer: '#### 2' },
      { question: 's', answer: '#### 3' },
    ),
  );
  put('gsm8k/train_first500.jsonl', lines({ question: 't', answer: '#### 4' }));
  put('piqa/valid.jsonl', lines({ goal: 'g', sol1: 'a', sol2: 'b' }));
  put('piqa/valid-labels.lst', '1\n');
  put('mmlu/test/anatomy_test.csv', '"What, then?",1,2,3,4,C\n');
  put(
    'TruthfulQA.csv',
    'Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\nA,B,Q?,Yes,Yes; Aye,No; Never,x\n',
  );
  put('NQ-open.dev.jsonl', lines({ question: 'q', answer: ['a'] }));
  const gsm = await load('gsm8k', [folder], true);
  deepStrictEqual([gsm.docs.length, gsm.pool.length], [2, 1]);
  deepStrictEqual((await load('piqa')).docs, [{ goal: 'g', sol1: 'a', sol2: 'b', label: 1 }]);
  deepStrictEqual((await load('mmlu_anatomy')).docs, [
    { question: 'What, then?', subject: 'anatomy', choices: ['1', '2', '3', '4'], answer: 2 },
  ]);
  const [truth] = (await load('truthfulqa_mc2')).docs;
  deepStrictEqual(truth!.mc2_targets, { choices: ['Yes', 'Aye', 'No', 'Never'], labels: [1, 1, 0, 0] });
  strictEqual((await load('nq_open')).docs.length, 1);
  const named = put('other/somewhere.jsonl', lines({ question: 'mine', answer: '#### 9' }));
  strictEqual((await load('gsm8k', [folder, `gsm8k=${named}`])).docs[0]!.question, 'mine');
});

test('an answer is spelled as the harness decodes it: by itself after "A:", and with its indentation after a line break', async () => {
  await using model = await Llama.load(goldenPath('formats/gguf-llama-mixed/model.gguf'), {
    device: 'wasm',
    threads: 1,
  });
  const { encodeContext, generate } = evaluatedModel(model, { signal: new AbortController().signal, chat: false });
  const seen = { 'A:': new Set<boolean>(), 'A:\n': new Set<boolean>() };
  for (const [context, kinds] of Object.entries(seen)) {
    const ids = encodeContext(context);
    for (let seed = 0; seed < 30; seed++) {
      const sampling = { maxTokens: 3, temperature: 2, topP: 1, seed, stop: [] };
      const text = await model.generate(ids, { ...sampling, topK: 0, minP: 0 }).text();
      strictEqual(await generate(ids, sampling), context === 'A:' ? text.replace(/^ /, '') : text);
      kinds.add(text.startsWith(' '));
    }
  }
  deepStrictEqual([seen['A:'].size, seen['A:\n'].size], [2, 2], 'answers with a leading space and without');
});

test('examples that are a file beside the data', async () => {
  put('BIG-Bench-Hard/bbh/navigate.json', JSON.stringify({ canary: 'c', examples: [{ input: 'i', target: 'Yes' }] }));
  const steps = "\nA: Let's think step by step.\nSo the answer is No.";
  deepStrictEqual((await load('bbh_fewshot_navigate')).docs, [{ input: 'i', target: 'Yes' }]);
  await rejects(load('bbh_fewshot_navigate', [folder], true), {
    code: 'eval.data',
    message: /expected its examples as .*cot-prompts[\\/]navigate\.txt.*bbh_fewshot_navigate:examples=FILE/,
  });
  put('BIG-Bench-Hard/cot-prompts/navigate.txt', `note\n-----\nD.\n\nQ: a${steps}\n\nQ: b${steps}\n`);
  const { pool } = await load('bbh_fewshot_navigate', [folder], true);
  deepStrictEqual(
    pool.map(({ input, target }) => [input, target]),
    [
      ['a', 'No'],
      ['b', 'No'],
    ],
  );
});

test('what is missing says where it belongs; rows that cannot be read are told', async () => {
  await rejects(load('hellaswag'), {
    code: 'eval.data',
    message:
      /hellaswag: expected its validation split as .*hellaswag[\\/]validation\.jsonl.*--data hellaswag:validation=FILE.*Rowan\/hellaswag/,
  });
  await rejects(load('gsm8k', [`gsm8k=${join(folder, 'nothing.jsonl')}`]), {
    code: 'eval.data',
    message: /no such file/,
  });
  throws(() => parsePlaces(['nowhere']), { code: 'eval.data', message: /there is no such folder/ });
  put('boolq/validation.jsonl', '{"passage": "p", "question": "q", "label": 1}\n{broken\n');
  const { docs, refused } = await load('boolq');
  strictEqual(docs.length, 1);
  match(refused[0]!, /line 2/);
});

test('a task file that is wrong', () => {
  const path = put('wrong.yaml', 'task: x\ndoc_to_text: !function utils.text\n');
  throws(() => readTaskFile(path), { code: 'eval.task', message: /!function names a program/ });
  throws(() => readTaskFile(put('broken.json', '{')), { code: 'eval.task', message: /broken\.json/ });
  throws(() => readTaskFile(put('broken.yaml', 'a: [1')), { code: 'eval.task', message: /broken\.yaml/ });
});

test('results of the harness are read too', () => {
  const sample = { doc_hash: 'h', target_hash: 't', filter: 'none', metrics: ['acc'], acc: 1 };
  put('results/model/samples_arc_easy_2026-01-02T03-04-05.678.jsonl', lines(sample));
  put('results/samples_boolq.paper.jsonl', lines(sample));
  deepStrictEqual(
    readSamples(join(folder, 'results')).map(({ task, rules, samples }) => [task, rules, samples.length]),
    [
      ['arc_easy', 'harness', 1],
      ['boolq', 'paper', 1],
    ],
  );
  throws(() => readSamples(join(folder, 'gsm8k')), { code: 'eval.samples', message: /no file samples_TASK\.jsonl/ });
  throws(() => readSamples(put('x.jsonl', '{}\n')), { code: 'eval.samples', message: /line 1/ });
});

const python = createPythonRunner({ seconds: 1 });
test('programs of a model run apart, and what they may not do fails', {
  skip: python ? false : 'no Python on this machine',
}, async () => {
  const secret = put('secret.txt', 'x');
  const passes = ['import math, re, heapq, collections\nassert math.pi > 3', 'print("é")'];
  const fails = [
    'assert False',
    'retrun 1',
    'import sys; sys.exit(0)',
    'import os; os._exit(0)',
    'while True: pass',
    `open(${JSON.stringify(secret)})`,
    'open("x", "w")',
    'import os; os.listdir("/")',
    'import socket; socket.socket()',
    'import subprocess; subprocess.run(["true"])',
    'import ctypes; ctypes.CDLL(None)',
    'x = bytearray(4 * 2**30)',
  ];
  const results = await python!.run([...passes, ...fails]);
  deepStrictEqual(
    [...passes, ...fails].filter((_, i) => results[i]),
    passes,
  );
  ok(/Python 3\.\d+ in a process of its own/.test(python!.description));
});

const pyodide = createPyodideRunner({ seconds: 1 });
test('programs run in pyodide where it is installed: no way to JavaScript, and nothing stays of the one before', {
  skip: pyodide ? false : 'pyodide is not installed',
}, async () => {
  const programs = [
    ['import math, heapq\nassert math.pi > 3', true],
    ['import builtins\nbuiltins.len = None', true],
    ['assert len([1]) == 1', true],
    ['assert False', false],
    ['import js', false],
    ['from pyodide.code import run_js', false],
    ['open("/etc/passwd")', false],
    ['x = bytearray(3 * 10**9)', false],
    ['while True: pass', false],
    ['assert True', true],
  ] as const;
  const found: boolean[] = [];
  for (const [program] of programs) found.push(...(await pyodide!.run([program])));
  deepStrictEqual(
    found,
    programs.map(([, passes]) => passes),
  );
});
