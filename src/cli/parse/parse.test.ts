import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { OptionTable } from '../option-table.ts';
import { parse } from './parse.ts';

const table = {
  model: { kind: 'text', short: 'm', help: '' },
  prompt: { kind: 'text', short: 'p', help: '' },
  pairs: { kind: 'texts', short: 'pg', help: '', check: (text) => (/^\d+,\d+$/.test(text) ? null : 'expected P,G') },
  temperature: { kind: 'number', default: 0.8, min: 0, max: 5, help: '' },
  threads: { kind: 'integer', short: 't', min: 1, help: '' },
  sizes: { kind: 'integers', short: 's', default: [1], help: '' },
  device: { kind: 'choice', values: ['auto', 'wasm', 'reference'], default: 'auto', help: '' },
  samplers: { kind: 'names', choices: ['top_k', 'top_p'], default: ['top_p'], help: '' },
  logitBias: { kind: 'bias', help: '' },
  revectorize: { kind: 'flag', default: true, help: '' },
  json: { kind: 'flag', help: '' },
} as const satisfies OptionTable;
const grammar = { options: table, positionals: ['model', 'prompt'] } as const;

function read(line: string[], env: Record<string, string> = {}) {
  return parse(grammar, line, env);
}

test('every spelling of an option gives the same value', () => {
  for (const line of [['--threads', '4'], ['--threads=4'], ['-t', '4'], ['-t4'], ['-t=4']]) {
    const { options, problems } = read(line);
    assert.deepEqual(problems, [], line.join(' '));
    assert.equal(options.threads, 4);
  }
});

test('defaults, flags and their negations', () => {
  const { options } = read([]);
  assert.equal(options.temperature, 0.8);
  assert.equal(options.model, undefined);
  assert.equal(options.revectorize, true);
  assert.equal(options.json, false);
  assert.deepEqual(options.pairs, []);
  assert.equal(read(['--no-revectorize', '--json']).options.revectorize, false);
  assert.equal(read(['--json=false']).options.json, false);
});

test('lists add up over commas and mentions', () => {
  assert.deepEqual(read(['-s', '1,2', '--sizes', '3']).options.sizes, [1, 2, 3]);
  assert.deepEqual(read(['-pg', '1,2', '-pg', '3,4']).options.pairs, ['1,2', '3,4']);
  assert.deepEqual(read(['--samplers', 'top_k, top_p']).options.samplers, ['top_k', 'top_p']);
  assert.deepEqual(read(['--logit-bias', '15=-2', '--logit-bias', 'a=b=false']).options.logitBias, [
    [15, -2],
    ['a=b', false],
  ]);
});

test('plain words fill the positionals, and -- ends the options', () => {
  assert.equal(read(['tiny.gguf', 'Once']).options.prompt, 'Once');
  assert.equal(read(['tiny.gguf', '--', '--prompt']).options.prompt, '--prompt');
  assert.equal(read(['-p', '- item']).options.prompt, '- item');
  assert.equal(read(['a', '-1']).options.prompt, '-1');
});

test('the command line wins over the environment, the environment over the default', () => {
  const env = { CRIA_TEMPERATURE: '0.1', CRIA_THREADS: '3', CRIA_REVECTORIZE: '0', CRIA_SIZES: '7,8' };
  assert.equal(read([], env).options.temperature, 0.1);
  assert.equal(read(['--temperature', '0.2'], env).options.temperature, 0.2);
  assert.equal(read([], env).options.threads, 3);
  assert.equal(read([], env).options.revectorize, false);
  assert.deepEqual(read([], env).options.sizes, [7, 8]);
  assert.equal(read([], { CRIA_TEMPERATURE: '' }).options.temperature, 0.8);
});

test('plain words fill the positionals that no option gave', () => {
  assert.equal(read(['-m', 'tiny.gguf', 'Once']).options.prompt, 'Once');
  assert.equal(read(['tiny.gguf', '-p', 'Once']).options.model, 'tiny.gguf');
  const placed = parse({ ...grammar, placeWords: () => ['prompt'] }, ['Once'], {});
  assert.equal(placed.options.prompt, 'Once');
  assert.equal(placed.options.model, undefined);
});

test('a word that is a positional wins over the environment', () => {
  assert.equal(read(['x.gguf'], { CRIA_MODEL: 'y.gguf' }).options.model, 'x.gguf');
});

test('all problems are listed at once, with the nearest names', () => {
  const { problems } = read(['--temperture', '2', '--threads', '0', '--device', 'wsm', 'a', 'b', 'c', '--prompt']);
  assert.deepEqual(problems, [
    '--temperture is not an option (did you mean --temperature?)',
    '--prompt has no value, expected --prompt TEXT',
    'unexpected argument "b", expected at most [MODEL] [PROMPT] (quote a text with spaces)',
    'unexpected argument "c", expected at most [MODEL] [PROMPT] (quote a text with spaces)',
    '--threads is "0", expected a whole number, at least 1',
    '--device is "wsm", expected one of auto, wasm, reference (did you mean wasm?)',
  ]);
});

test('a shortened option is not taken, but recognised', () => {
  assert.match(read(['--temp', '2']).problems[0]!, /did you mean --temperature/);
});

test('wrong values name the option as the user spelled it', () => {
  const wrong = (line: string[], env = {}) => read(line, env).problems;
  assert.deepEqual(wrong(['--temperature', 'hot']), ['--temperature is "hot", expected a number in 0…5']);
  assert.deepEqual(wrong(['--temperature', 'NaN']), ['--temperature is "NaN", expected a number in 0…5']);
  assert.deepEqual(wrong(['-t', '1.5']), ['-t is "1.5", expected a whole number, at least 1']);
  assert.deepEqual(wrong(['-t', '']), ['-t is "", expected a whole number, at least 1']);
  assert.deepEqual(wrong(['-s', '1,x']), ['-s is "1,x", expected a whole number']);
  assert.deepEqual(wrong(['-pg', '1']), ['-pg is "1", expected P,G']);
  assert.deepEqual(wrong(['--json=maybe']), ['--json is "maybe", expected true or false']);
  assert.deepEqual(wrong(['--logit-bias', '15']).length, 1);
  assert.deepEqual(wrong([], { CRIA_THREADS: 'many' }), [
    'CRIA_THREADS is "many", expected a whole number, at least 1',
  ]);
  assert.deepEqual(wrong(['-t', '1', '-t', '2']), ['--threads is given twice']);
});

test('a required option that is missing is a problem, given in any way it is none', () => {
  const strict = { options: { output: { kind: 'text', required: true, help: '' } }, positionals: ['output'] } as const;
  assert.deepEqual(parse(strict, [], {}).problems, ['--output TEXT is missing (or OUTPUT as a plain word)']);
  assert.deepEqual(parse(strict, ['x'], {}).problems, []);
  assert.deepEqual(parse(strict, [], { CRIA_OUTPUT: 'x' }).problems, []);
});

test('a mistyped variable is remarked on', () => {
  assert.equal(read([], { CRIA_TEMPERTURE: '1' }).remarks.length, 1);
  assert.equal(read([], { CRIA_DEBUG: '1', OTHER: '2' }).remarks.length, 0);
});

test('no command line makes the parser throw, and help is always found', () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom('--', '-', '-t', '--json', '--no-json', '--sizes=', '-t-', '--=', '-='),
  );
  fc.assert(
    fc.property(fc.array(word), (line) => {
      const { problems } = read(line);
      assert.ok(Array.isArray(problems));
      assert.equal(read(['--help', ...line]).help, true);
    }),
  );
});
