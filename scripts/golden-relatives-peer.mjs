// What llama.cpp computes: node golden-relatives-peer.mjs MODEL.gguf IDS GREEDY, in a folder with node-llama-cpp → one JSON object.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const entry = createRequire(`${process.cwd()}/`).resolve('node-llama-cpp');
const { getLlama } = await import(pathToFileURL(entry).href);
const [modelPath, ids, greedyCount] = process.argv.slice(2);
const { version } = JSON.parse(readFileSync(join(dirname(entry), '..', 'package.json'), 'utf8'));

const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: 1 });
const model = await llama.loadModel({ modelPath, useMmap: false });
const context = await model.createContext({
  contextSize: 64,
  threads: 1,
  batchSize: 64,
  flashAttention: false,
  swaFullCache: true,
  experimentalKvCacheKeyType: 'F32',
  experimentalKvCacheValueType: 'F32',
});
const sequence = context.getSequence();
async function logitsOf(tokens) {
  const results = await sequence.controlledEvaluate(tokens.map((token) => [token, { generateNext: { logits: true } }]));
  return results.map(({ next }) => {
    const row = [];
    for (const [token, logit] of next.logits) row[token] = logit;
    return row;
  });
}
const logits = await logitsOf(ids.split(',').map(Number));
const greedy = [];
let last = logits.at(-1);
while (greedy.length < Number(greedyCount)) {
  greedy.push(last.reduce((best, logit, token) => (logit > last[best] ? token : best), 0));
  [last] = await logitsOf(greedy.slice(-1));
}
process.stdout.write(JSON.stringify({ version, context: context.contextSize, logits, greedy }), () => process.exit(0));
