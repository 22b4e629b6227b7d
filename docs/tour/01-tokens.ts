/**
 * Lesson 1: text becomes tokens.
 *
 * A tokenizer starts with single characters and merges neighbours. Each pair that may merge has a rank; the lowest rank goes first.
 * Source: Sennrich et al. 2016, arXiv:1508.07909. Pictures: /explore/#scene=tokens
 */
import { Llama } from 'cria';

await using model = await Llama.load(); // the model that comes with the package
const { tokenizer } = model;

const text = 'The old lighthouse stood on the hill.';
const ids = tokenizer.encode(text, { bos: true });
console.log(tokenizer.pieces(ids).join(' | '));
console.log([...ids].join(' '));

// One word, merge by merge. `at` is the left one of the pair that was merged; ▁ is a space.
const [, , word] = tokenizer.merges(text);
for (const [i, state] of word!.states.entries()) {
  const merge = i === 0 ? undefined : word!.merges[i - 1];
  console.log(state.join(' '), merge ? `(rank ${merge.rank})` : '');
}

// Nothing is lost on the way.
console.log(tokenizer.decode(ids) === text);

// A language that the vocabulary was not made for takes more tokens for the same number of characters.
for (const sample of ['The cat sleeps.', '고양이가 잡니다.']) {
  const count = tokenizer.encode(sample).length;
  console.log(`${sample} ${count} tokens, ${(count / [...sample].length).toFixed(2)} for each character`);
}
