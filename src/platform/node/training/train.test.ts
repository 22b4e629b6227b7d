/** Whole runs of `cria train` on a text of a few hundred bytes: resumed to the same bits, killed anywhere, refused with clear words. */

import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { goldenPath } from '../../../../test/support/golden.ts';
import { Random } from '../../../base/random.ts';
import type { Io } from '../../../cli/io.ts';
import { runProgram } from '../../../cli/program.ts';
import { readSafetensors } from '../../../formats/safetensors.ts';
import { readWeights } from '../../../quant/rows.ts';
import type { TensorSource } from '../../../tensor/source.ts';
import type { StepMetrics } from '../../../training/run/loop.ts';
import { openCheckpointAt, openFile } from '../files.ts';
import { digestOf, verifyWholeFolder, writeWholeFolder } from './whole-folder.ts';

const bin = fileURLToPath(new URL('../../../../bin/cria.js', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'cria-train-'));
after(() => rmSync(work, { recursive: true, force: true }));
const at = (name: string) => join(work, name);

const line = (i: number) =>
  JSON.stringify({
    text: `The cat number ${i} sat on mat ${i * 7}. ${'It was glad. '.repeat(i % 4)}`,
    simple: (i % 3) / 2,
  });
writeFileSync(at('train.jsonl.gz'), gzipSync(Array.from({ length: 60 }, (_, i) => line(i)).join('\n')));
writeFileSync(at('valid.jsonl'), `${line(100)}\n${line(101)}\n`);

const STEPS = 14;
writeFileSync(
  at('recipe.yaml'),
  `name: tiny
model: { depth: 2, width: 32, heads: 2, contextLength: 16 }
tokenizer: { path: ${goldenPath('tokenizers/sp-bpe-512/tokenizer.model')} }
data:
  train: [{ path: ${at('train.jsonl.gz')}, weightField: simple }]
  valid: ${at('valid.jsonl')}
training: { tokens: ${STEPS * 64}, batchTokens: 64, microBatchTokens: 32, ema: 0.9, matrices: muon }
output: { validateEvery: 5, checkpointEvery: 3, sampleEvery: 9, keepLast: 2 }
`,
);

const words = (out: string, ...more: string[]) => [
  bin,
  'train',
  at('recipe.yaml'),
  '--out',
  at(out),
  '-t',
  '1',
  ...more,
];
const cria = (out: string, ...more: string[]) => spawnSync(process.execPath, words(out, ...more), { encoding: 'utf8' });
/** The command without a process of its own. */
async function inProcess(
  line: readonly string[],
  signal = new AbortController().signal,
): Promise<{ status: number; stderr: string }> {
  let stderr = '';
  const io: Io = {
    stdout: { write: () => true },
    stderr: { write: (text) => (stderr += text) },
    stdin: process.stdin,
    env: {},
    signal,
    onInterrupt: () => () => {},
  };
  return { status: await runProgram(line, io, '0'), stderr };
}
const weights = (out: string, step = STEPS) =>
  digestOf(join(at(out), 'checkpoints', `step-${String(step).padStart(8, '0')}`, 'model.safetensors'));
/** All that a run goes on with: weights, their average, moments. */
const bits = (out: string, step = STEPS) =>
  ['model', 'averaged', 'optimizer'].map((file) =>
    digestOf(join(at(out), 'checkpoints', `step-${String(step).padStart(8, '0')}`, `${file}.safetensors`)),
  );
const checkpointsOf = (out: string) =>
  readdirSync(join(at(out), 'checkpoints')).filter((name) => name.startsWith('step-'));

test('Ctrl-C is heard while a text is read for its digest', async () => {
  const { status, stderr } = await inProcess(words('stopped').slice(1), AbortSignal.abort());
  equal(status, 130, stderr);
  ok(!stderr.includes('tokenizing'), stderr);
  ok(!existsSync(at('stopped')));
});

