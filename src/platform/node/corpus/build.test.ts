import { deepStrictEqual, match, ok, rejects, strictEqual, throws } from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
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
import { parseTokenManifest, TokenShards } from '../../../corpus/mixture/shards.ts';
import { createEnvironment } from '../../../corpus/pipeline/environment.ts';
import type { Workforce } from '../../../corpus/pipeline/host.ts';
import { executeTask } from '../../../corpus/pipeline/kinds/execute.ts';
import { rankFromEnvironment } from '../../../corpus/pipeline/ranks.ts';
import { runCorpus } from '../../../corpus/pipeline/run.ts';
import type { Task } from '../../../corpus/pipeline/task.ts';
import type { Recipe } from '../../../corpus/recipe/recipe.ts';
import { openFile } from '../files.ts';
import { buildCorpus, loadRecipe } from './build.ts';
import { createCorpusHost, createPublisher } from './host.ts';

test('a recipe becomes shards that the reader reads, document by document', async () => {
  await reference();
  const folder = join(root, 'out-0', 'tokens');
  const manifest = parseTokenManifest(readFileSync(join(folder, 'manifest.json'), 'utf8'));
  const shards = new TokenShards(manifest, (file) => openFile(join(folder, file)));
  const all = new Uint32Array(manifest.tokenCount);
  shards.read(all, 0);
  const ends = shards.documentEnds(0, manifest.tokenCount);
  strictEqual(ends.length, manifest.documentCount);
  strictEqual(ends.at(-1), manifest.tokenCount);
  let start = 0;
  for (const end of ends) {
    strictEqual(all[start], manifest.bos);
    strictEqual(all[end - 1], manifest.eos);
    start = end;
  }
  ok(manifest.shards.length > 2, `${manifest.shards.length} shards`);
  ok(Math.abs(manifest.sources.web!.share - 0.75) < 0.08, `web has ${manifest.sources.web!.share}`);
  shards.close();
});

test('a passage that two books share stays in the first, however many slices and processes there are', async () => {
  const stages = [{ 'dedup-substrings': { tokens: 20 } }];
  const build = async (changes: Record<string, unknown>, workers: number) => {
    const output = newOutput();
    const sources = { books: { reader: 'text', files: ['book-*.txt'], stages, weight: 1 } };
    await buildCorpus(recipe(output, { sources, ...changes }), { workers });
    return results(output);
  };
  const one = await build({}, 0);
  const { books } = JSON.parse(one.audit!).sources;
  const removed = books.audit.stages['dedup-substrings'].reasons['in a repeated passage'];
  strictEqual(removed.lines, 1);
  deepStrictEqual(await build({ dedupSlices: 1 }, 0), one);
  deepStrictEqual(await build({ dedupSlices: 7 }, 2), one);
});

test('what was dropped is in the books: shared lines, double addresses, the near-duplicate book, the cut file', async () => {
  await reference();
  const audit = JSON.parse(readFileSync(join(root, 'out-0', 'audit.json'), 'utf8'));
  const { web, books } = audit.sources;
  ok(web.audit.stages['dedup-lines'].reasons['also in another document'].lines > 0);
  ok(web.audit.stages['dedup-urls'].reasons['another document has this address'].documents > 0);
  strictEqual(books.audit.stages['dedup-near'].reasons['most of it is in another text'].documents, 1);
  strictEqual(web.audit.problems.length, 1);
  match(web.audit.problems[0].message, /pages-3\.jsonl/);
  const seen = Object.values(web.audit.languages as Record<string, { seen: { documents: number } }>).reduce(
    (sum, { seen }) => sum + seen.documents,
    0,
  );
  const stages = Object.values(
    web.audit.stages as Record<
      string,
      { in: { documents: number }; out: { documents: number }; reasons: Record<string, { documents: number }> }
    >,
  );
  strictEqual(stages[0]!.in.documents, seen);
  for (const stage of stages) {
    const dropped = Object.values(stage.reasons).reduce((sum, { documents }) => sum + documents, 0);
    strictEqual(stage.in.documents - dropped, stage.out.documents, 'every document that did not go on has a reason');
  }
  match(readFileSync(join(root, 'out-0', 'report.html'), 'utf8'), /^<!doctype html>[\s\S]*dedup-lines[\s\S]*pages-3/);
});

