/**
 * What a relative of LLaMA costs a decoded token, beside a LLaMA of the same matrices: random weights of published shapes, one step of
 * each in turns, so that whatever else the machine does hits both.
 *
 *   node bench/relatives.ts [--only qwen3-0.6b,gemma3-1b] [-t 1] [-d 64] [-r 60] [--dtype q4_0]
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadSettings } from '../src/inference/remote/load.ts';
import { KV_BLOCK_TOKENS } from '../src/kernels/ops.ts';
import { forward } from '../src/model/llama.ts';
import { loadModel, prepareModel, weightsOf } from '../src/model/model.ts';
import { createDevice } from '../src/platform/node/engine/devices.ts';
import { openCheckpointAt } from '../src/platform/node/files.ts';
import { isWeightType, rowBytes } from '../src/tensor/dtype.ts';
import { columnCount, rowCount } from '../src/tensor/tensor.ts';
import { median } from './report.ts';

const common = { max_position_embeddings: 4096, rms_norm_eps: 1e-6, tie_word_embeddings: true };
const gemma = { ...common, head_dim: 256, query_pre_attn_scalar: 256, hidden_activation: 'gelu_pytorch_tanh' };
const shapes: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'qwen3-0.6b': { ...common, model_type: 'qwen3', hidden_size: 1024, intermediate_size: 3072, head_dim: 128, num_attention_heads: 16, num_key_value_heads: 8, num_hidden_layers: 28, vocab_size: 151936, rope_theta: 1e6 },
  'qwen3-1.7b': { ...common, model_type: 'qwen3', hidden_size: 2048, intermediate_size: 6144, head_dim: 128, num_attention_heads: 16, num_key_value_heads: 8, num_hidden_layers: 28, vocab_size: 151936, rope_theta: 1e6 },
  'gemma3-270m': { ...gemma, model_type: 'gemma3_text', hidden_size: 640, intermediate_size: 2048, num_attention_heads: 4, num_key_value_heads: 1, num_hidden_layers: 18, vocab_size: 262144, rope_theta: 1e6, sliding_window: 512, sliding_window_pattern: 6 },
  'gemma3-1b': { ...gemma, model_type: 'gemma3_text', hidden_size: 1152, intermediate_size: 6912, num_attention_heads: 4, num_key_value_heads: 1, num_hidden_layers: 26, vocab_size: 262144, rope_theta: 1e6, sliding_window: 512, sliding_window_pattern: 6 },
  'gemma2-2b': { ...gemma, model_type: 'gemma2', hidden_size: 2304, intermediate_size: 9216, num_attention_heads: 8, num_key_value_heads: 4, num_hidden_layers: 26, vocab_size: 256000, sliding_window: 4096, attn_logit_softcapping: 50, final_logit_softcapping: 30 },
}; // biome-ignore format: a table
/** Of a relative's configuration, what a LLaMA says, too. */
const inLlama = /^(hidden_size|intermediate_size|head_dim|num_|vocab_size|max_position|rms_norm|rope_theta|tie_word)/;
const llamaOf = (shape: Readonly<Record<string, unknown>>) => ({
  ...Object.fromEntries(Object.entries(shape).filter(([key]) => inLlama.test(key))),
  model_type: 'llama',
});

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'qwen3-0.6b,gemma3-1b' },
    threads: { type: 'string', short: 't', default: '1' },
    depth: { type: 'string', short: 'd', default: '64' },
    rounds: { type: 'string', short: 'r', default: '60' },
    dtype: { type: 'string', default: 'q4_0' },
  },
});
const [threads, depth, rounds] = [values.threads, values.depth, values.rounds].map(Number) as [number, number, number];
const folder = mkdtempSync(join(tmpdir(), 'cria-relatives-'));

async function stepper(name: string, json: object) {
  const [config, file] = [join(folder, `${name}.json`), join(folder, `${name}.gguf`)];
  writeFileSync(config, JSON.stringify(json));
  const cria = new URL('../bin/cria.js', import.meta.url).pathname;
  execFileSync(process.execPath, [cria, 'init', config, '-o', file, '--dtype', values.dtype!, '--json'], {
    stdio: 'ignore',
  });
  const checkpoint = openCheckpointAt(file);
  const device = await createDevice(loadSettings({ threads }));
  await prepareModel(device, checkpoint.config, checkpoint.tensors);
  const model = loadModel(device, checkpoint.config, checkpoint.tensors);
  const bytes = weightsOf(checkpoint.config, checkpoint.tensors).reduce(
    (sum, [{ dtype, shape }]) =>
      sum + (isWeightType(dtype) ? rowCount(shape) * rowBytes(dtype, columnCount(shape)) : 0),
    0,
  );
  const { blockCount: layerCount, kvHeadCount, headSize } = checkpoint.config;
  const blockCount = Math.ceil((depth + 1) / KV_BLOCK_TOKENS);
  const cache = device.createKvStore({ layerCount, blockCount, kvHeadCount, headSize, type: 'f16' });
  const blocks = Uint32Array.from({ length: blockCount }, (_, i) => i);
  const step = async (firstPosition: number, rows: number) => {
    const mark = device.mark();
    const start = performance.now();
    const positions = Uint32Array.from({ length: rows }, (_, i) => firstPosition + i);
    const batch = {
      ids: positions.map((position) => position % 100),
      positions,
      spans: [{ firstRow: 0, rowCount: rows, firstPosition, blocks }],
    };
    const logits = forward(model, device.ops, batch, { cache, rows_R: Uint32Array.of(rows - 1) });
    const reading = device.read(logits, 0, 1);
    device.release(mark);
    await reading;
    return performance.now() - start;
  };
  if (depth > 0) await step(0, depth);
  rmSync(file);
  return { step: () => step(depth, 1), bytes, close: () => device.close() };
}

try {
  for (const name of values.only!.split(',')) {
    const shape = shapes[name];
    if (shape === undefined) throw new Error(`no shape ${name}; expected ${Object.keys(shapes).join(', ')}`);
    const [relative, llama] = [await stepper(name, shape), await stepper(`llama-${name}`, llamaOf(shape))];
    const [own, others]: [number[], number[]] = [[], []];
    for (let round = -5; round < rounds; round++) {
      // Whoever comes second finds its memory cold: both come second.
      const isFirst = round % 2 === 0;
      const first = await (isFirst ? relative : llama).step();
      const second = await (isFirst ? llama : relative).step();
      if (round < 0) continue;
      own.push(isFirst ? first : second);
      others.push(isFirst ? second : first);
    }
    const ratios = own.map((ms, i) => others[i]! / ms).sort((a, b) => a - b);
    const share = (at: number) => ratios[Math.floor(at * (ratios.length - 1))]!.toFixed(3);
    console.log(
      `${name}, ${values.dtype}, ${threads} threads, depth ${depth}: ${median(own).toFixed(2)} ms a token, ` +
        `a LLaMA of ${(llama.bytes / relative.bytes).toFixed(4)} of its bytes ${median(others).toFixed(2)}: ` +
        `${median(ratios).toFixed(3)} of its speed (quartiles ${share(0.25)} … ${share(0.75)}, ${rounds} rounds); ` +
        // Other programs only ever take away.
        `the best steps ${Math.min(...own).toFixed(2)} and ${Math.min(...others).toFixed(2)}: ` +
        `${(Math.min(...others) / Math.min(...own)).toFixed(3)}`,
    );
    relative.close();
    llama.close();
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
