/** From pages and the data of `cria eval` to a corpus without its questions. */
import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseRecipe } from '../../../corpus/recipe/recipe.ts';
import { buildCorpus } from './build.ts';

const folder = mkdtempSync(join(tmpdir(), 'decontaminate-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const question =
  'Maria sells seven baskets of apples on each of five market days and gives away three of them. How many baskets has she sold?';
mkdirSync(join(folder, 'evaluation', 'gsm8k'), { recursive: true });
writeFileSync(
  join(folder, 'evaluation', 'gsm8k', 'test.jsonl'),
  JSON.stringify({ question, answer: '7 * 5 = 35\n#### 35' }),
);
const pages = [
  `Homework help. ${question.toUpperCase().replaceAll('.', ' -')} Please answer soon!`,
  'Another page about apples and baskets, on which nobody is asked for anything at all, however long it goes on and on.',
  'My own quiz: which of the rivers of this country has the most bridges between its spring and the sea, counted last year?',
];
writeFileSync(join(folder, 'pages.jsonl'), pages.map((text) => JSON.stringify({ text })).join('\n'));
writeFileSync(join(folder, 'quiz.txt'), pages[2]!.slice(13));

const recipe = (sets: Record<string, unknown>) =>
  parseRecipe(
    {
      name: 'x',
      input: folder,
      output: join(folder, 'out'),
      models: { benchmarks: { 'evaluation-sets': sets } },
      sources: {
        web: { reader: 'jsonl', files: ['pages.jsonl'], stages: [{ decontaminate: { model: 'benchmarks' } }] },
      },
    },
    'x.yaml',
  );

test('pages that hold a question of a task of cria eval, or a text of one’s own, are dropped and named', async () => {
  const texts = { quiz: { reader: 'text', files: ['quiz.txt'] } };
  const { audit } = await buildCorpus(recipe({ tasks: ['gsm8k'], data: ['evaluation'], texts }), { workers: 0 });
  const { reasons, out } = audit.sources.web!.audit.stages.decontaminate!;
  deepStrictEqual(Object.keys(reasons).sort(), ['text of gsm8k', 'text of quiz']);
  strictEqual(out.documents, 1);
});

test('a task that there is not, and data that are not there, are said', async () => {
  await rejects(buildCorpus(recipe({ tasks: ['gsm9k'], data: ['evaluation'] }), { workers: 0 }), {
    code: 'eval.task-name',
  });
  await rejects(buildCorpus(recipe({ tasks: ['gsm8k'], data: ['nothing'] }), { workers: 0 }), {
    code: 'recipe.no-files',
  });
});
