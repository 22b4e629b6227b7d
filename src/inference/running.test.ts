/** From tokens to text: what a scripted model says, and what of it comes out when. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { goldenPath } from '../../test/support/golden.ts';
import type { CachedSequence } from '../model/kv-cache.ts';
import { createTokenizer } from '../tokenizer/create-tokenizer.ts';
import type { GenerationResult, Piece } from './generation.ts';
import { resolveOptions } from './option-table.ts';
import { type GenerationOptions, generationOptions } from './options.ts';
import { Running } from './running.ts';
import { Candidates } from './sampler/candidates.ts';
import { findBreakers } from './sampler/dry.ts';
import { Sampler } from './sampler/sampler.ts';
import { breakerVocabulary, resolveBiases } from './text/token-texts.ts';

const file = goldenPath('tokenizers/sp-bpe-512/tokenizer.model');
const tokenizer = createTokenizer({ kind: 'sentencepiece', file, bytes: readFileSync(file) });
const V = tokenizer.vocabSize;
const eogIds = tokenizer.eogIds;
const [eos] = [...eogIds];

/** Lets a model say these ids, greedily, after a prompt; returns what was heard. */
function say(promptText: string, ids: ArrayLike<number>, options: GenerationOptions = {}) {
  const settings = resolveOptions('test', generationOptions, { temperature: 0, ...options });
  const candidates = new Candidates(V);
  const sampler = new Sampler(settings, { candidates, seed: 1, biases: new Map(), breakers: new Map() });
  const pieces: Piece[] = [];
  let result: GenerationResult | null = null;
  const listener = {
    piece: (piece: Piece) => void pieces.push(piece),
    done: (end: GenerationResult) => {
      result = end;
    },
    failed: (error: unknown) => {
      throw error;
    },
  };
  const promptIds = tokenizer.encode(promptText, { bos: true });
  const engine = { sampler, candidates, tokenizer, eogIds, contextLength: 4096, clock: () => 0, guesser: null };
  const running = new Running(promptIds, settings, listener, engine);
  for (let i = 0; i < ids.length && result === null; i++) {
    const logits = new Float32Array(V);
    logits[ids[i]!] = 10;
    const { length } = running; // all of it is computed
    running.cached = { length, release: () => {} } as unknown as CachedSequence;
    running.accept(logits, 0, 1);
  }
  return { pieces, result: result as GenerationResult | null, text: pieces.map(({ text }) => text).join('') };
}

/** The ids that follow `before` in the encoding of before + after, which the tokenizer must not merge. */
function continuation(before: string, after: string): Uint32Array {
  const all = tokenizer.encode(before + after, { bos: true });
  return all.slice(tokenizer.encode(before, { bos: true }).length);
}

test('the first piece keeps its space after a prompt, and loses it after nothing', () => {
  const ids = continuation('The', ' king is here');
  strictEqual(say('The', ids).text, ' king is here');
  strictEqual(say('', continuation('', 'The king')).text, 'The king');
});

test('a character of several bytes comes out whole; a broken one as U+FFFD at the end', () => {
  const bytes = [...new TextEncoder().encode('🦙')].map(
    (byte) => tokenizer.idOf(`<0x${byte.toString(16).toUpperCase()}>`)!,
  );
  const { pieces } = say('x', bytes);
  deepStrictEqual(
    pieces.map(({ text }) => text),
    ['', '', '', '🦙'],
  );
  strictEqual(say('x', bytes.slice(0, 2), { maxTokens: 2 }).text, '��');
});

test('an end-of-generation token ends it; text that was held back comes with it', () => {
  const ids = continuation('The', ' king');
  const plain = say('The', [...ids, eos!, ...ids]);
  deepStrictEqual([plain.text, plain.result!.finishReason, plain.result!.eogId], [' king', 'stop', eos]);
  deepStrictEqual(
    plain.pieces.map(({ id }) => id),
    [...ids],
  );
  deepStrictEqual([...plain.result!.ids], [...ids]);
  const held = say('The', [...ids, eos!], { stop: ['king of'] });
  deepStrictEqual([held.text, held.result!.stop, held.pieces.at(-1)!.id], [' king', null, eos]);
});

test('a stop string across tokens: nothing of it comes out, wherever it lies', () => {
  const whole = ' king said: "Go!" and all of them went away';
  const ids = continuation('The', whole);
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 12 }), (from, length) => {
      const stop = whole.slice(from, from + length);
      const { text, result, pieces } = say('The', ids, { stop: [stop, 'never said'] });
      strictEqual(text, whole.slice(0, whole.indexOf(stop)));
      deepStrictEqual([result!.finishReason, result!.stop, result!.text], ['stop', stop, text]);
      // Nothing was held back that could not have become the stop string.
      const ended = pieces.findLast((piece) => piece.text !== '')?.text ?? '';
      ok(!ended.endsWith(stop));
    }),
  );
  strictEqual(say('The', ids, { stop: ['never said'], maxTokens: ids.length }).text, whole);
});

test('biases by text fall on each of its tokens; ignoreEos forbids every end', () => {
  const ids = tokenizer.encode('king');
  const biases = resolveBiases(
    {
      logitBias: [
        ['king', 2],
        [ids[0]!, 1],
      ],
      ignoreEos: true,
    },
    tokenizer,
    eogIds,
    V,
  );
  strictEqual(biases.get(ids[0]!), 3);
  for (const id of eogIds) strictEqual(biases.get(id), Number.NEGATIVE_INFINITY);
});

test('DRY finds its breakers in a real vocabulary', () => {
  const breakers = findBreakers(breakerVocabulary(tokenizer), ['\n', ':']);
  for (const text of ['\n', ':']) {
    const [id] = tokenizer.encode(`a${text}`).slice(-1);
    deepStrictEqual(breakers.get(id!), [new Uint32Array(0)], JSON.stringify(text));
  }
  ok(!breakers.has(tokenizer.encode('king')[0]!));
});
