// The same, in a worker thread.
import { isMainThread, Worker } from 'node:worker_threads';

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url));
  worker.on('exit', (code) => {
    process.exitCode = code;
  });
} else {
  const { Llama } = await import('cria');
  const model = await Llama.load();
  const text = await model.generate('Once upon a time', { maxTokens: 10, temperature: 0 }).text();
  await model.close();
  process.stdout.write(text);
}
