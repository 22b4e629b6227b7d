// The same, by require().
const { Llama } = require('cria');

Llama.load().then(async (model) => {
  process.stdout.write(await model.generate('Once upon a time', { maxTokens: 10, temperature: 0 }).text());
  await model.close();
});
