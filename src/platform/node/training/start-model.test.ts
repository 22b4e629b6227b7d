/** Continued pre-training: a run goes on from a model, which brings its shape, weights and tokenizer. */
import { equal, match, ok } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { goldenPath } from '../../../../test/support/golden.ts';

const bin = fileURLToPath(new URL('../../../../bin/cria.js', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'cria-train-on-'));
after(() => rmSync(work, { recursive: true, force: true }));
const at = (name: string) => join(work, name);

const line = (i: number) => JSON.stringify({ text: `The cat number ${i} sat on mat ${i * 7}. It was glad.` });
writeFileSync(at('train.jsonl'), Array.from({ length: 40 }, (_, i) => line(i)).join('\n'));
writeFileSync(at('valid.jsonl'), line(100));
writeFileSync(
  at('recipe.yaml'),
  `name: tiny
model: { depth: 2, width: 32, heads: 2, contextLength: 16 }
tokenizer: { path: ${goldenPath('tokenizers/sp-bpe-512/tokenizer.model')} }
data:
  train: [{ path: ${at('train.jsonl')} }]
  valid: ${at('valid.jsonl')}
training: { tokens: 128, batchTokens: 64, microBatchTokens: 64 }
output: { sampleEvery: 1000 }
`,
);

const node = (...words: string[]) => spawnSync(process.execPath, [bin, ...words], { encoding: 'utf8' });
const cria = (out: string, ...more: string[]) => node('train', at('recipe.yaml'), '--out', at(out), '-t', '1', ...more);
const checkpoint = (out: string, step: number) => join(at(out), 'checkpoints', `step-0000000${step}`);
const weights = (out: string, step: number) => readFileSync(join(checkpoint(out, step), 'model.safetensors'), 'latin1');

const first = cria('first');
equal(first.status, 0, first.stderr);
const from = checkpoint('first', 2);
const start = ['--set', `model.from=${from}`];

test('a run goes on from another model: shape, weights and tokenizer are its own', () => {
  const nothingElse = ['model', 'tokenizer'].flatMap((key) => ['--set', `${key}=`]);
  const still = ['--set', 'training.learningRate=1e-30', '--set', 'training.tokens=64'];
  const result = cria('continued', ...nothingElse, ...start, ...still);
  equal(result.status, 0, result.stderr);
  equal(weights('continued', 1), weights('first', 2));
  match(result.stderr, /goes on from: .*its f32 weights/);

  const gguf = node('quantize', from, at('first.gguf'), 'q8_0');
  equal(gguf.status, 0, gguf.stderr);
  const rounded = cria('continued-q8', ...nothingElse, '--set', `model.from=${at('first.gguf')}`, ...still);
  equal(rounded.status, 0, rounded.stderr);
  match(rounded.stderr, /its .*Q8_0.* weights as f32/);
  ok(weights('continued-q8', 1) !== weights('first', 2));
});

test('what a recipe says beside model.from must be so: sizes, tokens, and the model itself when the run resumes', () => {
  const other = cria('other-shape', ...start, '--set', 'model.width=64', '--set', 'model.depth=3');
  equal(other.status, 1);
  match(other.stderr, /model\.width is 64, and 32 in /);
  match(other.stderr, /model\.depth is 3, and 2 in /);
  const tokens = cria(
    'other-tokens',
    ...start,
    '--set',
    `tokenizer.path=${goldenPath('tokenizers/sp-bpe-1000/tokenizer.model')}`,
  );
  equal(tokens.status, 1);
  match(tokens.stderr, /piece \d+ is .* in tokenizer\.path, and .* in the model's tokenizer/);
  const missing = cria('no-model', '--set', `model.from=${at('nowhere.gguf')}`);
  equal(missing.status, 1);
  match(missing.stderr, /model\.from.*\n.*nowhere\.gguf: expected a file/);

  const half = ['--set', 'training.tokens=128'];
  equal(cria('went-on', ...start, ...half).status, 0);
  const longer = ['--set', 'training.tokens=256', '--allow-change', 'training.tokens', '--resume'];
  const beside = cria('went-on', '--set', `model.from=${at('first.gguf')}`, ...longer);
  equal(beside.status, 1);
  match(beside.stderr, /model\.from is .*first\.gguf.*Go on with it by --allow-change model\.from/);
  cpSync(from, at('moved'), { recursive: true });
  const moved = cria('went-on', '--set', `model.from=${at('moved')}`, ...longer);
  equal(moved.status, 0, moved.stderr);
  match(moved.stderr, /changed: model\.from is .*moved.*the content is the same/);
});
