/**
 * Lesson 10: alignment. From likely to wanted.
 *
 * A model that continues texts is tuned on answers: only their tokens carry loss, the question's do not. Preferences go one step further:
 * of two answers the better one shall become likelier than it was, compared with the worse one and with the model before:
 *
 *   loss = −ln σ(β · ((log π(better) − log π₀(better)) − (log π(worse) − log π₀(worse))))
 *
 * Source: Ouyang et al. 2022, arXiv:2203.02155; Rafailov et al. 2023, arXiv:2305.18290 (DPO). `cria finetune` does it on whole data sets.
 * Pictures: /explore/#scene=stream, /explore/#scene=choice
 */
import { Llama } from 'cria';
import { NO_LABEL, Trainer } from 'cria/training';

await using model = await Llama.load();
const { tokenizer } = model;
const question = tokenizer.encode('Question: What do llamas eat?\nAnswer:', { bos: true });
const [better, worse] = [' Llamas eat grass and hay.', ' I do not know.'].map((text) => tokenizer.encode(text));

const logProbabilities = async () => {
  const scores = await model.score(question, [better!, worse!]);
  return scores.map(({ logLikelihood }) => logLikelihood) as [number, number];
};
const reference = await logProbabilities();
const preference = ([chosen, rejected]: readonly [number, number], beta = 0.1) => {
  const margin = chosen - reference[0] - (rejected - reference[1]);
  return { margin, loss: Math.log(1 + Math.exp(-beta * margin)) };
};
console.log('before', reference.map((value) => value.toFixed(1)).join(' against '), preference(reference));

// Supervised tuning: each place's label is the token that stands there, NO_LABEL where the question stands.
await using trainer = await Trainer.create(model, { schedule: () => 5e-4, clip: 1 });
const ids = Uint32Array.from([...question, ...better!]);
const labels = Int32Array.from(ids, (id, place) => (place < question.length ? NO_LABEL : id));
for (let step = 0; step < 8; step++) {
  const { loss } = await trainer.step([{ ids, labels, rows: 1, length: ids.length }]);
  console.log(`step ${step}: loss of the answer ${loss.toFixed(3)}`);
}

const after = await logProbabilities();
console.log('after', after.map((value) => value.toFixed(1)).join(' against '), preference(after));
const { text } = await model.generate(question, { maxTokens: 10, temperature: 0 }).result;
console.log('and it says:', text.trim());
