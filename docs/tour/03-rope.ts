/**
 * Lesson 3: RoPE, how a model knows where words stand.
 *
 * Two neighbouring numbers of a query are a point in a plane. It is turned by position · ω, each pair with an ω of its own:
 *
 *   ω_i = θ^(−2i/E)        (a, b) → (a·cos − b·sin, a·sin + b·cos)
 *
 * A query and a key that are both turned meet at the difference of their angles: the score knows how far apart they are.
 * Source: Su et al. 2021, arXiv:2104.09864. Pictures: /explore/#scene=rope
 */
import { Llama } from 'cria';

await using model = await Llama.load();
const { headSize: E, ropeTheta } = model.config;
const ids = model.tokenizer.encode('The cat sat on the mat', { bos: true });
const [query, key] = [6, 2];

const names = ['queriesPlain', 'queries', 'keysPlain', 'scores'].map((part) => `blocks.0.attention.${part}`);
const trace = await model.trace(ids, names, { heads: [0] });
const headOf = (part: string, token: number) => {
  const { shape, data } = trace.get(`blocks.0.attention.${part}`);
  return data.subarray(token * shape[1]!, token * shape[1]! + E);
};

const rotate = (x: Float32Array, position: number) => {
  const y = new Float64Array(E);
  for (let i = 0; i < E / 2; i++) {
    const angle = position * ropeTheta ** ((-2 * i) / E);
    const [a, b] = [x[2 * i]!, x[2 * i + 1]!];
    y[2 * i] = a * Math.cos(angle) - b * Math.sin(angle);
    y[2 * i + 1] = a * Math.sin(angle) + b * Math.cos(angle);
  }
  return y;
};
const score = (q: Float64Array, k: Float64Array) => q.reduce((sum, value, e) => sum + value * k[e]!, 0) / Math.sqrt(E);

// By hand as the model does it.
const byHand = rotate(headOf('queriesPlain', query), query);
console.log('by hand:', [...byHand.slice(0, 4)].map((value) => value.toFixed(4)).join(' '));
console.log('model:  ', [...headOf('queries', query).slice(0, 4)].map((value) => value.toFixed(4)).join(' '));

// Shift both tokens: the angles change, the score does not.
const [q, k] = [headOf('queriesPlain', query), headOf('keysPlain', key)];
console.log('model:      ', trace.get('blocks.0.attention.scores').data[query * ids.length + key]!.toFixed(4));
for (const shift of [0, 1, 100, 1000]) {
  console.log(`shift ${shift}: `.padEnd(13), score(rotate(q, query + shift), rotate(k, key + shift)).toFixed(4));
}
