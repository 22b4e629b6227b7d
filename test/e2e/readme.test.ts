/** The pages' examples as they stand: every line of a shell and every program; programs are compiled under --strict, too. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bundledModels } from '../../src/platform/node/bundled-models.ts';
import { goldenPath } from '../support/golden.ts';
import { blocks, commandLines } from '../support/markdown.ts';
import { cria, type Outcome, spawnCria } from './cria.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (page: string) => readFileSync(join(root, page), 'utf8');
// Inside the package, where 'cria' is the package itself.
const folder = join(root, `readme-${process.pid}.tmp`);
const at = (file: string) => join(folder, file);
const readme = read('README.md');

/** Programs that this checkout cannot run, or that do not end: what they are made of, and why. */
const notRun = [
  [/^import express/m, 'express is not installed here'],
  [/\bBun\./, 'for Bun'],
  [/\bDeno\./, 'for Deno'],
  [/^export /m, 'a module that a server calls'],
] as const;
/** Of those, the ones that do not compile without their packages' types. */
const isForeign = (text: string) => notRun.slice(0, 3).some(([mark]) => mark.test(text));

const programs = ['README.md', 'docs/node.md'].flatMap((page) =>
  blocks(read(page), 'ts').map(({ text, line }) => ({
    name: `${page}:${line}`,
    file: `${page.replace(/\W/g, '-')}-${line}.ts`,
    text,
    skip: notRun.find(([mark]) => mark.test(text))?.[1],
  })),
);

async function ok(words: string[]): Promise<void> {
  const { code, stderr } = await cria(words);
  assert.equal(code, 0, stderr);
}

describe('README and docs', () => {
  before(async () => {
    // A model.gguf with a chat template, as a user would have one.
    mkdirSync(folder);
    await ok(['init', 'stories-260k', '-o', at('plain.gguf'), '--dtype', 'f16']);
    await ok(['convert', at('plain.gguf'), at('hf')]);
    writeFileSync(join(at('hf'), 'chat_template.jinja'), '{% for m in messages %}{{ m.content }}\n{% endfor %}');
    await ok(['convert', at('hf'), at('model.gguf')]);
    // A text of one's own.
    writeFileSync(at('own-text.txt'), readFileSync(goldenPath('tokenizers/sp-bpe-512/train.txt')));
    for (const { file, text } of programs) if (!isForeign(text)) writeFileSync(at(file), text);
    writeFileSync(at('tsconfig.json'), JSON.stringify({ extends: '../tsconfig.json', include: ['*.ts'] }));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const words of commandLines(readme)) {
    test(`npx cria ${words.join(' ')}`, async () => {
      if (words[0] === 'serve') {
        await serveAndAsk(words);
        return;
      }
      const { code, stdout, stderr } = await spawnCria(words, { cwd: folder });
      if (words[0] === 'run' && !words.includes('-m') && bundledModels().length === 0) {
        assert.equal(code, 1);
        assert.match(stderr, /no model was named[\s\S]*-m PATH[\s\S]*cria init/);
        return;
      }
      assert.equal(code, 0, stderr);
      // The first two say what they will do before the first step; the third looks for a GPU, and Dawn warns where there is no Vulkan.
      if (words[0] === 'tokenizer')
        assert.match(stderr, /^reading the text, [\d.]+ KiB\nmerging the most frequent pairs, \d+ times\n$/);
      else if (!['train', 'finetune'].includes(words[0]!)) assert.equal(stderr, '');
      if (words[0] !== 'chat') assert.notEqual(stdout, '');
    });
  }

  test('every line of the README’s shell blocks is npm’s, cria’s or curl’s, so that each of them is tried', () => {
    const lines = blocks(readme, 'sh').flatMap(({ text }) => text.replaceAll('\\\n', '').trim().split('\n'));
    const others = lines.filter((line) => !/^(?:npx cria |npm ci && (?:npx cria |npm test$)|curl )/.test(line));
    assert.deepEqual(others, []);
  });

  test('the programs compile under --strict', () => {
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' });
    assert.equal(status, 0, stdout);
  });

  for (const { name, file, skip } of programs) {
    if (skip) continue;
    test(`the program at ${name} runs`, async () => {
      const outcome = await runNode(at(file));
      assert.equal(outcome.code, 0, outcome.stderr);
      assert.notEqual(outcome.stdout, '');
    });
  }

  test('README.ko.md has the same commands and examples', () => {
    const korean = read('README.ko.md');
    const texts = (page: string, language: string) => blocks(page, language).map(({ text }) => text);
    const plain = (page: string) => texts(page, 'ts').map((code) => code.replace(/\/\/.*$/gm, ''));
    assert.deepEqual(texts(korean, 'sh'), texts(readme, 'sh'));
    assert.deepEqual(plain(korean), plain(readme));
  });
});

/** The server as the README starts it, and the README's question to it. */
async function serveAndAsk(words: string[]): Promise<void> {
  const question = blocks(readme, 'sh').find(({ text }) => text.startsWith('curl '))!.text;
  const served = await spawnCria(words, {
    cwd: folder,
    env: { CRIA_PORT: '0' },
    signal: 'SIGTERM',
    onOutput(text) {
      const asked = question
        .replace('http://127.0.0.1:8080', text.trim())
        .replace('"stream"', '"max_tokens": 8, "stream"');
      assert.notEqual(asked, question);
      const answer = execFileSync('sh', ['-c', asked], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
      assert.match(answer, /^data: \{.*"chat\.completion\.chunk"[\s\S]*data: \[DONE\]\n\n$/);
    },
  });
  assert.equal(served.code, 0, served.stderr);
  assert.match(served.stdout, /^http:\/\/127\.0\.0\.1:\d+\n$/);
}

function runNode(file: string): Promise<Outcome> {
  const child = spawn(process.execPath, [file], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
