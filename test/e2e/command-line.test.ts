/** The manners of the command line, whatever the verb. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { verbs } from '../../src/cli/verbs.ts';
import { cria, spawnCria } from './cria.ts';

const version = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

describe('cria', () => {
  test('without words, and with --help, lists the verbs on stdout', async () => {
    for (const words of [[], ['--help'], ['help']]) {
      const { code, stdout, stderr } = await cria(words);
      assert.equal(code, 0);
      assert.equal(stderr, '');
      for (const name of Object.keys(verbs)) assert.ok(stdout.includes(`  ${name} `), name);
    }
  });

  test('--version is the version and nothing else', async () => {
    assert.deepEqual(await spawnCria(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test('VERB --help and help VERB are the same page', async () => {
    const [first, second] = await Promise.all([cria(['run', '--help']), cria(['help', 'run'])]);
    assert.equal(first.code, 0);
    assert.match(first.stdout, /--max-tokens/);
    assert.equal(first.stdout, second.stdout);
  });

  test('an unknown verb: exit code 2, the nearest one, nothing on stdout', async () => {
    const { code, stdout, stderr } = await cria(['inspct']);
    assert.equal(code, 2);
    assert.equal(stdout, '');
    assert.match(stderr, /"inspct" is not a verb \(did you mean inspect\?\)/);
  });

  test('an option before the verb is explained', async () => {
    const { code, stderr } = await cria(['--model', 'x']);
    assert.equal(code, 2);
    assert.match(stderr, /the verb comes first/);
  });

  test('a wrong command line: exit code 2, every problem, no stack', async () => {
    const { code, stdout, stderr } = await cria([
      'run',
      '-m',
      'x.gguf',
      '--temperture',
      '1',
      '--top-k',
      'many',
      '-t',
      '0',
    ]);
    assert.equal(code, 2);
    assert.equal(stdout, '');
    assert.match(stderr, /--temperture is not an option \(did you mean --temperature\?\)/);
    assert.match(stderr, /--top-k is "many"/);
    assert.match(stderr, /-t is "0"/);
    assert.doesNotMatch(stderr, /^\s+at /m);
  });

  test('work that fails: exit code 1 and the message alone; the stack only with CRIA_DEBUG', async () => {
    const failing = ['inspect', 'package.json'];
    const cwd = fileURLToPath(new URL('../../', import.meta.url));
    const { code, stdout, stderr } = await spawnCria(failing, { cwd });
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
    assert.match(stderr, /^cria inspect: package\.json @ byte 0: expected/);
    const debugged = await spawnCria(failing, { cwd, env: { CRIA_DEBUG: '1' } });
    assert.equal(debugged.code, 1);
    assert.match(debugged.stderr, /^\s+at /m);
  });

  test('a model that does not exist is named, and what to do is said', async () => {
    const { code, stderr } = await cria(['run', '-m', 'nowhere.gguf', 'Once']);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /nowhere\.gguf: expected a file, a folder, the name of a bundled model or hf:owner\/repo, found nothing of this name/,
    );
  });

  test('a file that is not there, and a folder where a file was asked for, are said in words', async () => {
    const missing = await cria(['run', '-f', 'nothere.txt']);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /nothere\.txt: expected a file or folder, found nothing of this name/);
    const folder = await cria(['tokenize', '-m', 'package.json', '--text', 'x']);
    assert.equal(folder.code, 1);
    const { code, stderr } = await cria(['perplexity', '-f', fileURLToPath(new URL('../', import.meta.url))]);
    assert.equal(code, 1);
    assert.match(stderr, /expected a file, found a folder/);
  });

  test('doctor reports on this machine, for people and for programs', async () => {
    const [text, json] = await Promise.all([cria(['doctor']), cria(['doctor', '--json'])]);
    assert.equal(text.code, 0);
    assert.match(text.stdout, /SIMD[\s\S]*kernels/);
    const report = JSON.parse(json.stdout) as { machine: { physicalCores: number; node: string }; kernels: string };
    assert.equal(report.machine.node, process.versions.node);
    assert.ok(report.machine.physicalCores >= 1);
    assert.match(report.kernels, /wasm|reference/);
  });
});