test('a second run makes nothing and changes nothing', async () => {
  const output = newOutput();
  const first = await buildCorpus(recipe(output), { workers: 0 });
  ok(first.unitsMade === first.units && first.units > 20);
  const times = () => readdirSync(join(output, 'tokens')).map((name) => statSync(join(output, 'tokens', name)).mtimeMs);
  const before = times();
  const second = await buildCorpus(recipe(output), { workers: 0 });
  strictEqual(second.unitsMade, 0);
  deepStrictEqual(times(), before);
  deepStrictEqual(results(output), await reference());
});

test('a changed selection repeats only tokens and shards; a changed file only what depends on it', async () => {
  const output = newOutput();
  const plain = recipe(output);
  await buildCorpus(plain, { workers: 0 });
  const made: string[] = [];
  const onEvent = (event: { kind: string; unit?: string }) =>
    void (event.kind === 'unit' && made.push(event.unit!.split('/')[0]!));
  const selected = {
    ...plain,
    sources: {
      ...plain.sources,
      web: {
        ...plain.sources.web!,
        select: [
          { attribute: 'originalLines', minimum: 4, maximum: undefined, in: undefined, missing: 'keep' as const },
        ],
      },
    },
  };
  await buildCorpus(selected, { workers: 0, onEvent });
  deepStrictEqual([...new Set(made)].sort(), ['bucket', 'mix', 'shard', 'tokenise']);
});

test('slices of the hash space are only a way to share the work', async () => {
  const output = newOutput();
  await buildCorpus(recipe(output, { dedupSlices: 1 }), { workers: 0 });
  deepStrictEqual(results(output), await reference());
});

test('an abort stops at once, and the next call goes on', async () => {
  const output = newOutput();
  const stop = new AbortController();
  const onEvent = (event: { kind: string; unit?: string }) =>
    void (event.unit?.startsWith('collect-1') && stop.abort());
  await rejects(buildCorpus(recipe(output), { workers: 2, signal: stop.signal, onEvent }), { code: 'corpus.stopped' });
  await buildCorpus(recipe(output), { workers: 0 });
  deepStrictEqual(results(output), await reference());
});

test('ranks come from OpenMPI, MPICH or a Slurm array', () => {
  deepStrictEqual(
    rankFromEnvironment({ OMPI_COMM_WORLD_RANK: '3', OMPI_COMM_WORLD_SIZE: '8', OMPI_COMM_WORLD_LOCAL_SIZE: '4' }),
    { index: 3, count: 8, sharingMachine: 4 },
  );
  deepStrictEqual(rankFromEnvironment({ PMI_RANK: '0', PMI_SIZE: '2' }), { index: 0, count: 2, sharingMachine: 1 });
  deepStrictEqual(
    rankFromEnvironment({ SLURM_ARRAY_TASK_ID: '5', SLURM_ARRAY_TASK_MIN: '1', SLURM_ARRAY_TASK_COUNT: '8' }),
    { index: 4, count: 8, sharingMachine: 1 },
  );
  strictEqual(rankFromEnvironment({ SLURM_ARRAY_TASK_ID: '9', SLURM_ARRAY_TASK_COUNT: '8' }), undefined);
  strictEqual(rankFromEnvironment({}), undefined);
});

test('two worker threads make the same bytes as one thread', async () => {
  const output = newOutput();
  await buildCorpus(recipe(output), { workers: 2 });
  deepStrictEqual(results(output), await reference());
});

/** Runs tasks in the order that `order` sorts them by, and dies after so many. */
function unrulyWorkforce(
  recipe: Recipe,
  output: string,
  order: (task: Task) => number,
  deaths: { after: number },
): Workforce {
  const host = createCorpusHost({ input, output });
  const environment = createEnvironment(recipe, host);
  return {
    async run(next, onDone) {
      const tasks: Task[] = [];
      for (let task = next(); task; task = next()) tasks.push(task);
      for (const task of tasks.sort((a, b) => order(a) - order(b))) {
        if (deaths.after-- === 0) {
          // As killed in the middle of a unit: its folder aside and its claim stay behind.
          host.work.begin(task.id).create('half').write(new Uint8Array(10));
          plantClaim(output, task.id, DEAD_PROCESS);
          throw new Error('killed');
        }
        onDone(task, await executeTask(task, { recipe, host, environment }));
        // The other parts of a test run in this same thread.
        await new Promise(setImmediate);
      }
    },
  };
}

