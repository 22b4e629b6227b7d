/** test/golden/forward: transformers' greedy continuations, token for token, through the engine and its cache, on every device. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { openCheckpoint } from '../src/model/checkpoint/open.ts';
import { loadModel } from '../src/model/model.ts';
import { openCheckpointAt, openFolder } from '../src/platform/node/files.ts';
import { createTokenizer } from '../src/tokenizer/create-tokenizer.ts';
import { testDevices } from './support/devices.ts';
import { goldenPath, goldenTensors } from './support/golden.ts';
import { missing, shared } from './support/shared.ts';
import { generate, runAll, submit, tinyEngine } from './support/tiny-model.ts';
import { gpuDevices } from './support/webgpu.ts';

const stories = 'real/models/stories260K';
const expectedTexts = 'real/reference/stories260K_expected_outputs.json';

for (const { name: deviceName, create } of [...testDevices, ...(await gpuDevices())]) {
  describe(`greedy continuations on ${deviceName}`, () => {
    for (const name of readdirSync(goldenPath('forward'))) {
      test(name, async () => {
        const checkpoint = openCheckpoint(openFolder(goldenPath(`forward/${name}`)));
        const device = await create();
        const model = loadModel(device, checkpoint.config, checkpoint.tensors);
        const expected = goldenTensors(`forward/${name}/expected.safetensors`);
        const prompts = rows(expected['greedy.prompt_ids']!);
        const mask = expected.attention_mask; // left padding has no place in a flattened batch: it is cut off
        const continuations = rows(expected['greedy.new_ids']!);
        const engine = tinyEngine(device, { model, contextLength: checkpoint.config.contextLength, batchTokens: 13 });
        const outcomes = prompts.map((ids, i) => {
          const real = mask ? ids.filter((_, t) => rows(mask)[i]![t] === 1) : ids;
          return submit(engine, real, { temperature: 0, maxTokens: continuations[i]!.length });
        });
        await runAll(engine);
        for (const [i, { result }] of outcomes.entries()) deepStrictEqual([...result!.ids], continuations[i]);
        device.close();
        checkpoint.close();
      });
    }

    // Hundreds of tokens: too many for the software adapter of the tests.
    for (const file of deviceName === 'webgpu' ? [] : ['stories260K.bin', 'stories260K.gguf']) {
      test(`${file} tells llama2.c's story`, { skip: missing(`${stories}/${file}`, expectedTexts) }, async () => {
        const checkpoint = openCheckpointAt(shared(`${stories}/${file}`));
        const device = await create();
        const model = loadModel(device, checkpoint.config, checkpoint.tensors);
        ok(checkpoint.tokenizer);
        const tokenizer = createTokenizer(checkpoint.tokenizer, { vocabSize: checkpoint.config.vocabSize });
        const engine = tinyEngine(device, { model, tokenizer, contextLength: 512 });
        const cases = JSON.parse(readFileSync(shared(expectedTexts), 'utf8')) as Expected[];
        const greedy = cases.filter(
          ({ temperature, args = '' }) => temperature === 0 || /-t 0\.0|temperature 0/.test(args),
        );
        ok(greedy.length >= 4);
        for (const { prompt = '', expected } of greedy) {
          const { text } = await generate(engine, prompt, { temperature: 0, maxTokens: 256 });
          const whole = prompt + text;
          ok(whole.includes(expected), `${JSON.stringify(whole)}\nhas not\n${JSON.stringify(expected)}`);
        }
        const twoHundred = await generate(engine, '', { temperature: 0, maxTokens: 200 });
        strictEqual(twoHundred.text, cases.find(({ args }) => args === '-t 0.0 -n 200')!.expected);
        device.close();
        checkpoint.close();
      });
    }
  });
}

interface Expected {
  readonly prompt?: string;
  readonly temperature?: number;
  readonly args?: string;
  readonly expected: string;
}

function rows({ shape, data }: { readonly shape: readonly number[]; readonly data: Float32Array }): number[][] {
  const width = shape.at(-1)!;
  return Array.from({ length: data.length / width }, (_, row) => [...data.subarray(row * width, (row + 1) * width)]);
}
