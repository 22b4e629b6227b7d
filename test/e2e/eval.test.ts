/** `cria eval --tasks` as a user types it, with the bundled model. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { COMMIT, startHub } from '../support/hub.ts';
import { tinyFolder } from '../support/server.ts';
import { cria } from './cria.ts';

const folder = mkdtempSync(join(tmpdir(), 'cria-eval-'));
const at = (name: string) => join(folder, name);
after(() => rmSync(folder, { recursive: true }));

async function ok(words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await cria(words);
  assert.equal(code, 0, stderr);
  return stdout;
}
const lines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

describe('cria eval --tasks', () => {
  before(() => {
    mkdirSync(at('data/arc_easy'), { recursive: true });
    mkdirSync(at('data/gsm8k'));
    const arc = (question: string, text: readonly string[], answerKey: string) => ({
      question,
      choices: { text, label: ['A', 'B'] },
      answerKey,
    });
    const questions = [
      arc('What do birds do with their wings?', ['fly', 'read books'], 'A'),
      arc('What is snow?', ['a warm stone', 'frozen water'], 'B'),
      arc('Who lives in a hive?', ['bees', 'whales'], 'A'),
    ];
    writeFileSync(at('data/arc_easy/test.jsonl'), lines(questions));
    writeFileSync(at('data/arc_easy/train.jsonl'), lines([arc('What is a cat?', ['a plant', 'an animal'], 'B')]));
    const sum = (n: number) => ({ question: `What is ${n} and 1?`, answer: `It is ${n + 1}.\n#### ${n + 1}` });
    writeFileSync(at('data/gsm8k/test.jsonl'), lines([sum(1), sum(2)]));
    writeFileSync(at('data/gsm8k/train.jsonl'), lines([3, 4, 5, 6].map(sum)));
  });

  test('two tables, the harness’s samples, a report; and a run against it', async () => {
    const words = ['eval', '--tasks', 'arc_easy,gsm8k', '--data', at('data'), '--shots', '1'];
    const said = await ok([...words, '--limit', '2', '-o', at('out'), '--show', '1', '--why', '1']);
    assert.match(
      said,
      /Rules of the lm-evaluation-harness\n[\s\S]*arc_easy +1 +2 +acc [\s\S]*strict-match[\s\S]*flexible-extract/,
    );
    assert.match(said, /Rules of the papers\n[\s\S]*acc_characters/);
    assert.match(said, /── arc_easy, item 0, rules of the harness\n/);
    const samples = readFileSync(at('out/samples_gsm8k.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.equal(samples.length, 4); // two items, two filters
    assert.match(
      samples[0].arguments.gen_args_0.arg_0,
      /^Question: What is \d and 1\?\nAnswer: It is \d\.\n#### \d\n\nQuestion: What is 1 and 1\?\nAnswer:$/,
    );
    assert.ok(existsSync(at('out/samples_arc_easy.paper.jsonl')));
    const report = readFileSync(at('out/report.html'), 'utf8');
    assert.match(report, /<h2>Rules of the papers<\/h2>/);
    assert.doesNotMatch(report, /<script/);
    const again = JSON.parse(await ok([...words, '--against', at('out'), '--json', '--lanes', '1', '-t', '2'])) as {
      results: Record<string, Record<string, number>>;
      differences: { task: string; items: number; others: number; difference: number }[];
    };
    for (const { task, items, difference, others } of again.differences) {
      assert.deepEqual([items, difference], [2, 0], task); // the same bits, whatever runs beside them
      assert.equal(others, task === 'arc_easy' ? 1 : 0);
    }
    assert.ok(again.differences.length >= 4);
    assert.equal(typeof again.results.arc_easy!['acc_norm,none'], 'number');
  });

  test('a task of one’s own, in YAML; its typos are all said', async () => {
    const yaml =
      'task: mine\noutput_type: multiple_choice\ndoc_to_text: "{{q}}"\ndoc_to_choice: [" no", " yes"]\ndoc_to_target: a\n' +
      'target_delimiter: ""\nmetric_list:\n  - metric: acc\n  - metric: acc_norm\n';
    writeFileSync(at('mine.yaml'), yaml);
    writeFileSync(
      at('mine.jsonl'),
      lines([
        { q: 'Is it so?', a: 1 },
        { q: 'Was it?', a: 7 },
      ]),
    );
    const said = await ok(['eval', '--tasks', at('mine.yaml'), '--data', `mine=${at('mine.jsonl')}`]);
    assert.match(said, /mine +0 +2 +acc /);
    assert.match(said, /mine \(harness\): 1 of 2 items have a right answer that is none of the choices/);
    writeFileSync(at('typo.yaml'), yaml.replace('doc_to_text', 'doc_to_txt'));
    const typo = await cria(['eval', '--tasks', at('typo.yaml'), '--data', `mine=${at('mine.jsonl')}`]);
    assert.equal(typo.code, 1);
    assert.match(typo.stderr, /doc_to_txt is not known \(did you mean doc_to_text\?\)[\s\S]*doc_to_text is required/);
  });

  test('a data set of the hub: pinned to its commit, cached, and there without the network', async () => {
    const file = (path: string, from: string) => ({ path, bytes: readFileSync(at(from)) });
    const hub = await startHub(
      'allenai/ai2_arc',
      [
        file('ARC-Easy/test-00000-of-00001.jsonl', 'data/arc_easy/test.jsonl'),
        file('ARC-Easy/train-00000-of-00001.jsonl', 'data/arc_easy/train.jsonl'),
        file('ARC-Challenge/test-00000-of-00001.jsonl', 'data/arc_easy/train.jsonl'),
      ],
      'dataset',
    );
    const env = { HF_ENDPOINT: hub.url, HF_HOME: at('hub') };
    const words = ['eval', '--tasks', 'arc_easy', '--shots', '1', '--json'];
    const run = async (...more: string[]) => {
      const { code, stdout, stderr } = await cria([...words, ...more], { env });
      return code === 0 ? JSON.parse(stdout) : assert.fail(stderr);
    };
    try {
      const first = await run('--data', 'hf:');
      assert.match(first.data_files.arc_easy, new RegExp(`${COMMIT}.ARC-Easy.test-.*${COMMIT}.ARC-Easy.train-`));
      assert.ok(hub.requests.some((path) => path.endsWith('ARC-Easy/test-00000-of-00001.jsonl')));
      assert.ok(!hub.requests.some((path) => path.includes('ARC-Challenge/')));
      const asked = hub.requests.length;
      assert.deepEqual((await run('--data', 'hf:')).results, first.results);
      assert.equal(hub.requests.length, asked, 'the second time the hub is not asked');
      await run('--data', `arc_easy=hf:allenai/ai2_arc@${COMMIT}`);
      const unknown = await cria([...words, '--data', 'arc_easy=hf:allenai/ai2_arc@gone'], { env });
      assert.match(unknown.stderr, /allenai\/ai2_arc@gone[\s\S]*Check its name and revision/);
    } finally {
      hub.close();
    }
    assert.equal((await run('--data', 'hf:', '--offline')).results.arc_easy['acc,none'] >= 0, true);
    const challenge = ['eval', '--tasks', 'arc_challenge', '--data', 'hf:', '--offline'];
    assert.match(
      (await cria(challenge, { env })).stderr,
      /allenai\/ai2_arc: expected files with the rows of test in ARC-Challenge/,
    );
  });

  test('what cannot be asked is said before a model is loaded', async () => {
    for (const [words, problem] of [
      [['--tasks', 'arc_eassy'], /Did you mean arc_easy/],
      [['--tasks', 'hellaswag', '--data', at('data')], /hellaswag: expected its validation split as/],
      [['--tasks', 'humaneval', '--data', at('data')], /humaneval: expected its test split as/],
      [['--tasks', 'truthfulqa_mc1', '--rules', 'paper'], /truthfulqa_mc1: the papers do not report it/],
      [[], /expected --tasks NAME,… or a FILE/],
      [['--tasks', 'arc_easy', '--truncate'], /--truncate: expected a FILE/],
    ] as const) {
      const { code, stderr } = await cria(['eval', ...words]);
      assert.notEqual(code, 0);
      assert.match(stderr, problem);
    }
    writeFileSync(at('humaneval.jsonl'), lines([{ prompt: 'p', test: 't', entry_point: 'e' }]));
    const refused = await cria(['eval', '--tasks', 'humaneval', '--data', `humaneval=${at('humaneval.jsonl')}`]);
    assert.match(refused.stderr, /expected --execute, which allows it/);
    assert.match(await ok(['eval', '--list']), /gsm8k_cot_self_consistency[\s\S]*commonsense: boolq/);
  });

  test('a conversation begins once, and its question is a user’s message', async () => {
    const words = ['eval', '--tasks', 'arc_easy', '--data', at('data'), '--limit', '1', '--chat', '--json'];
    assert.match(await ok([...words, '-m', 'bundled']), /arc_easy/); // it has a template
    const without = await cria([...words, '-m', tinyFolder]);
    assert.equal(without.code, 1);
    assert.match(without.stderr, /expected a chat template in the model's files, found none/);
  });
});
