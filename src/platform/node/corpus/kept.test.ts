/** What costs something is done once: later passes begin with the documents that an earlier one kept. */
import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DEAD_PROCESS, newOutput, plantClaim, root } from '../../../../test/support/small-corpus.ts';
import { parseRecipe } from '../../../corpus/recipe/recipe.ts';
import { buildCorpus } from './build.ts';
import { findDrops } from './inspect.ts';

const words =
  'the ship sailed past a quiet harbour while children watched from high walls and nobody spoke of storms'.split(' ');
const sentence = (n: number) =>
  `${Array.from({ length: 12 }, (_, i) => words[(n * 7 + i * (n + 3)) % words.length]).join(' ')} ${n}.`;
const page = (n: number) => Array.from({ length: 8 }, (_, i) => sentence(n * 8 + i)).join('\n');

const folder = join(root, 'kept-input');
const files = ['a.jsonl', 'b.jsonl'].map((name) => join(folder, name));

function writeInput(): void {
  mkdirSync(folder, { recursive: true });
  for (const [i, path] of files.entries()) {
    const pages = Array.from({ length: 20 }, (_, k) => i * 15 + k);
    const lines = pages.map((n) => JSON.stringify({ text: `${page(n)}\nno end mark`, url: `http://x/${i}/${n % 19}` }));
    writeFileSync(path, `${lines.join('\n')}\n{"text": broken\n{"text": "Too short."}\n`);
    utimesSync(path, 1e9, 1e9);
  }
}

const recipe = (output: string) =>
  parseRecipe(
    {
      name: 'kept',
      input: folder,
      output,
      unitBytes: 1,
      sources: {
        web: { reader: 'jsonl', files: ['*.jsonl'], stages: ['c4', 'dedup-urls', 'dedup-minhash', 'personal-data'] },
      },
    },
    'kept.yaml',
  );

test('the input is read once: what a later pass makes does not need it', async () => {
  writeInput();
  const whole = newOutput();
  const { audit } = await buildCorpus(recipe(whole), { workers: 0 });
  const { stages, problems } = audit.sources.web!.audit;
  deepStrictEqual(Object.keys(stages), ['c4', 'dedup-urls', 'dedup-minhash', 'personal-data']);
  strictEqual(stages.c4!.in.documents, 42);
  strictEqual(
    problems.reduce((sum, { count }) => sum + count, 0),
    2,
    'each broken line once',
  );
  const [seen, kept] = [stages['dedup-urls']!, stages['dedup-minhash']!];
  ok(seen.out.documents < seen.in.documents && kept.out.documents < kept.in.documents);
  const drops = [];
  for await (const drop of findDrops(whole, { document: '', source: undefined, stage: 'c4', reason: undefined }))
    drops.push(drop);
  strictEqual(drops.filter(({ lines }) => lines === undefined).length, 2, 'the log of the first pass is found');
  ok(existsSync(join(whole, 'work/collect-1/web-00000/kept.jsonl.zst')));
  ok(!existsSync(join(whole, 'work/collect-2/web-00000/kept.jsonl.zst')), 'what is cheap to do again is not kept');

  const stopped = newOutput();
  const stop = new AbortController();
  const onEvent = ({ kind, phase }: { kind: string; phase: string }) => {
    if (kind === 'phase' && phase === 'merge 1') stop.abort();
  };
  await rejects(buildCorpus(recipe(stopped), { workers: 0, onEvent, signal: stop.signal }));
  for (const path of files) {
    const { size } = statSync(path);
    writeFileSync(path, Buffer.alloc(size));
    utimesSync(path, 1e9, 1e9);
  }
  await buildCorpus(recipe(stopped), { workers: 0 });
  const made = (output: string) =>
    ['audit.json', 'report.html', 'work/process/web-00000/documents.jsonl.zst'].map((name) =>
      readFileSync(join(output, name), 'latin1'),
    );
  deepStrictEqual(made(stopped), made(whole));
});

test('a unit given up in the first pass is empty in all that follow, and reported once', async () => {
  writeInput();
  const output = newOutput();
  plantClaim(output, 'collect-1/web-00000', DEAD_PROCESS, { deaths: 3 });
  const { audit } = await buildCorpus(recipe(output), { workers: 0 });
  const { stages, problems } = audit.sources.web!.audit;
  strictEqual(stages.c4!.in.documents, 21);
  deepStrictEqual(
    problems.filter(({ kind }) => kind === 'given-up').map(({ count }) => count),
    [1],
  );
});
