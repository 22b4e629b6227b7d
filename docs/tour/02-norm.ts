/**
 * Lesson 2: a token's row, and RMSNorm.
 *
 * The id picks a row of the embedding table. Before each matrix the row is divided by its root mean square and multiplied by a gain:
 *
 *   y_d = gain_d · x_d / √(mean(x²) + ε)
 *
 * Source: Zhang & Sennrich 2019, arXiv:1910.07467. Pictures: /explore/#scene=embedding, /explore/#scene=norms
 */
import { Llama } from 'cria';

await using model = await Llama.load();
const { tokenizer, config } = model;
const ids = tokenizer.encode('The cat', { bos: true });
const place = ids.length - 1;

// The row of the table is what the model starts from.
const row = await model.parameterRows('embed_VD', ids[place]!, ids[place]! + 1);
const trace = await model.trace(ids, ['embedding', 'blocks.0.attention.input'], { rows: [place] });
console.log(
  'the same row:',
  row.every((value, d) => value === trace.get('embedding').data[d]),
);

// Tokens that are used alike lie near each other.
for (const near of await model.nearestRows('embed_VD', ids[place]!, 5)) {
  console.log(tokenizer.pieceOf(near.row), near.cosine.toFixed(3));
}

// The norm by its formula, and the model's own.
const gain = await model.parameterRows('blocks.0.attnNorm_D', 0, 1);
const norm = (x: Float32Array) => {
  const meanSquare = x.reduce((sum, value) => sum + value * value, 0) / x.length;
  return x.map((value, d) => (gain[d]! * value) / Math.sqrt(meanSquare + config.normEps));
};
const own = trace.get('blocks.0.attention.input').data;
const difference = (a: Float32Array, b: Float32Array) => Math.max(...a.map((value, d) => Math.abs(value - b[d]!)));
console.log('formula against model:', difference(norm(row), own));

// Whoever multiplies the row by 10 changes nothing; whoever adds 1 does. (Layer norm would not see that either.)
console.log('x · 10 moves the output by', difference(norm(row.map((value) => value * 10)), own).toFixed(4));
console.log('x + 1 moves the output by', difference(norm(row.map((value) => value + 1)), own).toFixed(4));
