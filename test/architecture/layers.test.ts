/** The house's one rule of order: imports go down, or sideways within a folder; only layer 7 touches Node or the DOM. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSources } from './sources.ts';

/** Folders of src by layer; a file may import from lower layers and from its own folder. */
const layers: readonly (readonly string[])[] = [
  ['base'],
  ['tensor'],
  ['kernels', 'quant', 'formats', 'tokenizer'],
  ['devices', 'autograd'],
  ['model'],
  ['corpus', 'training', 'finetuning', 'inference'],
  ['evaluation', 'explorer', 'lab', 'server', 'web'],
  ['cli', 'platform'],
];
const layerOf = new Map(layers.flatMap((folders, layer) => folders.map((folder) => [folder, layer] as const)));
const TOP = layers.length - 1;

/** Neighbours of one layer that may meet, and why. */
const neighbours: Readonly<Record<string, string>> = {
  'tokenizer → formats': 'a tokenizer is read out of model files',
  'kernels → quant': 'a kernel of a block type shares its layout with the codec',
  'autograd → devices': 'the tape decorates a device’s operations',
  'training → corpus': 'training reads the token shards that the corpus stages write',
  'finetuning → training': 'tuning is training, by other losses',
  'finetuning → inference': 'answers to learn from are drawn by the engine',
  'web → explorer': 'the page shows the same walk as the terminal',
  'cli → platform': 'both are composition roots',
  'platform → cli': 'both are composition roots',
};

const files = readSources('src/**/*.{ts,tsx}');
const folderOf = (path: string) => path.split('/')[1]!;

test('every folder of src has a layer', () => {
  for (const { path } of files)
    assert.ok(layerOf.has(folderOf(path)), `${path}: add its folder to the layers, and to DESIGN`);
});

test('imports go down, or sideways within a folder', () => {
  const wrong: string[] = [];
  for (const { path, imports, isTest } of files) {
    for (const { path: target } of imports) {
      if (target === null || !target.startsWith('src/')) continue;
      const [from, to] = [folderOf(path), folderOf(target)];
      const [low, high] = [layerOf.get(to) ?? TOP, layerOf.get(from) ?? TOP];
      if (from === to || low < high || (low === high && `${from} → ${to}` in neighbours)) continue;
      // A test may look at what stands above its room: it is not part of the house's load.
      if (isTest) continue;
      const why =
        low > high
          ? `layer ${high} (${from}) must not know layer ${low} (${to}); pass it in, or move the shared part down`
          : `${from} and ${to} are neighbours of layer ${low}; move what they share down`;
      wrong.push(`${path} imports ${target}: ${why}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('sources do not import tests', () => {
  const wrong = files.flatMap(({ path, isTest, imports }) =>
    isTest
      ? []
      : imports.flatMap(({ path: target }) =>
          target !== null && /^test\/|\/testing\/|\.test\.ts$/.test(target) ? [`${path} imports ${target}`] : [],
        ),
  );
  assert.deepEqual(wrong, []);
});

test('only layer 7 touches Node: files, workers and clocks are passed in', () => {
  const wrong: string[] = [];
  for (const { path, imports, code, isTest } of files) {
    if (isTest || (layerOf.get(folderOf(path)) ?? TOP) === TOP) continue;
    for (const { specifier } of imports) {
      if (specifier.startsWith('node:') || specifier.includes('koffi')) wrong.push(`${path} imports ${specifier}`);
    }
    const globals =
      /\b(process|Buffer|navigator|localStorage|performance)\.|\bnew Worker\(|\bDate\.now\(|\bset(Timeout|Interval)\(/;
    for (const [i, line] of code.split('\n').entries()) {
      const found = globals.exec(line);
      if (found) wrong.push(`${path}:${i + 1} uses ${found[0]}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('no import cycles', () => {
  const graph = new Map(
    files.map(({ path, imports }) => [
      path,
      imports.filter(({ typeOnly }) => !typeOnly).flatMap(({ path: to }) => to ?? []),
    ]),
  );
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]) => {
    const start = trail.indexOf(path);
    assert.equal(start, -1, `import cycle: ${[...trail.slice(start), path].join(' → ')}`);
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
});
