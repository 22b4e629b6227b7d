import { deepStrictEqual, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { goldenJson, goldenTensors } from '../../../test/support/golden.ts';
import { keptIds, off, probabilitiesById, samplerOf } from './testing/samplers.ts';

interface GoldenSampling {
  tie_row: number;
  cases: {
    index: number;
    kept: number[][];
    settings: Record<string, number> & { suppress_tokens?: number[]; no_repeat_ngram_size?: number };
  }[];
}
const goldenCases = goldenJson<GoldenSampling>('sampling-eval/sampling/expected.json');
const inputs = goldenTensors('sampling-eval/sampling/input.safetensors');
const expected = goldenTensors('sampling-eval/sampling/expected.safetensors');

for (const { index, kept, settings } of goldenCases.cases) {
  test(`case ${index} of transformers' processors: ${JSON.stringify(settings)} keeps the same tokens with the same probabilities`, () => {
    const logits_RV = inputs.logits!.data;
    const probabilities_RV = expected[`probs.${index}`]!.data;
    const [sampler, candidates] = samplerOf(
      48,
      {
        ...off,
        seed: 1,
        temperature: settings.temperature ?? 1,
        topK: settings.top_k ?? 0,
        topP: settings.top_p ?? 1,
        minP: settings.min_p ?? 0,
        typicalP: settings.typical_p ?? 1,
        repeatPenalty: settings.repetition_penalty ?? 1,
        repeatLastN: -1,
        noRepeatNgram: settings.no_repeat_ngram_size ?? 0,
        samplers: ['penalties', 'temperature', 'top_k', 'top_p', 'min_p', 'typ_p'],
      },
      new Map((settings.suppress_tokens ?? []).map((id) => [id, Number.NEGATIVE_INFINITY])),
    );
    // A repeated token is penalized once per distinct token there and here.
    for (let row = 0; row < 6; row++) {
      const history = Uint32Array.from(inputs.input_ids!.data.subarray(row * 12, (row + 1) * 12));
      sampler.sample(logits_RV, row, history, history.length);
      const p = probabilitiesById(candidates);
      const want = probabilities_RV.subarray(row * 48, (row + 1) * 48);
      if (row === goldenCases.tie_row) {
        // Equal logits: top-k and typical keep all that tie there, the smallest ids here; at top-p only the mass is comparable.
        if (settings.top_k || settings.typical_p) ok(new Set(keptIds(candidates)).isSubsetOf(new Set(kept[row])));
        else assertClose('sorted probabilities', p.toSorted(), want.toSorted(), { atol: 1e-5 });
      } else {
        deepStrictEqual(
          keptIds(candidates).filter((id) => p[id]! > 0),
          kept[row],
        );
        assertClose('probabilities', p, want, { atol: 1e-5 });
      }
    }
  });
}
