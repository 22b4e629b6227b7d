/**
 * Lesson 4: attention, where tokens learn of each other.
 *
 *   share_ns = softmax_s(q_n · k_s / √E), s ≤ n        mix_n = Σ_s share_ns · v_s
 *
 * Source: Vaswani et al. 2017, arXiv:1706.03762 eq. 1. Pictures: /explore/#scene=attention, /explore/#scene=projections
 */
import { Llama } from 'cria';

await using model = await Llama.load();
const { headSize: E } = model.config;
const ids = model.tokenizer.encode('The cat sat on the mat and looked at the bird', { bos: true });
const pieces = model.tokenizer.pieces(ids);
const last = ids.length - 1;

const block = 2;
const names = ['scores', 'probabilities', 'values', 'mix'].map((part) => `blocks.${block}.attention.${part}`);
const trace = await model.trace(ids, names, { heads: [0] });
const of = (part: string) => trace.get(`blocks.${block}.attention.${part}`);

// The last token's row of head 0: scores, and by softmax shares, which sum to 1.
const scores = of('scores').data.subarray(last * ids.length);
const largest = Math.max(...scores);
const weights = scores.map((value) => Math.exp(value - largest));
const sum = weights.reduce((a, b) => a + b);
const shares = weights.map((weight) => weight / sum);
for (const [s, piece] of pieces.entries()) {
  const own = of('probabilities').data[last * ids.length + s]!;
  console.log(
    piece.padEnd(10),
    scores[s]!.toFixed(3).padStart(8),
    shares[s]!.toFixed(3),
    own.toFixed(3),
    '█'.repeat(own * 60),
  );
}

// The values mixed with these shares are the head's result.
const columns = of('values').shape[1]!;
const mix = Array.from({ length: E }, (_, e) => {
  return shares.reduce((total, share, s) => total + share * of('values').data[s * columns + e]!, 0);
});
console.log(
  'by hand:',
  mix
    .slice(0, 4)
    .map((value) => value.toFixed(4))
    .join(' '),
);
const own = of('mix').data.subarray(last * of('mix').shape[1]!);
console.log('model:  ', [...own.subarray(0, 4)].map((value) => value.toFixed(4)).join(' '));

// Nobody sees the future: the first token's row has one share only.
console.log([...of('probabilities').data.subarray(0, 4)].join(' '));
