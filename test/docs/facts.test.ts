/** Where a page repeats a name, a number or a list that the code holds, it is the code's. */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { command as serve } from '../../src/cli/commands/serve.ts';
import { samplingOptions } from '../../src/inference/sampler/options.ts';
import { holdBack } from '../../src/training/data/hold-back.ts';
import { recipeSchema } from '../../src/training/recipe/recipe.ts';
import type { Schema } from '../../src/training/recipe/schema.ts';

const read = (page: string) => readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8').replace(/\s+/g, ' ');
const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;
const readmes = ['README.md', 'README.ko.md'].map(read);
const words = (values: readonly string[]) => [...values].sort();

test('the READMEs list every choice of the architecture lab', () => {
  const { keys } = recipeSchema.keys.model;
  for (const page of readmes) {
    for (const name of ['norm', 'normPlacement', 'qkNorm', 'activation', 'positions'] as const) {
      const listed = new RegExp(`\`model\\.${name}\`(.*?)(?:,? \`model\\.|중 하나|\\.)`).exec(page)![1]!;
      deepEqual(
        words(listed.match(/[a-z]+/g)!.filter((word) => word !== 'is' && word !== 'or')),
        words(keys[name].values),
      );
    }
  }
});

test('docs/training.md has every key of a training recipe, and no other', () => {
  const named = new Set(Array.from(read('docs/training.md').matchAll(/`((?:\w+\.)*\w+)`/g), ([, key]) => key!));
  const keysOf = (schema: Schema, path: string): string[] => {
    if (schema.kind !== 'object') return [path];
    return Object.entries(schema.keys).flatMap(([key, inner]) => keysOf(inner, path === '' ? key : `${path}.${key}`));
  };
  const keys = keysOf(recipeSchema, '');
  deepEqual(
    keys.filter((key) => !named.has(key)),
    [],
  );
  const { train, valid } = recipeSchema.keys.data.keys;
  for (const key of Object.keys({ ...train.item.keys, ...valid.item.keys })) ok(named.has(key), key);
  const groups = Object.keys(recipeSchema.keys).join('|');
  deepEqual(
    [...named].filter((name) => new RegExp(`^(${groups})\\.`).test(name) && !keys.includes(name)),
    [],
  );
});

test('the address of the server is its default', () => {
  const { host, port } = serve.options;
  for (const page of readmes) equal(/http:\/\/([\d.]+:\d+)/.exec(page)![1], `${host.default}:${port.default}`);
});

test('a twentieth of a text is held back, as the READMEs say', () => {
  const documents = Array.from({ length: 200 }, (_, i) => ({ text: String(i) }));
  equal(holdBack(documents).heldBack.length, 200 / 20);
  ok(readmes[0]!.includes('a twentieth is held back') && readmes[1]!.includes('20분의 1'));
});

test('versions of other libraries are those that are tested', () => {
  const page = read('docs/node.md');
  const major = (range: string) => /\d+/.exec(range)![0];
  equal(/provider for version (\d+) of/.exec(page)![1], major(manifest.devDependencies!.ai!));
  equal(/`@langchain\/core` (\d+)/.exec(page)![1], major(manifest.peerDependencies!['@langchain/core']!));
});

test('the server’s temperature is the samplers’ default', () => {
  equal(/temperature ([\d.]+), not 1/.exec(read('docs/serve.md'))![1], String(samplingOptions.temperature.default));
});
