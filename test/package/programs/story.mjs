// The bundled model, in the main thread.
import { Llama } from 'cria';

const model = await Llama.load();
for await (const piece of model.generate('Once upon a time', { maxTokens: 10, temperature: 0 })) {
  process.stdout.write(piece.text);
}
await model.close();
