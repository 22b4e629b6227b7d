/** The READMEs' examples run as they stand: every `npx cria` line, and every block of TypeScript. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bundledModels } from '../../src/platform/node/bundled-models.ts';
import { goldenPath } from '../support/golden.ts';
import { cria, type Outcome, spawnCria } from './cria.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
// Inside the package, where 'cria' is the package itself.
const folder = join(root, `readme-${process.pid}.tmp`);
const readme = readFileSync(join(root, 'README.md'), 'utf8');

function blocks(text: string, language: string): string[] {
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].flatMap(([, name, body]) =>
    name === language ? [body!] : [],
  );
}

/** 'npx cria run -m x "a b"' → its words, for every line that calls cria. */
function commandLines(text: string): string[][] {
  const lines = blocks(text, 'sh').join('\n').split('\n');
  return lines.flatMap((line) => {
    const [, words] = /(?:^|&& )npx cria (.*)$/.exec(line) ?? [];
    return words === undefined
      ? []
      : [[...words.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!)];
  });
}

async function ok(words: string[]): Promise<void> {
  const { code, stderr } = await cria(words);
  assert.equal(code, 0, stderr);
}

describe('README', () => {
  before(async () => {
    // A model.gguf with a chat template, as a user would have one.
    mkdirSync(folder);
    const at = (file: string) => join(folder, file);
    await ok(['init', 'stories-260k', '-o', at('plain.gguf'), '--dtype', 'f16']);
    await ok(['convert', at('plain.gguf'), at('hf')]);
    writeFileSync(join(at('hf'), 'chat_template.jinja'), '{% for m in messages %}{{ m.content }}\n{% endfor %}');
    await ok(['convert', at('hf'), at('model.gguf')]);
    // A text of one's own.
    writeFileSync(at('own-text.txt'), readFileSync(goldenPath('tokenizers/sp-bpe-512/train.txt')));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const words of commandLines(readme)) {
    test(`npx cria ${words.join(' ')}`, async () => {
      if (words[0] === 'serve') {
        const served = await spawnCria(words, { cwd: folder, env: { CRIA_PORT: '0' }, signal: 'SIGTERM' });
        assert.equal(served.code, 0, served.stderr);
        assert.match(served.stdout, /^http:\/\/127\.0\.0\.1:\d+\n$/);
        return;
      }
      const { code, stdout, stderr } = await spawnCria(words, { cwd: folder });
      if (words[0] === 'run' && !words.includes('-m') && bundledModels().length === 0) {
        assert.equal(code, 1);
        assert.match(stderr, /no model was named[\s\S]*-m PATH[\s\S]*cria init/);
        return;
      }
      assert.equal(code, 0, stderr);
      if (words[0] !== 'train') assert.equal(stderr, ''); // it says what it will do before the first step
      if (words[0] !== 'chat') assert.notEqual(stdout, '');
    });
  }

  for (const [i, code] of blocks(readme, 'ts').entries()) {
    test(`library example ${i + 1}`, async () => {
      const file = join(folder, `example-${i}.ts`);
      writeFileSync(file, code);
      const outcome = await runNode(file);
      assert.equal(outcome.code, 0, outcome.stderr);
      assert.notEqual(outcome.stdout, '');
    });
  }

  test('README.ko.md has the same commands and examples', () => {
    const korean = readFileSync(join(root, 'README.ko.md'), 'utf8');
    const plain = (text: string) => blocks(text, 'ts').map((code) => code.replace(/\/\/.*$/gm, ''));
    assert.deepEqual(blocks(korean, 'sh'), blocks(readme, 'sh'));
    assert.deepEqual(plain(korean), plain(readme));
  });
});

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
