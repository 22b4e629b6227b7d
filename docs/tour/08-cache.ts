/**
 * Lesson 8: the KV cache, and why heads share keys.
 *
 * Nothing before a token looks at it, so keys and values of earlier tokens never change: they are kept. Per token and block that is a
 * key and a value of K heads of E numbers:  2 · blocks · K · E.
 * Source: Shazeer 2019, arXiv:1911.02150; Ainslie et al. 2023, arXiv:2305.13245. Pictures: /explore/#scene=cache, /explore/#scene=sharing
 */
import { Llama } from 'cria';

await using model = await Llama.load();
const { blockCount, kvHeadCount, headSize, headCount } = model.config;
const bytesEach = { f32: 4, f16: 2, q8_0: 34 / 32, q4_0: 18 / 32 }[model.facts.kvType];
const perToken = 2 * blockCount * kvHeadCount * headSize * bytesEach;
console.log(`${perToken} bytes for each token (${model.facts.kvType}), ${perToken * 512} for 512`);
console.log(`with one key head in place of ${kvHeadCount}: ${perToken / kvHeadCount} bytes`);

// A prompt that continues one that was just read is computed from where they part.
const story =
  'Once upon a time there was a little girl who lived in a house near the forest with her old grandmother, a cat, a dog and seven hens.';
const text = `${story} One day`;
for (const prompt of [text, `${text} she`]) {
  let kept = 0;
  const { timings } = await model.generate(prompt, { maxTokens: 1, seed: 1, onAdmitted: (cached) => (kept = cached) })
    .result;
  console.log(`${timings.prompt_n + kept} tokens in the prompt, ${kept} of them from the cache`);
}

// Sharing heads that were trained apart costs: the next token's distribution moves away.
const ids = model.tokenizer.encode(text, { bos: true });
const next = async (keyGroups: number) => {
  return (await model.trace(ids, ['probabilities'], { rows: [ids.length - 1], keyGroups })).get('probabilities').data;
};
const p = await next(kvHeadCount);
for (let groups = kvHeadCount; groups >= 1; groups--) {
  if (kvHeadCount % groups !== 0) continue; // groups are of equal size
  const q = await next(groups);
  const divergence = p.reduce((sum, share, id) => sum + share * Math.log(share / q[id]!), 0);
  console.log(`${headCount} query heads, ${groups} of keys: KL ${divergence.toFixed(3)}`);
}
