/** test/golden/sampling-eval/multiple-choice: what the lm-evaluation-harness computes with a tiny model, on every device. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseItems } from '../src/evaluation/items.ts';
import { accuracies, choose, scoreItem } from '../src/evaluation/multiple-choice.ts';
import { encodePair, rollingMetrics, rollingWindows, type Scorer } from '../src/evaluation/requests.ts';
import { Engine } from '../src/inference/engine.ts';
import type { Score } from '../src/inference/reading/scoring.ts';
import { loadModel } from '../src/model/model.ts';
import { openCheckpointAt } from '../src/platform/node/files.ts';
import { createTokenizer } from '../src/tokenizer/create-tokenizer.ts';
import { testDevices } from './support/devices.ts';
import { goldenJson, goldenPath } from './support/golden.ts';
import { runAll } from './support/tiny-model.ts';

interface Golden {
  readonly results: {
    readonly golden_mc: Record<'acc,none' | 'acc_norm,none', number>;
    readonly golden_ppl: Record<'word_perplexity,none' | 'byte_perplexity,none' | 'bits_per_byte,none', number>;
  };
  readonly samples: readonly {
    readonly doc: { readonly query: string; readonly choices: readonly string[]; readonly gold: number };
    readonly choices: readonly {
      readonly context: string;
      readonly continuation: string;
      readonly context_ids: number[];
      readonly continuation_ids: number[];
      readonly loglikelihood: number;
      readonly is_greedy: boolean;
    }[];
    readonly acc: number;
    readonly acc_norm: number;
  }[];
  readonly rolling: readonly {
    readonly text: string;
    readonly loglikelihood: number;
    readonly windows: readonly { context_ids: number[]; target_ids: number[]; loglikelihood: number }[];
  }[];
  readonly rolling_prefix_token_id: number;
  readonly rolling_max_length: number;
}

const golden = goldenJson<Golden>('sampling-eval/multiple-choice/expected.json');
const checkpoint = openCheckpointAt(goldenPath('sampling-eval/multiple-choice/model'));
const tokenizer = createTokenizer(checkpoint.tokenizer!, { vocabSize: checkpoint.config.vocabSize });
const encode = (text: string) => tokenizer.encode(text, { bos: tokenizer.addBos });
const file = golden.samples.map(({ doc }) => JSON.stringify(doc)).join('\n');
const items = parseItems('samples', file, { unconditional: 'Answer:' });
const LIMIT = 1e-4;

test('requests are cut into the tokens of the harness', () => {
  for (const [i, { choices }] of golden.samples.entries())
    for (const [k, want] of choices.entries()) {
      const { context, continuation } = items[i]!.choices[k]!;
      deepStrictEqual([context, continuation], [want.context, want.continuation]);
      const pair = encodePair({ encode, prefixId: tokenizer.bosId }, { context, continuation });
      deepStrictEqual([...pair.context], want.context_ids, want.context);
      deepStrictEqual([...pair.continuation], want.continuation_ids, want.continuation);
    }
});

test('rolling windows are those of the harness', () => {
  for (const { text, windows } of golden.rolling) {
    const found = rollingWindows(encode(text), golden.rolling_prefix_token_id, golden.rolling_max_length);
    deepStrictEqual(
      found.map(({ context, continuation }) => [[...context], [...continuation]]),
      windows.map(({ context_ids, target_ids }) => [context_ids, target_ids]),
    );
  }
});

for (const { name, create } of testDevices) {
  describe(`evaluation on ${name}`, () => {
    const scorer = async (): Promise<Scorer & { close(): void }> => {
      const device = await create();
      const engine = new Engine({
        model: loadModel(device, checkpoint.config, checkpoint.tensors),
        device,
        tokenizer,
        contextLength: golden.rolling_max_length,
        cacheTokens: 512,
        kvType: 'f32',
        clock: () => 0,
        drawSeed: () => 0,
      });
      return {
        encode,
        prefixId: tokenizer.bosId,
        contextLength: engine.contextLength,
        score(context, continuations) {
          const scores = new Promise<readonly Score[]>((done, failed) => {
            engine.score(context, continuations, { done, failed });
          });
          runAll(engine);
          return scores;
        },
        close: () => device.close(),
      };
    };

    test('multiple choice: log-likelihoods, greedy flags, acc and acc_norm', async () => {
      const model = await scorer();
      const results = [];
      for (const [i, { choices, acc, acc_norm }] of golden.samples.entries()) {
        const { gold } = items[i]!;
        const scores = await scoreItem(model, items[i]!);
        for (const [k, want] of choices.entries()) {
          const { logLikelihood, isGreedy } = scores[k]!;
          ok(Math.abs(logLikelihood - want.loglikelihood) <= LIMIT, `${logLikelihood}, expected ${want.loglikelihood}`);
          strictEqual(isGreedy, want.is_greedy);
        }
        strictEqual(Number(choose('acc', scores) === gold), acc);
        strictEqual(Number(choose('acc_norm', scores) === gold), acc_norm);
        results.push({ gold, scores });
      }
      const found = accuracies(results);
      strictEqual(found.acc!.accuracy, golden.results.golden_mc['acc,none']);
      strictEqual(found.acc_norm!.accuracy, golden.results.golden_mc['acc_norm,none']);
      model.close();
    });

    test('rolling log-likelihoods, word and byte perplexity, bits per byte', async () => {
      const model = await scorer();
      const documents = [];
      for (const { text, loglikelihood, windows } of golden.rolling) {
        let sum = 0;
        for (const { context_ids, target_ids, loglikelihood: want } of windows) {
          const [score] = await model.score(Uint32Array.from(context_ids), [Uint32Array.from(target_ids)]);
          // a window is a sum of up to 64 log-likelihoods
          ok(Math.abs(score!.logLikelihood - want) <= LIMIT, `${score!.logLikelihood}, expected ${want}`);
          sum += score!.logLikelihood;
        }
        ok(Math.abs(sum - loglikelihood) <= LIMIT * windows.length);
        documents.push({ text, logLikelihood: sum });
      }
      const { wordPerplexity, bytePerplexity, bitsPerByte } = rollingMetrics(documents);
      for (const [value, key] of [
        [wordPerplexity, 'word_perplexity,none'],
        [bytePerplexity, 'byte_perplexity,none'],
        [bitsPerByte, 'bits_per_byte,none'],
      ] as const) {
        const want = golden.results.golden_ppl[key];
        ok(Math.abs(value / want - 1) <= 1e-5, `${key}: ${value}, expected ${want}`);
      }
      model.close();
    });
  });
}
