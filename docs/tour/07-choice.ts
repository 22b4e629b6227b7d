/**
 * Lesson 7: from logits to a token.
 *
 * Softmax makes probabilities of logits. A temperature divides the logits before; top-k and top-p cut the tail; a random number chooses.
 * Source: Holtzman et al. 2019, arXiv:1904.09751. Pictures: /explore/#scene=choice
 */
import { Llama } from 'cria';

await using model = await Llama.load();
const { tokenizer } = model;
const ids = tokenizer.encode('Once upon a time there was a little', { bos: true });
const { data: logits } = (await model.trace(ids, ['logits'], { rows: [ids.length - 1] })).get('logits');

const probabilities = (temperature: number) => {
  const largest = Math.max(...logits);
  const weights = Array.from(logits, (logit) => Math.exp((logit - largest) / temperature));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
};

for (const temperature of [0.5, 1, 2]) {
  const p = probabilities(temperature);
  const order = [...p.keys()].sort((a, b) => p[b]! - p[a]!);
  const five = order.slice(0, 5).map((id) => `${tokenizer.pieceOf(id)} ${(100 * p[id]!).toFixed(1)} %`);
  // How many tokens top-p = 0.9 leaves.
  let [count, sum] = [0, 0];
  while (sum < 0.9) sum += p[order[count++]!]!;
  console.log(`temperature ${temperature}: ${five.join(', ')}; ${count} tokens hold 90 %`);
}

// The same seed, the same text; another seed, another.
for (const seed of [1, 1, 2]) {
  const { text } = await model.generate(ids, { seed, maxTokens: 12, temperature: 0.8 }).result;
  console.log(`seed ${seed}:`, text.trim().replaceAll('\n', ' '));
}

// What the model thought of each of its tokens.
for await (const { text, logprobs } of model.generate(ids, { seed: 1, maxTokens: 5, logprobs: 2 })) {
  const others = logprobs!.top.map((other) => `${other.text} ${(100 * Math.exp(other.logprob)).toFixed(0)} %`);
  console.log(
    JSON.stringify(text),
    `${(100 * Math.exp(logprobs!.logprob)).toFixed(0)} %; likeliest: ${others.join(', ')}`,
  );
}
