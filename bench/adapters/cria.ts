// Cria in Node. CRIA_ARGS holds load options as JSON: { "blas": true }.
import { measure } from '../../src/cli/bench/measure.ts';
import { Llama } from '../../src/platform/node/index.ts';
import { readArguments, serve } from './protocol.ts';

const { model: path, threads, context } = readArguments();
const started = performance.now();
const options = JSON.parse(process.env.CRIA_ARGS ?? '{}') as { blas?: boolean; native?: boolean };
const model = await Llama.load(path, { threads, contextLength: context, ...options });
const loadSeconds = (performance.now() - started) / 1000;
const signal = new AbortController().signal;

await serve(
  { name: 'cria', versions: { node: process.versions.node, kernels: model.facts.device }, loadSeconds },
  async (round) => {
    const { samplesNs } = await measure(model, { ...round, sequences: 1 }, 1, signal, { warmUp: false });
    return samplesNs[0]! / 1e9;
  },
);
await model.close();
process.exit(0);
