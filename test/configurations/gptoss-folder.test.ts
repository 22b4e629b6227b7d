/**
 * gpt-oss as Hugging Face folders, plain and in blocks of MXFP4, against plain loops of its published formulas (OpenAI's gpt_oss and
 * transformers, models/gpt_oss): the layout of its tensors is written down here once more, on its own.
 */
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { testDevices } from '../support/devices.ts';
import { randomTensors, type Shapes, sameLogits } from './folder.ts';
import { attend, headsOf, largest, linear, type Plain, plus, type Row, rmsNorm, rowOf, scaled, sigmoid, times, turnHalves } from './plain-math.ts'; // biome-ignore format: one line

const [V, D, H, K, E, G, X, USED, LAYERS] = [40, 64, 4, 2, 16, 32, 4, 2, 3];
const [EPS, THETA, WINDOW, FACTOR, ORIGINAL, FAST, SLOW] = [1e-5, 150_000, 7, 4, 32, 4, 1];
const config = {
  model_type: 'gpt_oss',
  architectures: ['GptOssForCausalLM'],
  vocab_size: V,
  hidden_size: D,
  intermediate_size: G,
  num_attention_heads: H,
  num_key_value_heads: K,
  head_dim: E,
  num_hidden_layers: LAYERS,
  num_local_experts: X,
  num_experts_per_tok: USED,
  experts_per_token: USED,
  layer_types: ['sliding_attention', 'full_attention', 'sliding_attention'],
  sliding_window: WINDOW,
  attention_bias: true,
  swiglu_limit: 7,
  max_position_embeddings: ORIGINAL * FACTOR,
  rms_norm_eps: EPS,
  rope_theta: THETA,
  rope_scaling: {
    rope_type: 'yarn',
    factor: FACTOR,
    original_max_position_embeddings: ORIGINAL,
    beta_fast: FAST,
    beta_slow: SLOW,
    truncate: false,
  },
  tie_word_embeddings: false,
};

function shapesOf(): Shapes {
  const shapes: Record<string, readonly number[]> = {
    'model.embed_tokens.weight': [V, D],
    'model.norm.weight': [D],
    'lm_head.weight': [V, D],
  };
  const block = {
    'input_layernorm.weight': [D],
    'post_attention_layernorm.weight': [D],
    'self_attn.q_proj.weight': [H * E, D],
    'self_attn.q_proj.bias': [H * E],
    'self_attn.k_proj.weight': [K * E, D],
    'self_attn.k_proj.bias': [K * E],
    'self_attn.v_proj.weight': [K * E, D],
    'self_attn.v_proj.bias': [K * E],
    'self_attn.o_proj.weight': [D, H * E],
    'self_attn.o_proj.bias': [D],
    'self_attn.sinks': [H],
    'mlp.router.weight': [X, D],
    'mlp.router.bias': [X],
    'mlp.experts.gate_up_proj': [X, D, 2 * G],
    'mlp.experts.gate_up_proj_bias': [X, 2 * G],
    'mlp.experts.down_proj': [X, G, D],
    'mlp.experts.down_proj_bias': [X, D],
  };
  for (let i = 0; i < LAYERS; i++)
    for (const [name, shape] of Object.entries(block)) shapes[`model.layers.${i}.${name}`] = shape;
  return shapes;
}

/** YaRN (Peng et al. 2023, §3.2) with a ramp whose ends are not rounded; all rotations are lengthened. */
function yarn(): { readonly inverse: Row; readonly magnitude: number } {
  const end = (turns: number) => (E * Math.log(ORIGINAL / (turns * 2 * Math.PI))) / (2 * Math.log(THETA));
  const [low, high] = [Math.max(end(FAST), 0), Math.min(end(SLOW), E - 1)];
  const inverse = Array.from({ length: E / 2 }, (_, i) => {
    const plain = THETA ** ((-2 * i) / E);
    const ramp = Math.min(1, Math.max(0, (i - low) / (high - low)));
    return (plain / FACTOR) * ramp + plain * (1 - ramp);
  });
  return { inverse, magnitude: 0.1 * Math.log(FACTOR) + 1 };
}

