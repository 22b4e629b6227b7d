/**
 * Lesson 9: training. The loss is the surprise at the next token, −log p; gradients tell each weight which way is down.
 *
 * A preset's shape with random weights knows nothing: its loss is ln V. A few steps on one sentence, and it knows that sentence.
 * Source: Touvron et al. 2023, arXiv:2302.13971 §2.3 (AdamW, warm-up, cosine). Pictures: /explore/#scene=factory
 */
import { Llama } from 'cria';
import { Trainer } from 'cria/training';

await using model = await Llama.load();
const { tokenizer, config } = model;
const ids = tokenizer.encode('The seven llamas of the mountain drink blue tea on Tuesdays.', { bos: true });

console.log(`who knows nothing has a loss of ln ${config.vocabSize} = ${Math.log(config.vocabSize).toFixed(2)}`);
const before = await model.generate('The seven llamas', { maxTokens: 10, temperature: 0 }).result;
console.log('before:', before.text);

await using trainer = await Trainer.create(model, {
  optimizer: { betas: [0.9, 0.95], weightDecay: 0.1 },
  schedule: { learningRate: 1e-3, warmupSteps: 2, totalSteps: 12, finalFraction: 0.1 },
  clip: 1,
});
const batch = { ids, rows: 1, length: ids.length };

// A gradient is a slope: a small step against it lowers the loss by about its squared length times the step.
const { loss, gradients } = await trainer.gradients([batch]);
const squares = [...gradients.values()].reduce((sum, { data }) => sum + data.reduce((a, g) => a + g * g, 0), 0);
console.log(`loss ${loss.toFixed(3)}, length of the gradient ${Math.sqrt(squares).toFixed(2)}`);

for (let step = 0; step < 12; step++) {
  const result = await trainer.step([batch]);
  console.log(`step ${step}: loss ${result.loss.toFixed(3)}, rate ${result.learningRate.toExponential(1)}`);
}

const after = await model.generate('The seven llamas', { maxTokens: 16, temperature: 0 }).result;
console.log('after:', after.text);