test('the result does not depend on the order of units nor on kills in between, and a kill costs at most one unit', async () => {
  const whole = await reference();
  await fc.assert(
    fc.asyncProperty(fc.nat(1000), fc.array(fc.nat(25), { maxLength: 3 }), async (salt, kills) => {
      const output = newOutput();
      const wanted = recipe(output);
      const order = (task: Task) =>
        [...task.id].reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 16777619) >>> 0, salt);
      let made = 0;
      const onEvent = (event: { kind: string }) => void (event.kind === 'unit' && made++);
      const attempt = (after: number) =>
        runCorpus(
          wanted,
          createCorpusHost({ input, output }),
          createPublisher(output),
          unrulyWorkforce(wanted, output, order, { after }),
          { onEvent },
        );
      for (const after of kills) await attempt(after).catch((error) => match(String(error), /killed/));
      const { units } = await attempt(-1);
      deepStrictEqual(results(output), whole);
      strictEqual(made, units, 'no finished unit was made twice');
      rmSync(output, { recursive: true, force: true });
    }),
    { numRuns: 4 },
  );
});

test('a damaged or shortened work file is made again', async () => {
  const output = newOutput();
  await buildCorpus(recipe(output), { workers: 0 });
  writeFileSync(join(output, 'work', 'tokenise', 'web-00001', 'tokens.bin'), 'short');
  writeFileSync(join(output, 'work', 'process', 'books-00000', 'done.json'), '{');
  const again = await buildCorpus(recipe(output), { workers: 0 });
  strictEqual(again.unitsMade, 2);
  deepStrictEqual(results(output), await reference());
});

test('a flipped bit is found when digests are compared', async () => {
  const output = newOutput();
  await buildCorpus(recipe(output), { workers: 0 });
  const path = join(output, 'work', 'tokenise', 'web-00001', 'tokens.bin');
  const bytes = readFileSync(path);
  bytes[3]! ^= 1;
  writeFileSync(path, bytes);
  strictEqual((await buildCorpus(recipe(output), { workers: 0 })).unitsMade, 0);
  strictEqual((await buildCorpus(recipe(output), { workers: 0, verify: true })).unitsMade, 1);
  deepStrictEqual(results(output), await reference());
});

test('a dry run reads a few documents, makes a report and no tokens', async () => {
  const output = newOutput();
  const dry = await buildCorpus(recipe(output), { workers: 0, sample: 2 });
  strictEqual(dry.manifest, undefined);
  strictEqual(dry.output, join(output, 'dry-run'));
  deepStrictEqual(readdirSync(join(output, 'dry-run')).sort(), [
    'attributes',
    'audit',
    'audit.json',
    'report.html',
    'times.json',
    'work',
  ]);
  strictEqual(Object.values(dry.audit.sources.web!.audit.languages)[0]!.seen.documents, 8);
});

test('a source without files, or with a share but without tokens, is said before or at the mixture', async () => {
  const nothing = { reader: 'text', files: ['none-*'] };
  await rejects(
    buildCorpus(recipe(newOutput(), { sources: { a: nothing } }), { workers: 0 }),
    /sources\.a\.files: nothing in .* matches none-\*/,
  );
  const empty = { reader: 'text', files: ['book-*.txt'], stages: [{ 'minimum-length': { characters: 1_000_000 } }] };
  await rejects(buildCorpus(recipe(newOutput(), { sources: { a: empty } }), { workers: 0 }), { code: 'mixture.empty' });
});

test('a tokenizer that is not there is said before the work', async () => {
  const output = newOutput();
  const phases: string[] = [];
  const changes = { tokens: { tokenizer: 'none.model' } };
  const onEvent = ({ phase }: { phase: string }) => void phases.push(phase);
  await rejects(buildCorpus(recipe(output, changes), { workers: 0, onEvent }), { code: 'tokenizer.missing' });
  deepStrictEqual(phases, []);
});

test('a YAML bomb of aliases is refused in words, in a recipe and in --set', () => {
  const levels = Array.from(
    { length: 12 },
    (_, i) => `l${i}: &l${i} [${i === 0 ? 'x' : Array(10).fill(`*l${i - 1}`)}]`,
  );
  const path = join(root, 'bomb.yaml');
  writeFileSync(path, levels.join('\n'));
  throws(() => loadRecipe(path), { code: 'recipe.yaml', message: /write out what its aliases/ });
  writeFileSync(path, 'name: x');
  throws(() => loadRecipe(path, ['a=[1']), { code: 'recipe.set', message: /--set a=\[1/ });
});
