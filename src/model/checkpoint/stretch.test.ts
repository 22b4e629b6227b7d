import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { tinyConfig } from '../../../test/support/tiny-model.ts';
import { ropeFrequencies } from '../rope-frequencies.ts';
import type { Checkpoint } from './checkpoint.ts';
import { stretched } from './stretch.ts';

const checkpoint = { name: 'x', config: { ...tinyConfig, contextLength: 64 }, notes: [] } as unknown as Checkpoint;
const stretch = (method: string) => stretched(checkpoint, method);

test('each method by name: the context that it gives, its frequencies, and a note', () => {
  const plain = ropeFrequencies(checkpoint.config).inverse;
  const linear = stretch('linear:4');
  strictEqual(linear.config.contextLength, 256);
  deepStrictEqual([...ropeFrequencies(linear.config).inverse], [...plain.map((omega) => omega / 4)]);
  strictEqual(linear.notes.length, 1);
  const yarn = ropeFrequencies(stretch('yarn:4').config);
  ok(yarn.magnitude > 1 && yarn.inverse[0]! <= plain[0]!);
  const dynamic = stretch('dynamic').config;
  // Within the model's own context nothing changes; at twice it theta grows by 2^(E / (E − 2)).
  deepStrictEqual([...ropeFrequencies(dynamic, 64).inverse], [...plain]);
  const { headSize: E, ropeTheta } = dynamic;
  const theta = ropeTheta * 2 ** (E / (E - 2));
  const wanted = Float64Array.from(plain, (_, e) => theta ** ((-2 * e) / E));
  deepStrictEqual([...ropeFrequencies(dynamic, 128).inverse], [...wanted]);
});

test('what is no method, or no rotation, is refused by name', () => {
  for (const wrong of ['', 'ntk', 'linear', 'yarn:0.5', 'dynamic:2', 'linear:9999']) {
    throws(() => stretch(wrong), { code: 'checkpoint.rope-scaling' }, wrong);
  }
  const learned = { ...checkpoint, config: { ...checkpoint.config, positions: 'learned' } } as Checkpoint;
  throws(() => stretched(learned, 'dynamic'), /does not rotate/);
});
