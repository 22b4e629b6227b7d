import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { tinyConfig, tinyWeights } from '../../../test/support/tiny-model.ts';
import { type Checkpoint, noGeneration } from '../../model/checkpoint/checkpoint.ts';
import { byteVocabulary } from '../../tokenizer/byte-vocabulary.ts';
import { fitOf, speedOf } from './fit.ts';
import { unusualOf } from './unusual.ts';

const checkpoint: Checkpoint = {
  format: 'gguf',
  name: 'tiny',
  config: tinyConfig,
  tensors: tinyWeights(),
  tokenizer: null,
  chatTemplate: null,
  generation: noGeneration,
  metadata: new Map(),
  notes: ['a note of the reader'],
  close() {},
};
const { blockCount, kvHeadCount, headSize } = tinyConfig;
const f16PerToken = 2 * blockCount * kvHeadCount * headSize * 2;

test('the cache grows with the context and its type; what is free decides what fits', () => {
  const fit = fitOf(checkpoint, { contextLength: 64, kvType: 'f16', freeBytes: 2 ** 40 });
  strictEqual(fit.cacheBytes, 64 * f16PerToken);
  strictEqual(fit.totalBytes, fit.weightBytes + fit.cacheBytes + fit.scratchBytes);
  ok(fit.fits);
  strictEqual(fit.longestContext.f16, tinyConfig.contextLength);
  const freeBytes = fit.weightBytes + fit.scratchBytes + 10 * f16PerToken;
  const tight = fitOf(checkpoint, { contextLength: 64, kvType: 'f16', freeBytes });
  deepStrictEqual([tight.fits, tight.longestContext.f16, tight.longestContext.f32], [false, 10, 5]);
  strictEqual(fitOf(checkpoint, { contextLength: 1, kvType: 'f16', freeBytes: 1000 }).longestContext.q8_0, 0);
});

test('speed is the memory rate over the bytes that a token reads', () => {
  const limits = { readBytesPerSecond: 1e9, int8PerSecond: Infinity, f32PerSecond: Infinity };
  const speed = speedOf(checkpoint, { contextLength: 100, kvType: 'f16' }, limits, 2);
  const bytes = speed.bytesPerToken;
  ok(Math.abs(speed.tokensPerSecond - (0.85 * 1e9) / (bytes + 2 * f16PerToken)) < 1e-6 * speed.tokensPerSecond);
  ok(speed.tokensPerSecondAtEnd < speed.tokensPerSecond);
});

test('what is unusual is said, and nothing else', () => {
  const found = unusualOf(checkpoint);
  strictEqual(found[0], 'a note of the reader');
  match(found.join('\n'), /no tokenizer: it works with token ids only/);
  match(found.join('\n'), /stored in f32/);
  const larger = unusualOf({ ...checkpoint, notes: [], tokenizer: byteVocabulary(2000) });
  match(larger.join('\n'), /its tokenizer has 2000 tokens, the model only \d+: the last ones cannot be used/);
  match(larger.join('\n'), /no chat template/);
  const broken = unusualOf({
    ...checkpoint,
    tokenizer: { kind: 'hf', file: 't.json', json: '{', config: null, specialTokens: null },
  });
  match(broken.join('\n'), /its tokenizer cannot be read: t\.json/);
  const stretched = {
    ...tinyConfig,
    ropeScaling: {
      kind: 'yarn',
      factor: 4,
      originalContextLength: 16,
      betaFast: 32,
      betaSlow: 1,
      wholePairs: true,
      attentionFactor: null,
    },
  } as const;
  match(unusualOf({ ...checkpoint, config: stretched }).join('\n'), /made for 16 tokens and stretched to/);
});
