/** Tokens that are kept: taken again where they are sound, made anew or refused in words where they are not. */
import { deepEqual, equal, match, rejects } from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { goldenPath } from '../../../../../test/support/golden.ts';
import { createTokenizer } from '../../../../tokenizer/create-tokenizer.ts';
import { findTokenizerFiles } from '../../load-tokenizer.ts';
import { openTokens, type TextSource } from './token-cache.ts';

const work = mkdtempSync(join(tmpdir(), 'cria-tokens-'));
after(() => rmSync(work, { recursive: true, force: true }));

const files = findTokenizerFiles(goldenPath('tokenizers/sp-bpe-512/tokenizer.model'));
const tokenizer = createTokenizer(files);
const text = join(work, 'text.jsonl');
const weights = [1, 0.25, 4];
writeFileSync(
  text,
  weights.map((weight, i) => JSON.stringify({ text: `Cat ${i}. `.repeat(i + 1), weight })).join('\n'),
);
const weighted: TextSource = {
  name: 'x',
  paths: [text],
  digest: 'd',
  part: 'all',
  field: undefined,
  weightField: 'weight',
  weightPower: 0.5,
};
const folder = join(work, 'tokens');

async function open(source = weighted, tokenizerDigest = 't', place = folder) {
  const told: string[] = [];
  const options = { encoder: { files, tokenizer, threads: 1 }, tokenizerDigest, isStopped: () => false };
  const { documents } = await openTokens(source, place, { ...options, tell: (message) => told.push(message) });
  return { documents, told };
}

/** What a spoilt byte or a cut does to a file of the folder. */
const damages: readonly (readonly [file: string, spoil: (path: string) => void])[] = [
  'tokens-00000.bin',
  'tokens-00000.ends.bin',
  'weights.bin',
  'manifest.json',
  'text.json',
  'digests.json',
].flatMap((file) => [
  [file, (path) => truncateSync(path, readFileSync(path).length >> 1)] as const,
  [
    file,
    (path) => {
      const bytes = readFileSync(path);
      bytes[bytes.length >> 1]! ^= 1;
      writeFileSync(path, bytes);
    },
  ] as const,
  [file, (path) => rmSync(path)] as const,
]);

test('weights are scaled so that an epoch has as many tokens as the text; sound tokens are taken as they are', async () => {
  const { documents } = await open();
  const lengths = [0, 1, 2].map((i) => documents.lengthOf(i));
  const roots = weights.map((weight) => weight ** 0.5);
  const plain = lengths.reduce((sum, length) => sum + length);
  const sum = lengths.reduce((total, length, i) => total + length * roots[i]!, 0);
  deepEqual(
    [0, 1, 2].map((i) => documents.weightOf!(i)),
    roots.map((root) => Math.fround((root * plain) / sum)),
  );
  deepEqual((await open()).told, []);
  const none = join(work, 'none.jsonl');
  writeFileSync(none, '{"text":"a b","weight":0}\n');
  await rejects(
    open({ ...weighted, paths: [none] }, 't', join(work, 'none')),
    /only weights of 0.*data\.train\.weightField/,
  );
});

test('a spoilt byte, a cut and a missing file are found, said, and mended by tokenizing anew', async () => {
  const { documents: sound } = await open();
  const tokens = [0, 1, 2].map((i) => [...sound.tokens(i)]);
  for (const [file, spoil] of damages) {
    spoil(join(folder, file));
    const { documents, told } = await open();
    match(told[0]!, /tokens that were made before are damaged \(.*\); they are made anew$/, file);
    match(told[1]!, /^tokenizing /);
    deepEqual(
      [0, 1, 2].map((i) => [...documents.tokens(i)]),
      tokens,
    );
  }
  match((await open(weighted, 'other')).told[0]!, /are of another text, tokenizer or setting; they are made anew$/);
});

test('token shards that were made elsewhere are looked at once, and refused where they are not what their manifest says', async () => {
  for (const [file, spoil] of damages) {
    if (!file.startsWith('tokens-')) continue;
    const shards = join(work, 'shards');
    rmSync(shards, { recursive: true, force: true });
    await open({ ...weighted, weightField: undefined }, 't', shards);
    const given = { ...weighted, paths: [shards] };
    const place = join(work, 'given');
    equal((await open(given, 't', place)).documents.count, 3);
    equal((await open(given, 't', place)).documents.count, 3);
    spoil(join(shards, file));
    await rejects(open(given, 't', place), { code: 'tokens.damaged' }, file);
  }
});