function logitsOf(tensors: ReadonlyMap<string, Plain>, ids: readonly number[]): Row[] {
  const get = (name: string) => tensors.get(name)!;
  const { inverse, magnitude } = yarn();
  const turned = (head: Row, position: number) =>
    scaled(
      turnHalves(
        head,
        inverse.map((one) => one * position),
      ),
      magnitude,
    );
  let x: Row[] = ids.map((id) => rowOf(get('model.embed_tokens.weight'), id));
  for (let i = 0; i < LAYERS; i++) {
    const at = `model.layers.${i}`;
    const project = (row: Row, name: string) => linear(row, get(`${at}.${name}.weight`), get(`${at}.${name}.bias`));
    const entered = x.map((row) => rmsNorm(row, get(`${at}.input_layernorm.weight`), EPS));
    const heads = (name: string, isRotated: boolean) =>
      entered.map((row, position) =>
        headsOf(project(row, `self_attn.${name}`), E).map((head) => (isRotated ? turned(head, position) : head)),
      );
    const [q, k, v] = [heads('q_proj', true), heads('k_proj', true), heads('v_proj', false)];
    x = x.map((row, position) => {
      const first = i % 2 === 0 ? Math.max(0, position - WINDOW + 1) : 0;
      const mix = q[position]!.flatMap((query, h) => {
        const seen = (all: readonly (readonly Row[])[]) =>
          all.slice(first, position + 1).map((one) => one[Math.floor(h / (H / K))]!);
        return attend(query, seen(k), seen(v), get(`${at}.self_attn.sinks`).values[h]!);
      });
      const between = plus(row, project(mix, 'self_attn.o_proj'));
      const y = rmsNorm(between, get(`${at}.post_attention_layernorm.weight`), EPS);
      const scores = project(y, 'mlp.router');
      const chosen = largest(scores, USED);
      const total = chosen.reduce((sum, expert) => sum + Math.exp(scores[expert]!), 0);
      return chosen.reduce<Row>((sum, expert) => {
        const bias = rowOf(get(`${at}.mlp.experts.gate_up_proj_bias`), expert);
        const gateUp = plus(times(y, get(`${at}.mlp.experts.gate_up_proj`), expert), bias);
        const hidden = Array.from({ length: G }, (_, g) => {
          const gate = Math.min(gateUp[2 * g]!, 7);
          const up = Math.min(Math.max(gateUp[2 * g + 1]!, -7), 7);
          return (up + 1) * gate * sigmoid(1.702 * gate);
        });
        const down = times(hidden, get(`${at}.mlp.experts.down_proj`), expert);
        const result = plus(down, rowOf(get(`${at}.mlp.experts.down_proj_bias`), expert));
        return plus(sum, scaled(result, Math.exp(scores[expert]!) / total));
      }, between);
    });
  }
  return x.map((row) => linear(rmsNorm(row, get('model.norm.weight'), EPS), get('lm_head.weight')));
}

const VALUES = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6];

/**
 * The experts' products as OpenAI's files have them: rows of outputs in blocks of 32 inputs, two inputs a byte, the lower half first, and
 * a power of two a block; and the same as numbers, [X, inputs, outputs].
 */
function packed(rows: number, columns: number, random: Random): { blocks: Plain; scales: Plain; numbers: Plain } {
  const bytes = (length: number, draw: () => number) => Uint8Array.from({ length }, draw);
  const blocks = bytes((X * rows * columns) / 2, () => random.below(256));
  const scales = bytes((X * rows * columns) / 32, () => 122 + random.below(4));
  const numbers = new Float32Array(X * rows * columns);
  for (let x = 0; x < X; x++)
    for (let o = 0; o < rows; o++)
      for (let i = 0; i < columns; i++) {
        const at = (x * rows + o) * columns + i;
        const nibble = i % 2 === 0 ? blocks[at >> 1]! % 16 : blocks[at >> 1]! >> 4;
        numbers[(x * columns + i) * rows + o] = VALUES[nibble]! * 2 ** (scales[at >> 5]! - 127);
      }
  return {
    blocks: { shape: [X, rows, columns / 32, 16], values: blocks },
    scales: { shape: [X, rows, columns / 32], values: scales },
    numbers: { shape: [X, columns, rows], values: numbers },
  };
}

const plain = randomTensors(shapesOf(), 12);
const [inBlocks, asNumbers] = [new Map(plain), new Map(plain)];
const random = new Random(13);
for (let i = 0; i < LAYERS; i++) {
  for (const [part, rows, columns] of [
    ['gate_up_proj', 2 * G, D],
    ['down_proj', D, G],
  ] as const) {
    const name = `model.layers.${i}.mlp.experts.${part}`;
    const { blocks, scales, numbers } = packed(rows, columns, random);
    inBlocks.delete(name);
    inBlocks.set(`${name}_blocks`, blocks).set(`${name}_scales`, scales);
    asNumbers.set(name, numbers);
  }
}

const IDS = Array.from({ length: 30 }, (_, i) => (i * 17 + 3) % V);
const quantized = { ...config, quantization_config: { quant_method: 'mxfp4', modules_to_not_convert: ['lm_head'] } };

for (const [name, json, stored, meant] of [
  ['plain', config, plain, plain],
  ['in blocks of MXFP4', quantized, inBlocks, asNumbers],
] as const) {
  const expected = logitsOf(meant, IDS);
  for (const { name: on, create } of testDevices) {
    test(`gpt-oss, ${name}, on ${on}`, async () => {
      const device = await create();
      await sameLogits(device, json, stored, IDS, expected);
      device.close();
    });
  }
}
