/**
 * How many files a corpus run opens, by units and shards: the part of the cost model (docs/scale-corpus.md) that no clock disturbs.
 *
 *   node bench/corpus-opens.ts [units=100,200,400] [shards=16,64]
 *
 * Makes that many files of a few short pages, a unit each, runs the whole pipeline on this thread and counts openSync.
 */
import fs, { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

let opens = 0;
const open = fs.openSync;
fs.openSync = ((...words: Parameters<typeof open>) => {
  opens++;
  return open(...words);
}) as typeof open;
syncBuiltinESMExports();
// After the exchange, so that every module of the pipeline gets the counting one.
const { buildCorpus } = await import('../src/platform/node/corpus/build.ts');
const { parseRecipe } = await import('../src/corpus/recipe/recipe.ts');

const numbers = (given: string | undefined, usual: string) => (given ?? usual).split(',').map(Number);
const unitCounts = numbers(process.argv[2], '100,200,400');
const shardCounts = numbers(process.argv[3], '16,64');
const tokenizer = fileURLToPath(new URL('../test/golden/tokenizers/sp-bpe-512/tokenizer.model', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'corpus-opens-'));
try {
  for (const units of unitCounts) {
    const input = join(root, `in-${units}`);
    mkdirSync(input);
    for (let i = 0; i < units; i++) {
      const pages = Array.from({ length: 8 }, (_, page) =>
        JSON.stringify({ text: `Page ${page} of ${i} is short.\nA shared line.\n${'filler '.repeat(20)}` }),
      );
      writeFileSync(join(input, `${String(i).padStart(5, '0')}.jsonl`), pages.join('\n'));
    }
    for (const shards of shardCounts) {
      const counted: Record<string, number> = {};
      let phase = 'start';
      let before = opens;
      const recipe = (shardTokens: number, output: string) =>
        parseRecipe(
          {
            name: 'opens',
            input,
            output: join(root, output),
            unitBytes: 1,
            sources: { a: { reader: 'jsonl', files: ['*.jsonl'], stages: ['dedup-documents'] } },
            tokens: { tokenizer, shardTokens, mixture: 'natural' },
          },
          'opens',
        );
      const probe = await buildCorpus(recipe(2 ** 31, `probe-${units}-${shards}`), { workers: 0 });
      before = opens;
      const built = await buildCorpus(
        recipe(Math.ceil(probe.manifest!.tokenCount / shards), `out-${units}-${shards}`),
        {
          workers: 0,
          onEvent(event) {
            if (event.kind !== 'phase') return;
            counted[phase] = (counted[phase] ?? 0) + opens - before;
            before = opens;
            phase = event.phase.replace(/ \d+$/, '');
          },
        },
      );
      counted[phase] = (counted[phase] ?? 0) + opens - before;
      const row = Object.entries(counted).map(([name, count]) => `${name} ${count}`);
      console.log(`${units} units, ${built.manifest!.shards.length} shards: ${row.join(' · ')}`);
    }
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
