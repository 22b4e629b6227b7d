import { Llama } from 'cria';
import { initialModel, Trainer, textBatches } from 'cria/training';

const text = 'The cat sat on the mat. The dog ran to the cat. They were glad.';

/** A model from nothing but a text, then an adapter over it: losses to the bit, and what the model goes on to write. */
async function learn() {
  const options = { device: 'wasm', threads: 2 };
  const model = await Llama.load(await initialModel({ depth: 1, width: 32, heads: 2, contextLength: 32 }), options);
  const losses = [];
  for (const adapter of [undefined, { rank: 4 }]) {
    const trainer = await Trainer.create(model, { schedule: () => 0.01, blas: false, ...(adapter && { adapter }) });
    const batches = textBatches(model.tokenizer, text, { rows: 2, length: 32 });
    for (let step = 0; step < 3; step++) losses.push((await trainer.step([batches.next().value])).loss);
    await trainer.close();
  }
  const written = await model.generate('The', { temperature: 0, maxTokens: 8 }).text();
  const { device } = model.facts;
  await model.close();
  return { text: `${losses.join(' ')} ${written}`, device };
}

const told = learn();
if (globalThis.window) window.story = told;
else console.log((await told).text);
