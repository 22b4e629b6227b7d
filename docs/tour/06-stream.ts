/**
 * Lesson 6: the residual stream, to which every block adds.
 *
 *   afterAttention = hidden_i + attention.output        hidden_(i+1) = afterAttention + feedForward.output
 *
 * So a half-finished row can be read by the output layer: one sees the answer arise, block by block.
 * Source: He et al. 2016, arXiv:1512.03385; nostalgebraist 2020, “logit lens”. Pictures: /explore/#scene=stream
 */
import { Llama } from 'cria';

await using model = await Llama.load();
const { tokenizer, config } = model;
const ids = tokenizer.encode('The king and the', { bos: true });
const last = ids.length - 1;

const names = ['hidden.*', 'hidden.*.logits', 'blocks.*.attention.output', 'blocks.*.feedForward.output'];
const trace = await model.trace(ids, names, { rows: [last] });
const length = (name: string) =>
  Math.hypot(...trace.get(name).data)
    .toFixed(1)
    .padStart(7);

const best = (logits: Float32Array) => {
  const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]!);
  return order.slice(0, 4).map((id) => tokenizer.pieceOf(id));
};
for (let i = 0; i <= config.blockCount; i++) {
  const added =
    i === 0 ? '' : `+ ${length(`blocks.${i - 1}.attention.output`)} + ${length(`blocks.${i - 1}.feedForward.output`)}`;
  const guesses = best(trace.get(`hidden.${i}.logits`).data).join(' ');
  console.log(`hidden.${i} ${length(`hidden.${i}`)}  ${added.padEnd(20)}  if it ended here: ${guesses}`);
}

// Leave one part out, and see what it was good for.
const plain = (await model.trace(ids, ['logits'], { rows: [last] })).get('logits').data;
console.log('as it is:', best(plain).join(' '));
for (const part of ['attention', 'feedForward']) {
  const off = `blocks.${config.blockCount - 1}.${part}.output`;
  const changed = await model.trace(ids, ['logits'], { rows: [last], without: [off] });
  console.log(`without ${off}:`, best(changed.get('logits').data).join(' '));
}