test('a run writes metrics, a report and checkpoints that load as models; the same run twice gives the same bits', () => {
  const first = cria('first');
  equal(first.status, 0, first.stderr);
  match(first.stderr, /step {2}1\/14 {2}loss \d/);
  match(first.stdout, /^14 steps, 896 tokens, best [\d.]+ bits per byte at step \d+: /);
  const metrics = readFileSync(join(at('first'), 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n');
  deepEqual(
    metrics.map((text) => (JSON.parse(text) as { step: number }).step),
    Array.from({ length: STEPS }, (_, i) => i + 1),
  );
  ok(existsSync(join(at('first'), 'report.html')) && existsSync(join(at('first'), 'report.svg')));
  ok(checkpointsOf('first').length <= 3); // the last two, and the best
  const checkpoint = openCheckpointAt(join(at('first'), 'checkpoints', `step-000000${STEPS}`));
  equal(checkpoint.config.width, 32);
  equal(checkpoint.name, 'first'); // the run, of which this is a step
  equal(checkpoint.tokenizer?.kind, 'sentencepiece');
  checkpoint.close();
  const metadata = spawnSync(process.execPath, [bin, 'inspect', at('first'), '--json', '--no-tensors'], {
    encoding: 'utf8',
  });
  equal(metadata.status, 0, metadata.stderr);
  equal(JSON.parse(metadata.stdout).config.width, 32, 'the folder of a run is a model: its best checkpoint');
  equal(cria('twin').status, 0);
  deepEqual(bits('twin'), bits('first'));
});

test('killed at random moments, also in the middle of a save, a run goes on to the same bits', async () => {
  const random = new Random(Date.now());
  for (let kills = 0; kills < 6; kills++) {
    const child = spawn(process.execPath, words('killed', '--resume', '--json'), {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let lines = 0;
    const fatal = 1 + random.below(6);
    const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
    child.stdout.on('data', (chunk: Buffer) => {
      lines += chunk.toString().split('\n').length - 1;
      // Sometimes at once, sometimes while the step after is being computed or a checkpoint written.
      if (lines >= fatal) setTimeout(() => child.kill('SIGKILL'), random.below(12));
    });
    if ((await ended) === 0) break;
  }
  const last = cria('killed', '--resume');
  equal(last.status, 0, last.stderr);
  deepEqual(bits('killed'), bits('first'));
});

test('the model of a checkpoint is the averaged one where the recipe says so, and goes on to the same bits', async () => {
  const averaged = (out: string, ...more: string[]) =>
    inProcess(words(out, '--set', 'output.weights=averaged', ...more).slice(1));
  const whole = await averaged('averaged');
  equal(whole.status, 0, whole.stderr);
  match(whole.stderr, /validation [\d.]+ bits per byte, loss [\d.]+; not averaged [\d.]+/);
  const folder = (out: string) => join(at(out), 'checkpoints', `step-000000${STEPS}`);
  const numbers = (tensors: ReadonlyMap<string, TensorSource>) =>
    readWeights([...tensors.values()].find(({ name }) => name.includes('embed'))!);
  const [model, file] = [openCheckpointAt(folder('averaged')), openFile(join(folder('first'), 'averaged.safetensors'))];
  deepEqual(numbers(model.tensors), numbers(readSafetensors(file).tensors));
  model.close();
  file.close();
  cpSync(at('averaged'), at('averaged-again'), { recursive: true });
  rmSync(folder('averaged-again'), { recursive: true });
  const again = await averaged('averaged-again', '--resume');
  equal(again.status, 0, again.stderr);
  for (const name of ['model', 'trained', 'optimizer']) {
    equal(
      ...(['averaged-again', 'averaged'].map((out) => digestOf(join(folder(out), `${name}.safetensors`))) as [
        string,
        string,
      ]),
    );
  }
  cpSync(at('averaged'), at('averaged-other'), { recursive: true });
  rmSync(folder('averaged-other'), { recursive: true });
  const other = ['--resume', '--allow-change', 'output.weights'];
  const back = await inProcess(words('averaged-other', ...other).slice(1));
  match(back.stderr, /changed, as allowed: output\.weights is "trained", and was "averaged"/);
  deepEqual(bits('averaged-other'), bits('first'));
});

test('several sources and validation sets are told apart, the one that the recipe names chooses the best; the batch grows', async () => {
  writeFileSync(
    at('several.yaml'),
    readFileSync(at('recipe.yaml'), 'utf8')
      .replace(/^ {2}train: .*$/m, (all) =>
        all.replace('[{', '[{ name: cats, share: 3,').replace(' }]', ` }, { path: ${at('valid.jsonl')} }]`),
      )
      .replace(/^ {2}valid: (.*)$/m, `  valid: [{ path: $1 }, { name: cats, path: ${at('train.jsonl.gz')} }]`)
      .replace('model: {', 'model: { qkNorm: head,')
      .replace('output: {', 'output: { bestBy: cats, keepEvery: 3,')
      .replace('training: {', 'training: { dropout: 0.1, rampFromTokens: 32, rampTokens: 128,'),
  );
  const several = (out: string, ...more: string[]) =>
    inProcess(['train', at('several.yaml'), '--out', at(out), '-t', '1', ...more]);
  const { status, stderr } = await several('several');
  equal(status, 0, stderr);
  match(stderr, /by set: validation 1 [\d.]+, cats [\d.]+/);
  const metrics = readFileSync(join(at('several'), 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text) as StepMetrics);
  const { sources, validation } = metrics.at(-1)!;
  deepEqual(Object.keys(sources!), ['cats', 'source 2']);
  const tokens = Object.values(sources!).map((source) => source.tokens);
  const all = metrics.reduce((sum, { batchTokens }) => sum + batchTokens!, 0);
  equal(tokens[0]! + tokens[1]!, all, 'every token is of a source');
  equal(sources!.cats!.share, tokens[0]! / all);
  deepEqual(
    metrics.slice(0, 6).map(({ batchTokens }) => batchTokens),
    [32, 32, 32, 32, 64, 64],
  );
  ok(all >= STEPS * 64 && all < STEPS * 64 + 64);
  ok(Math.abs(sources!.cats!.share - 0.75) < 0.05);
  deepEqual(Object.keys(validation!.sets!), ['validation 1', 'cats']);
  const { loss, bitsPerByte } = validation!;
  deepEqual({ loss, bitsPerByte }, validation!.sets!.cats);
  const best = JSON.parse(readFileSync(join(at('several'), 'checkpoints', 'best.json'), 'utf8')) as {
    bitsPerByte: number;
  };
  const found = metrics.flatMap((m) => m.validation?.sets?.cats?.bitsPerByte ?? []);
  equal(best.bitsPerByte, Math.min(...found));
  match(
    readFileSync(join(at('several'), 'metrics.csv'), 'utf8'),
    /sources\.cats\.loss.*validation\.sets\.cats\.bitsPerByte/,
  );
  const steps = metrics.length;
  const config = readFileSync(join(at('several'), 'checkpoints', 'step-00000003', 'config.json'), 'utf8');
  equal(JSON.parse(config).model_type, 'qwen3', 'the form that transformers has for norms of heads');
  cpSync(at('several'), at('several-again'), { recursive: true });
  for (const name of checkpointsOf('several-again').filter((folder) => Number(folder.slice(5)) > 3)) {
    rmSync(join(at('several-again'), 'checkpoints', name), { recursive: true });
  }
  const again = await several('several-again', '--resume');
  equal(again.status, 0, again.stderr);
  match(again.stderr, /resuming after step 3/);
  deepEqual(bits('several-again', steps), bits('several', steps));
});

test('--resume without a run to go on with begins one, and says so', () => {
  const { status, stderr } = cria('fresh', '--resume');
  equal(status, 0, stderr);
  match(stderr, /nothing to go on with in .*fresh: from the beginning/);
});

test('a damaged checkpoint is passed over aloud, and the one before it taken', () => {
  cpSync(at('first'), at('damaged'), { recursive: true });
  const folder = join(at('damaged'), 'checkpoints', `step-000000${STEPS}`);
  truncateSync(join(folder, 'model.safetensors'), 1000);
  const result = cria('damaged', '--resume');
  equal(result.status, 0, result.stderr);
  match(result.stderr, /model.safetensors: expected \d+ bytes, found 1000/);
  match(result.stderr, /resuming after step 1[0-3]/);
  deepEqual(bits('damaged'), bits('first'));
});

/** Another tokenizer of the same size: the first one with its scores changed. */
function otherTokenizer(): string {
  const bytes = readFileSync(goldenPath('tokenizers/sp-bpe-512/tokenizer.model'));
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(at('other.model'), bytes);
  return at('other.model');
}

test('a finished run says so; a longer one goes on where that is allowed; a moved text is the same text', async () => {
  cpSync(at('first'), at('longer'), { recursive: true });
  cpSync(at('train.jsonl.gz'), at('moved.jsonl.gz'));
  const done = await inProcess(
    words('longer', '--resume', '--set', `data.train.0.path=${at('moved.jsonl.gz')}`).slice(1),
  );
  equal(done.status, 0, done.stderr);
  match(
    done.stderr,
    /changed: data\.train\.0\.path .*the content is the same\n.*the run is finished: all its 14 steps are done/,
  );
  const more = ['--resume', 'auto', '--set', `training.tokens=${(STEPS + 1) * 64}`, '--allow-change', 'training'];
  const longer = await inProcess(words('longer', ...more).slice(1));
  equal(longer.status, 0, longer.stderr);
  match(longer.stderr, /changed, as allowed: training\.tokens is 960, and was 896[\s\S]*resuming after step 14/);
});

test('checkpoints that are all damaged are not a beginning', async () => {
  cpSync(at('first'), at('all-damaged'), { recursive: true });
  for (const name of checkpointsOf('all-damaged')) {
    writeFileSync(join(at('all-damaged'), 'checkpoints', name, 'digests.json'), 'null');
  }
  const { status, stderr } = await inProcess(words('all-damaged', '--resume').slice(1));
  equal(status, 1);
  match(stderr, /digests\.json: it is no list of files[\s\S]*expected one sound checkpoint, found \d, all damaged/);
});

test('what cannot work is refused in words, and nothing is lost', async () => {
  const refusals: [RegExp, string[], string][] = [
    [/already holds a run. Go on with it with --resume/, [], 'first'],
    [
      /model\.width is 64, and was 32 .*Resume with the recipe that the run began with/,
      ['--resume', '--set', 'model.width=64'],
      'first',
    ],
    [
      /3 problems\n.*seed is 4, and was 1 .*\n.*training\.matrices is "adamw".*\n.*training\.beta1 is 0\.8, and was 0\.9 when the run began\. Go on with it by --allow-change training\.beta1/,
      ['--resume', '--set', 'seed=4', '--set', 'training.matrices=adamw', '--set', 'training.beta1=0.8'],
      'first',
    ],
    [/data\.train has 2 entries, and had 1/, ['--resume', '--set', `data.train.1.path=${at('valid.jsonl')}`], 'first'],
    [
      /data\.train\.0\.path is .*valid\.jsonl", and was .*the order of the documents/,
      ['--resume', '--set', `data.train.0.path=${at('valid.jsonl')}`],
      'first',
    ],
    [
      /tokenizer\.path is .*the embeddings belong to the tokens of the other one/,
      ['--resume', '--set', `tokenizer.path=${otherTokenizer()}`],
      'first',
    ],
    [
      /2 problems\n.*tokenizer.path: no.model does not exist.*\n.*data.valid: nowhere.txt does not exist. Say where it is with --set/,
      ['--set', 'data.valid=nowhere.txt', '--set', 'tokenizer.path=no.model'],
      'a',
    ],
    [/model.dept is not a setting \(did you mean model.depth\?\)/, ['--set', 'model.dept=3'], 'b'],
    [/--set x: expected KEY=VALUE/, ['--set', 'x'], 'c'],
  ];
  writeFileSync(at('empty.txt'), '');
  refusals.push([/empty.txt: expected text, found none/, ['--set', `data.valid=${at('empty.txt')}`], 'd']);
  writeFileSync(at('latin.txt'), Buffer.from([0x63, 0x61, 0x66, 0xe9, 0x0a]));
  refusals.push([/latin.txt @ about byte 0: expected UTF-8 text/, ['--set', `data.valid=${at('latin.txt')}`], 'e']);
  writeFileSync(at('bad.jsonl'), '{"text": "a"}\n{"no": 1}\n');
  refusals.push([/bad.jsonl @ line 2: expected a text under "text"/, ['--set', `data.valid=${at('bad.jsonl')}`], 'f']);
  const shards = join(at('first'), 'tokens', 'train-0');
  const other = goldenPath('tokenizers/sp-bpe-1000/tokenizer.model');
  refusals.push([
    /its tokens are of a vocabulary of 512, the tokenizer has 1000 pieces/,
    ['--set', `data.train.0.path=${shards}`, '--set', `tokenizer.path=${other}`],
    'g',
  ]);
  for (const [message, options, out] of refusals) {
    const { status, stderr } = await inProcess(words(out, ...options).slice(1));
    ok(status === 1 || status === 2, `${options.join(' ')}: exit ${status}`);
    match(stderr, message);
    ok(!stderr.includes('    at '), 'no stack');
  }
  equal(weights('first'), weights('twin'));
});

test('token shards are used as they are; made with another tokenizer of the same size, that is said', () => {
  const shards = at('shards');
  cpSync(join(at('first'), 'tokens', 'train-0'), shards, { recursive: true });
  const manifest = join(shards, 'manifest.json');
  writeFileSync(
    manifest,
    readFileSync(manifest, 'utf8').replace(/"sha256": "[0-9a-f]{64}"/, `"sha256": "${'0'.repeat(64)}"`),
  );
  const source = ['--set', `data.train.0.path=${shards}`, '--set', 'training.tokens=64'];
  const result = cria('from-shards', ...source);
  equal(result.status, 0, result.stderr);
  match(result.stderr, /made with another tokenizer file/);
});

test('without data.valid a part of the text is held back, and not trained on', () => {
  const held = ['--set', 'data.valid=null'];
  const result = cria('held-back', ...held);
  equal(result.status, 0, result.stderr);
  match(result.stderr, /tokenizing what is held back of /);
  const kept = (out: string, part: string) => {
    const { documentCount } = JSON.parse(readFileSync(join(at(out), 'tokens', part, 'manifest.json'), 'utf8'));
    return documentCount as number;
  };
  deepEqual(
    ['train-0', 'valid'].map((part) => kept('held-back', part)),
    [57, 3],
  );
});

test('a text too short to hold a part back is refused, and so are token shards without a text beside them', async () => {
  writeFileSync(at('word.txt'), 'cat');
  const refusals: [RegExp, string][] = [
    [/word.txt: expected a text of which a part can be held back/, at('word.txt')],
    [
      /data.valid is missing, and of .*train-0, a folder of token shards, no text can be held back/,
      join(at('first'), 'tokens', 'train-0'),
    ],
    [/first is the folder of a run, and is a folder without manifest.json/, at('first')],
  ];
  for (const [message, path] of refusals) {
    const change = ['data.valid=null', `data.train.0.path=${path}`, 'data.train.0.weightField=null'];
    const line = words('short', ...change.flatMap((text) => ['--set', text])).slice(1);
    const { status, stderr } = await inProcess(line);
    equal(status, 1);
    match(stderr, message);
  }
});

test('a recipe of the package is known by its name', async () => {
  const missing = await inProcess([
    'train',
    'own-text',
    '--out',
    at('named'),
    '--set',
    'data.train.0.path=nowhere.txt',
  ]);
  match(missing.stderr, /recipe own-text: 2 problems[\s\S]*tokenizer.path: own-tokenizer.*does not exist/);
  const typo = await inProcess(['train', 'own-txt']);
  match(typo.stderr, /own-txt: the recipe cannot be read \(ENOENT\).*did you mean own-text\?/);
});

test('a tiny text trains: shorter than a row, it is repeated', () => {
  writeFileSync(at('tiny.txt'), 'A cat.');
  const result = cria(
    'tiny',
    '--set',
    `data.train.0.path=${at('tiny.txt')}`,
    '--set',
    'data.train.0.weightField=null',
    '--set',
    'training.tokens=64',
  );
  equal(result.status, 0, result.stderr);
});

const noLimits = process.platform === 'win32' ? 'this system has no ulimit' : false;
test('a checkpoint that does not fit on the disk: the run ends with a word, and goes on when there is room', {
  skip: noLimits,
}, () => {
  const quoted = [process.execPath, ...words('full')].map((word) => `'${word}'`).join(' ');
  const result = spawnSync('bash', ['-c', `ulimit -f 200; exec ${quoted}`], { encoding: 'utf8' });
  equal(result.status, 1, result.stderr);
  match(
    result.stderr,
    /step-00000003: the checkpoint could not be written \(EFBIG\).*There is none before it.*the same command again/,
  );
  deepEqual(readdirSync(join(at('full'), 'checkpoints')), []);
  equal(cria('full', '--resume').status, 0);
  deepEqual(bits('full'), bits('first'));
});

test('a full disk in the middle of a save leaves the earlier folder whole', () => {
  const folder = at('whole');
  const write = (content: string, fails = false) =>
    writeWholeFolder(folder, (target) => {
      const sink = target.create('a.txt');
      sink.write(new TextEncoder().encode(content));
      if (fails) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      sink.close();
    });
  write('one');
  try {
    write('two', true);
    ok(false, 'expected the error of the disk');
  } catch (error) {
    match(String(error), /ENOSPC/);
  }
  verifyWholeFolder(folder);
  equal(readFileSync(join(folder, 'a.txt'), 'utf8'), 'one');
  write('three');
  equal(readFileSync(join(folder, 'a.txt'), 'utf8'), 'three');
  deepEqual(
    readdirSync(work).filter((name) => name.includes('partial')),
    [],
  );
});

const labs = [
  { norm: 'layer', normPlacement: 'after', qkNorm: 'row', activation: 'geglu', positions: 'learned', kvHeads: '1' },
  { norm: 'batch', normPlacement: 'before', qkNorm: 'none', activation: 'relu', positions: 'sinusoidal', kvHeads: '2' },
];
for (const choices of labs) {
  const name = `lab-${choices.norm}`;
  test(`a model with ${choices.norm} norm trains, resumes to the same bits, and its folder is read, scored and refused as GGUF`, () => {
    const lab = Object.entries(choices).flatMap(([key, value]) => ['--set', `model.${key}=${value}`]);
    const whole = cria(name, ...lab);
    equal(whole.status, 0, whole.stderr);
    const path = join(at(name), 'checkpoints', `step-000000${STEPS}`);
    cpSync(at(name), at(`${name}-again`), { recursive: true });
    rmSync(join(at(`${name}-again`), 'checkpoints', `step-000000${STEPS}`), { recursive: true });
    const again = cria(`${name}-again`, ...lab, '--resume');
    equal(again.status, 0, again.stderr);
    match(again.stderr, /resuming after step 12/);
    equal(weights(`${name}-again`), weights(name));
    const checkpoint = openCheckpointAt(path);
    const { norm, normPlacement, qkNorm, activation, positions, kvHeadCount } = checkpoint.config;
    checkpoint.close();
    deepEqual({ norm, normPlacement, qkNorm, activation, positions, kvHeads: String(kvHeadCount) }, choices);

    const text = spawnSync(process.execPath, [bin, 'perplexity', '-m', path, '-f', at('valid.jsonl'), '-c', '16'], {
      encoding: 'utf8',
    });
    equal(text.status, 0, text.stderr);
    const gguf = spawnSync(process.execPath, [bin, 'convert', path, at(`${name}.gguf`)], { encoding: 'utf8' });
    equal(gguf.status, 1);
    match(
      gguf.stderr,
      new RegExp(`norm is "${choices.norm}", expected "rms": GGUF has no form for other architectures`),
    );
  });
}
