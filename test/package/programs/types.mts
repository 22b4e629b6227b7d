import { type GenerateOptions, Llama, type ModelSource, Tokenizer } from 'cria';
import { buildCorpus, loadRecipe } from 'cria/corpus';
import { handler } from 'cria/server';
import { Llama as Standalone } from 'cria/standalone';
import { Tokenizer as Alone } from 'cria/tokenizer';
import { initialModel, Trainer, textBatches } from 'cria/training';

const model = await Llama.load('model.gguf');
for await (const piece of model.generate('Once', { maxTokens: 40, temperature: 0 })) process.stdout.write(piece.text);
const ids: Uint32Array = model.tokenizer.encode('Once upon a time', { bos: true });
const logits: Float32Array = await model.logits(ids);
const trace = await model.trace(ids, ['blocks.0.attention.probabilities']);
console.log(logits.length / ids.length, trace.get('blocks.0.attention.probabilities').shape);

const source: ModelSource = [new File(['x'], 'model.gguf')];
const options: GenerateOptions = { temperature: 0 };
const trainer: Trainer = await Trainer.create(await Llama.load(source), {
  schedule: { learningRate: 1e-3, warmupSteps: 1, totalSteps: 10, finalFraction: 0.1 },
});
const { loss }: { loss: number } = await trainer.step([{ ids, rows: 1, length: ids.length }]);
const fresh = await Llama.load(await initialModel({ depth: 2, width: 64 }, { seed: 2, vocabularyOf: model }));
const tuned: Trainer = await Trainer.create(fresh, {
  schedule: (step) => 1 / step,
  adapter: { rank: 4, targets: ['all'] },
});
for (const batch of textBatches(model.tokenizer, 'Once', { rows: 2 })) if ((await tuned.step([batch])).loss < 1) break;
const file: Blob = await tuned.toGguf({ dtype: 'q8_0' });
const texts: string = await model.generate('Once', options).text();
const built = await buildCorpus(loadRecipe('recipe.yaml'));
console.log(loss, file.size, texts, built.output, handler, Standalone, Alone === Tokenizer);
