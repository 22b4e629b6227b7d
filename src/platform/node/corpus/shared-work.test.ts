/** Several processes over one work folder, and what becomes of those that die, hang or disagree. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict';
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  DEAD_PROCESS,
  input,
  newOutput,
  plantClaim,
  recipe,
  reference,
  results,
  root,
} from '../../../../test/support/small-corpus.ts';
import { createEnvironment } from '../../../corpus/pipeline/environment.ts';
import type { Workforce } from '../../../corpus/pipeline/host.ts';
import { executeTask } from '../../../corpus/pipeline/kinds/execute.ts';
import { runCorpus } from '../../../corpus/pipeline/run.ts';
import { parseRecipe } from '../../../corpus/recipe/recipe.ts';
import { buildCorpus } from './build.ts';
import { FileClaims, thisProcess } from './claims.ts';
import { createCorpusHost, createPublisher } from './host.ts';

const fastPublisher = (output: string) => ({
  ...createPublisher(output),
  sleep: () => new Promise<void>((done) => setTimeout(done, 5)),
});

test('processes over one folder share the units and make the same bytes, each unit once', async () => {
  const output = newOutput();
  const wanted = recipe(output);
  const part = (number: number) => {
    const claims = { leaseSeconds: 60, holder: { owner: `p${number}`, host: hostname(), pid: process.pid } };
    const host = createCorpusHost({ input, output, claims });
    const environment = createEnvironment(wanted, host);
    const workforce: Workforce = {
      async run(next, onDone) {
        for (let task = next(); task; task = next()) {
          onDone(task, await executeTask(task, { recipe: wanted, host, environment }));
          await new Promise(setImmediate);
        }
      },
    };
    return runCorpus(wanted, host, fastPublisher(output), workforce);
  };
  const parts = await Promise.all([part(0), part(1), part(2)]);
  deepStrictEqual(results(output), await reference());
  strictEqual(
    parts.reduce((sum, { unitsMade }) => sum + unitsMade, 0),
    parts[0]!.units,
  );
  ok(parts.filter(({ unitsMade }) => unitsMade > 0).length > 1, 'the work was shared');
  deepStrictEqual(readdirSync(join(output, 'work', '.claims')), []);
});

test('a sign of life before the folder is there is none, and no error', () => {
  const claims = new FileClaims(join(newOutput(), 'not-there'), { leaseSeconds: 60 });
  claims.refresh();
  claims.join('plan').leave();
});

test('a unit of a dead process is taken over; one of a live process is waited for until its lease is over', async () => {
  const output = newOutput();
  const wanted = recipe(output);
  plantClaim(output, 'process/web-00001', DEAD_PROCESS);
  // Of another machine: nobody knows whether it lives, but for the age of its claim.
  const far = plantClaim(output, 'process/web-00002', 7, { host: 'far-away' });
  mkdirSync(join(output, 'work', '.making', 'process_web-00001.other'), { recursive: true });
  const claims = { leaseSeconds: 0.5, holder: thisProcess() };
  const host = createCorpusHost({ input, output, claims });
  // Its owner gave a sign of life that is good for three seconds from now.
  const started = performance.now();
  const signed = new Date(Date.now() + 2500);
  utimesSync(far, signed, signed);
  const environment = createEnvironment(wanted, host);
  const workforce: Workforce = {
    async run(next, onDone) {
      for (let task = next(); task; task = next())
        onDone(task, await executeTask(task, { recipe: wanted, host, environment }));
    },
  };
  await runCorpus(wanted, host, fastPublisher(output), workforce);
  ok(performance.now() - started > 2900, 'the living claim was respected');
  deepStrictEqual(results(output), await reference());
  deepStrictEqual(readdirSync(join(output, 'work', '.making')), [], 'what the dead left half-made is gone');
});

test('a unit at which every process dies is given up; the rest goes on, and the report says so', async () => {
  const output = newOutput();
  plantClaim(output, 'process/books-00000', DEAD_PROCESS, { deaths: 3 });
  const { audit } = await buildCorpus(recipe(output), { workers: 0 });
  const [problem] = audit.sources.books!.audit.problems;
  strictEqual(problem!.kind, 'given-up');
  match(problem!.message, /book-one\.txt: process failed twice and was given up: 4 processes died/);
  ok(audit.tokenCount > 0);
});

test('a unit that hangs is ended, tried again, given up and counted', async () => {
  const folder = join(root, 'hanging');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'good.txt'), 'A short text.');
  // Sketching this takes seconds, in which nothing moves.
  const words = Array.from({ length: 3_000_000 }, (_, i) => `w${(i * 7919) % 1_000_003}`).join(' ');
  writeFileSync(join(folder, 'slow.txt'), words);
  const value = {
    name: 'hang',
    input: folder,
    output: newOutput(),
    unitBytes: 1,
    sources: { a: { reader: 'text', files: ['*.txt'], stages: ['dedup-near'] } },
  };
  const failed: string[] = [];
  const built = await buildCorpus(parseRecipe(value, 'hang.yaml'), {
    workers: 1,
    stallSeconds: 1,
    onEvent: (event) => void (event.kind === 'failed' && failed.push(`${event.unit} ${event.failures}`)),
  });
  const collects = failed.filter((each) => each.startsWith('collect'));
  deepStrictEqual(collects, ['collect-1/a-00001 1', 'collect-1/a-00001 2']);
  const books = built.audit.sources.a!.audit;
  const given = books.problems.map(({ message }) => message);
  ok(given.includes('slow.txt: collect failed twice and was given up: nothing moved for 1 s'), given.join('\n'));
  ok(books.stages['dedup-near']!.out.documents >= 1, 'the other file is there');
});

test('two runs with other settings in one folder: the second is refused in words while the first lives', async () => {
  const output = newOutput();
  const host = createCorpusHost({ input, output });
  const membership = host.work.claims.join('another plan');
  await rejects(buildCorpus(recipe(output), { workers: 0 }), { code: 'corpus.busy', message: /choose another folder/ });
  membership.leave();
  await buildCorpus(recipe(output), { workers: 0 });
});

test('a merge of few runs at a time is only a way to open fewer files', async () => {
  for (const mergeWidth of [2, 3]) {
    const output = newOutput();
    const { units } = await buildCorpus(recipe(output, { mergeWidth }), { workers: 0 });
    deepStrictEqual(results(output), await reference(), `width ${mergeWidth}`);
    ok(units > 0);
  }
});

test('near pages: the first of each cluster is kept and named, whatever the width of merges and the slices', async () => {
  const folder = join(root, 'near-pages');
  mkdirSync(folder, { recursive: true });
  const page = (seed: number, changed = 0) =>
    Array.from({ length: 120 }, (_, i) => (i < changed ? `changed${i}` : `w${(seed * 131 + i * 7919) % 4001}`)).join(
      ' ',
    );
  const texts = [page(1), page(2), page(1, 2), page(3), page(2, 1), page(1, 3), page(4)];
  for (const [i, text] of texts.entries())
    writeFileSync(join(folder, `${i}.jsonl`), JSON.stringify({ text, url: `http://x/${i}` }));
  const audits = new Set<string>();
  for (const [mergeWidth, dedupSlices] of [
    [500, 4],
    [2, 1],
    [3, 3],
  ]) {
    const output = newOutput();
    const value = {
      name: 'near',
      input: folder,
      output,
      unitBytes: 1,
      mergeWidth,
      dedupSlices,
      sources: { a: { reader: 'jsonl', files: ['*.jsonl'], stages: ['dedup-minhash'] } },
    };
    const { audit } = await buildCorpus(parseRecipe(value, 'near.yaml'), { workers: 0 });
    const { reasons, out } = audit.sources.a!.audit.stages['dedup-minhash']!;
    strictEqual(out.documents, 4);
    const kept = reasons['like another text']!.samples.map(({ id, detail }) => `${id} ${detail}`).sort();
    deepStrictEqual(kept, [
      'http://x/2 kept: http://x/0',
      'http://x/4 kept: http://x/1',
      'http://x/5 kept: http://x/0',
    ]);
    audits.add(JSON.stringify(kept));
  }
  strictEqual(audits.size, 1);
});
