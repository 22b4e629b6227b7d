/**
 * ../shared/cases/{models,hf-configs}: files as users have them, each of which something refused once. Every model opens, encodes a text and
 * generates; every configuration is read.
 */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parseHfConfig } from '../src/model/spelling/hf.ts';
import { Llama } from '../src/platform/node/index.ts';
import { cria } from './e2e/cria.ts';
import { shared } from './support/shared.ts';

const folder = shared('cases/');
const skip = existsSync(folder) ? false : '../shared is not here';
const list = (name: string, ending: string) =>
  existsSync(`${folder}${name}`) ? readdirSync(`${folder}${name}`).filter((file) => file.endsWith(ending)) : [];

describe('cases of models', { skip }, () => {
  for (const file of [...list('models', '.gguf'), ...list('models/split', '.gguf').map((part) => `split/${part}`)]) {
    test(`${file} opens, encodes and generates`, async () => {
      const model = await Llama.load(`${folder}models/${file}`, { threads: 1, contextLength: 64 });
      try {
        const text = 'hello world 123 한국어\n';
        strictEqual(model.tokenizer.decode(model.tokenizer.encode(text)), text);
        const stream = model.generate('hello', { maxTokens: 3, temperature: 0, ignoreEos: true });
        const { ids } = await stream.result;
        strictEqual(ids.length, 3);
        const logits = await model.logits([1, 2, 3]);
        ok(logits.every(Number.isFinite));
      } finally {
        await model.close();
      }
    });
  }

  test('both parts of the split file are one model', async () => {
    const logits: Float32Array[] = [];
    for (const part of list('models/split', '.gguf')) {
      const model = await Llama.load(`${folder}models/split/${part}`, { threads: 1 });
      logits.push(await model.logits([5, 6, 7]));
      await model.close();
    }
    deepStrictEqual(logits[0], logits[1]);
  });

  test('templates that ask for the date, or that refuse a system message, are answered', async () => {
    const chat = (file: string, ...words: string[]) =>
      cria(['chat', '-m', `${folder}models/${file}`, '-n', '4', '--ignore-eos', ...words], { input: 'hi\n' });
    strictEqual((await chat('tmpl-strftime.gguf')).code, 0);
    const folded = await chat('tmpl-system-raises.gguf', '--system', 'x');
    strictEqual(folded.code, 0);
    match(folded.stderr, /takes no system message: its text goes before the first message/);
  });
});

describe('cases of config.json', { skip }, () => {
  for (const file of list('hf-configs', '.json')) {
    test(`${file} is read`, () => {
      parseHfConfig(file, readFileSync(`${folder}hf-configs/${file}`, 'utf8'));
    });
  }
});
