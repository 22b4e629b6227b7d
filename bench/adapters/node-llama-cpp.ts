// llama.cpp's native CPU build, through node-llama-cpp. Runs in the folder where the package is installed.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { readArguments, serve } from './protocol.ts';

/** The little that is used of the package. */
interface Peer {
  getLlama(options: object): Promise<{
    readonly llamaCppRelease: { readonly release: string };
    loadModel(options: object): Promise<{ createContext(options: object): Promise<{ getSequence(): Sequence }> }>;
  }>;
}
interface Sequence {
  clearHistory(): Promise<void>;
  evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void>;
  evaluate(tokens: readonly number[], options: object): AsyncIterable<number>;
}

const { model: modelPath, threads, context: contextSize } = readArguments();
const require = createRequire(`${process.cwd()}/`);
const { getLlama } = (await import(pathToFileURL(require.resolve('node-llama-cpp')).href)) as Peer;
const packageFile = `${process.cwd()}/node_modules/node-llama-cpp/package.json`;
const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };

const started = performance.now();
const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: threads });
const model = await llama.loadModel({ modelPath, useMmap: false });
const context = await model.createContext({ contextSize, threads, batchSize: Math.min(512, contextSize) });
const sequence = context.getSequence();
const loadSeconds = (performance.now() - started) / 1000;

const versions = { 'node-llama-cpp': version, 'llama.cpp': llama.llamaCppRelease.release };
await serve({ name: 'node-llama-cpp', versions, loadSeconds }, async ({ prompt, generate, depth }) => {
  await sequence.clearHistory();
  const tokens = Array.from({ length: prompt + depth }, (_, i) => 100 + (i % 20000));
  if (generate === 0) {
    const start = performance.now();
    await sequence.evaluateWithoutGeneratingNewTokens(tokens);
    return (performance.now() - start) / 1000;
  }
  if (depth > 0) await sequence.evaluateWithoutGeneratingNewTokens(tokens);
  // The first token comes with the evaluation of the one given; the clock starts there.
  let start = 0;
  let count = 0;
  for await (const _ of sequence.evaluate([500], { temperature: 0, yieldEogToken: true })) {
    if (count === 0) start = performance.now();
    if (count++ === generate) break;
  }
  return (performance.now() - start) / 1000;
});
process.exit(0);
