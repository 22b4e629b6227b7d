/**
 * What a model writes by itself, for its draft to learn from (recipes/draft.yaml): JSON lines {"text"}, gzipped. A text begins with nothing,
 * or with one of the lines of --prompts in turn, and is sampled at temperature 1 from all tokens, so that the draft learns the model's
 * own distribution. A text that does not end within --tokens is left out, as its last token would be learned as an end.
 *
 *   node recipes/draft-data.ts MODEL samples.jsonl.gz --texts 4000 --tokens 400 --seed 1 [--prompts lines.txt]
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { resolveModel } from '../src/cli/model-name.ts';
import { Llama } from '../src/platform/node/index.ts';

/** Texts that are written at the same time: their rows share every reading of the weights. */
const TOGETHER = 32;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    texts: { type: 'string', default: '4000' },
    tokens: { type: 'string', default: '400' },
    seed: { type: 'string', default: '1' },
    threads: { type: 'string' },
    prompts: { type: 'string' },
  },
});
const [name, path] = positionals;
const [texts, tokens, seed] = [values.texts, values.tokens, values.seed].map(Number) as [number, number, number];
if (
  name === undefined ||
  path === undefined ||
  ![texts, tokens, seed].every((value) => Number.isInteger(value) && value >= 0)
) {
  console.error(
    'usage: node recipes/draft-data.ts MODEL OUT.jsonl.gz [--texts N] [--tokens N] [--seed N] [--threads N] [--prompts FILE]',
  );
  process.exit(2);
}
const prompts =
  values.prompts === undefined
    ? ['']
    : readFileSync(values.prompts, 'utf8')
        .split('\n')
        .filter((line) => line !== '');

const model = await Llama.load(resolveModel(name), {
  maxSequences: TOGETHER,
  cacheTokens: TOGETHER * (tokens + 256),
  adapters: [],
  ...(values.threads !== undefined && { threads: Number(values.threads) }),
});
const everything = { temperature: 1, topK: 0, topP: 1, minP: 0, repeatPenalty: 1 };
const lines: string[] = new Array(texts);
let begun = 0;
let done = 0;
async function write(): Promise<void> {
  while (begun < texts) {
    const i = begun++;
    const prompt = prompts[i % prompts.length]!;
    const result = await model.generate(prompt, { ...everything, maxTokens: tokens, seed: seed + i }).result;
    if (result.finishReason === 'stop') lines[i] = JSON.stringify({ text: prompt + result.text });
    if (++done % 100 === 0) console.error(`${done} of ${texts} texts`);
  }
}
await Promise.all(Array.from({ length: TOGETHER }, write));
await model.close();
const whole = lines.filter((line) => line !== undefined);
writeFileSync(path, gzipSync(whole.map((line) => `${line}\n`).join('')));
console.error(`${whole.length} texts in ${path}; ${texts - whole.length} did not end within ${tokens} tokens`);
