/**
 * What config.json says of models that people download, one a line of downloaded.jsonl: each is read, with the number of parameters that
 * its card gives (of models with more senses, the text part's), written and read again as the same; or refused for a reason, by name.
 */
import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { ConfigError } from '../../src/base/errors.ts';
import type { Json } from '../../src/formats/json.ts';
import { configProblems } from '../../src/model/config.ts';
import { parameterCount } from '../../src/model/parameters.ts';
import { ggufKeysOf } from '../../src/model/spelling/gguf.ts';
import { hfConfigOf, readHfConfig } from '../../src/model/spelling/hf.ts';

interface Row {
  readonly model: string;
  readonly config: Readonly<Record<string, Json>>;
  /** To three digits. */
  readonly billions?: number;
  readonly refused?: string;
}

const rows = readFileSync(new URL('downloaded.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Row);

describe(`config.json of ${rows.length} models`, () => {
  for (const { model, config: json, billions, refused } of rows) {
    if (billions === undefined) {
      test(`${model} is refused: ${refused}`, () => {
        throws(
          () => readHfConfig('config.json', json),
          (error) => error instanceof ConfigError && error.message.includes(refused!),
        );
      });
      continue;
    }
    test(`${model}: ${billions} thousand million parameters`, () => {
      const { config, quantization } = readHfConfig('config.json', json);
      deepStrictEqual(configProblems(config), []);
      strictEqual(Number((parameterCount(config) / 1e9).toPrecision(3)), billions);
      strictEqual(quantization !== null, 'quantization_config' in json);
      const again = hfConfigOf(config).json as Record<string, Json>;
      deepStrictEqual(readHfConfig('config.json', again).config, config);
    });
  }
});

const configOf = (name: string, changes: Readonly<Record<string, Json>> = {}) =>
  readHfConfig('config.json', { ...rows.find(({ model }) => model === name)!.config, ...changes }).config;

test("attn_factor is a factor of YaRN's usual magnitude: this model's undoes it", () => {
  const { ropeScaling } = configOf('deepseek-ai/DeepSeek-R1-0528-Qwen3-8B');
  ok(ropeScaling.kind === 'yarn');
  ok(Math.abs(ropeScaling.attentionFactor! - 1) < 1e-9, `${ropeScaling.attentionFactor}`);
});

test('Llama 4 without experts: no block has any, however the file says it', () => {
  const name = 'facebook/MobileLLM-R1-950M';
  const json = rows.find(({ model }) => model === name)!.config;
  for (const changes of [{}, { num_local_experts: 16, num_experts_per_tok: 1 }, { moe_layers: null }]) {
    const { experts, slidingWindow, rotatedBlocks, queryGrowth } = configOf(name, changes);
    deepStrictEqual([experts, slidingWindow, rotatedBlocks, queryGrowth], [null, null, null, null]);
  }
  throws(() => readHfConfig('config.json', { ...json, num_local_experts: -1 }), /num_local_experts is -1/);
  const { config } = readHfConfig('config.json', json);
  const entries = new Map(ggufKeysOf(config).entries.map(([key, , value]) => [key, value]));
  deepStrictEqual([entries.get('expert_count'), entries.get('interleave_moe_layer_step')], [0, 0]);
});

test('a window that is said twice is one window', () => {
  throws(() => configOf('google/gemma-2-9b-it', { sliding_window_size: 1024 }), /sliding_window_size is 1024/);
});

test('no model stands there twice', () => {
  ok(rows.length >= 50);
  strictEqual(new Set(rows.map(({ model }) => model)).size, rows.length);
});
