import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { configProblems, metaFfnWidth } from './config.ts';
import { parameterCount } from './parameters.ts';
import { isPresetName, type PresetName, presetNames, presets } from './presets.ts';

/** The counts of the published checkpoints; llama-2-34b: Code Llama 34B with its 16 extra pieces taken off, 2·16·8192. */
const published: Record<PresetName, number> = {
  'llama-7b': 6_738_415_616,
  'llama-13b': 13_015_864_320,
  'llama-33b': 32_528_943_616,
  'llama-65b': 65_285_660_672,
  'llama-2-7b': 6_738_415_616,
  'llama-2-13b': 13_015_864_320,
  'llama-2-34b': 33_743_970_304,
  'llama-2-70b': 68_976_648_192,
  'llama-3-8b': 8_030_261_248,
  'llama-3-70b': 70_553_706_496,
  'llama-3.1-8b': 8_030_261_248,
  'llama-3.1-70b': 70_553_706_496,
  'llama-3.2-1b': 1_235_814_400,
  'llama-3.2-3b': 3_212_749_824,
  'tinyllama-1.1b': 1_100_048_384,
  'stories-260k': 260_032,
  'stories-15m': 15_191_712,
  'stories-42m': 41_689_600,
  'stories-110m': 109_529_856,
};

for (const name of presetNames) {
  test(`${name} has the published ${published[name].toLocaleString('en')} parameters`, () => {
    strictEqual(parameterCount(presets[name]), published[name]);
    deepStrictEqual(configProblems(presets[name]), []);
  });
}

test("Meta's rounding rule gives the feed-forward widths of the presets", () => {
  const rules: [PresetName, number, number | null][] = [
    ['llama-7b', 256, null],
    ['llama-13b', 256, null],
    ['llama-33b', 256, null],
    ['llama-65b', 256, null],
    ['llama-2-70b', 4096, 1.3],
    ['llama-3-8b', 1024, 1.3],
    ['llama-3-70b', 4096, 1.3],
    ['llama-3.2-1b', 256, 1.5],
    ['llama-3.2-3b', 256, 1],
    ['stories-260k', 4, null],
    ['stories-15m', 32, null],
  ];
  for (const [name, multipleOf, multiplier] of rules) {
    strictEqual(metaFfnWidth(presets[name].width, multipleOf, multiplier), presets[name].ffnWidth, name);
  }
});

test('only names of the table are presets', () => {
  strictEqual(isPresetName('llama-2-7b'), true);
  strictEqual(isPresetName('toString'), false);
});
