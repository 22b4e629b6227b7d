/** What stands where a model, a folder or an output was expected: pipes, pointers, full disks, signals. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { goldenPath } from '../support/golden.ts';
import { cria, temporaryFolder } from './cria.ts';

const bin = fileURLToPath(new URL('../../bin/cria.js', import.meta.url));
const inFolder = temporaryFolder();
const noPipes = process.platform === 'win32' ? 'Windows has no named pipes and no /dev/full' : false;

describe('awkward places', () => {
  test('a named pipe is refused instead of waited for', { skip: noPipes }, async () => {
    const pipe = inFolder('pipe.gguf');
    assert.equal(spawnSync('mkfifo', [pipe]).status, 0);
    const { code, stderr } = await cria(['inspect', pipe]);
    assert.equal(code, 1);
    assert.match(stderr, /pipe\.gguf @ file: expected a file, found a folder, a pipe or a device/);
  });

  test('a Git LFS pointer is called by its name', async () => {
    const pointer = inFolder('pointer.gguf');
    writeFileSync(pointer, 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n');
    const { code, stderr } = await cria(['inspect', pointer]);
    assert.equal(code, 1);
    assert.match(stderr, /found the Git LFS pointer to one\. Fetch the file itself with `git lfs pull`/);
  });

  test('an output in a folder that does not exist, or at the name of a folder, is refused with its name', async () => {
    const nowhere = await cria(['init', 'stories-260k', '-o', inFolder('nowhere/x.gguf')]);
    assert.equal(nowhere.code, 1);
    assert.match(nowhere.stderr, /expected a folder .*nowhere to write into, found none/);
    mkdirSync(inFolder('taken.gguf'));
    const taken = await cria(['init', 'stories-260k', '-o', inFolder('taken.gguf')]);
    assert.equal(taken.code, 1);
    assert.match(taken.stderr, /expected a file or nothing at this name, found a folder/);
  });

  test('weights that cannot have the type that was asked for are said, by init and by convert', async () => {
    const made = await cria(['init', 'stories-260k', '-o', inFolder('k.gguf'), '--dtype', 'q4_k_m']);
    assert.equal(made.code, 0);
    assert.match(
      made.stderr,
      /cria init: embed_VD: rows of 64 do not fill Q4_K blocks of 256; .*, and \d+ more like it/,
    );
    const converted = await cria(['convert', inFolder('k.gguf'), inFolder('k2.gguf'), '--dtype', 'q6_k']);
    assert.equal(converted.code, 0);
    assert.match(converted.stderr, /cria convert: embed_VD: rows of 64 do not fill Q6_K/);
  });

  test('options with nothing like them get no suggestion', async () => {
    const { code, stderr } = await cria(['run', '--bogus', '-q', '--temperture', '1']);
    assert.equal(code, 2);
    assert.match(stderr, /--bogus is not an option\n/);
    assert.match(stderr, /-q is not an option\n/);
    assert.match(stderr, /--temperture is not an option \(did you mean --temperature\?\)/);
  });

  test('a full standard output is an error that is said', {
    skip: noPipes || (existsSync('/dev/full') ? false : 'no /dev/full here'),
  }, () => {
    const model = goldenPath('formats/gguf-llama-mixed/model.gguf');
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, [bin, 'inspect', model], {
      stdio: ['ignore', full, 'pipe'],
    });
    assert.equal(status, 1);
    assert.match(stderr.toString(), /^cria: standard output: ENOSPC/);
  });

  test('Ctrl-C while standard input is awaited ends the command', { skip: noPipes }, async () => {
    const model = goldenPath('formats/gguf-llama-cpp-converter/model-f16.gguf');
    // Before the program listens, the signal itself ends it: it is given longer then.
    let code: unknown = null;
    for (const patience of [1500, 6000, 20_000]) {
      const child = spawn(process.execPath, [bin, 'tokenize', '-m', model], { stdio: ['pipe', 'pipe', 'pipe'] });
      child.stdin.write('hello'); // a text without an end
      const timer = setTimeout(() => child.kill('SIGINT'), patience);
      code = await new Promise((done) => child.once('close', done));
      clearTimeout(timer);
      if (code !== null) break;
    }
    assert.equal(code, 130);
  });

  test('an old Node that handed over takes the pinned one with it when it is ended', { skip: noPipes }, async () => {
    const old = "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.0.0' } })";
    const model = goldenPath('formats/gguf-llama-cpp-converter/model-f16.gguf');
    const words = [
      '--import',
      `data:text/javascript,${encodeURIComponent(old)}`,
      bin,
      'chat',
      '-m',
      model,
      '--template',
      'chatml',
    ];
    const child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.write('hello\n');
    await new Promise((done) => child.stdout.once('data', done)); // the answer begins
    child.kill('SIGTERM');
    // 'close' comes when nobody holds the pipes any more: neither process is left.
    const code = await new Promise((done) => child.once('close', done));
    assert.notEqual(code, 0);
  });
});
