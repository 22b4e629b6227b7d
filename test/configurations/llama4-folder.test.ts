/**
 * Llama 4 as a Hugging Face folder, against plain loops of its published formulas (transformers, models/llama4; Meta's llama4/model.py
 * and moe.py): the layout of its tensors is written down here once more, on its own.
 */
import { test } from 'node:test';
import { testDevices } from '../support/devices.ts';
import { randomTensors, type Shapes, sameLogits } from './folder.ts';
import {
  attend,
  headsOf,
  largest,
  linear,
  type Plain,
  plus,
  type Row,
  rmsNorm,
  rowOf,
  scaled,
  sigmoid,
  silu,
  times,
  turnPairs,
} from './plain-math.ts';

const EPS = 1e-5;
const THETA = 500_000;
const [V, D, H, K, E, G, F, CHUNK, FLOOR] = [40, 24, 4, 2, 8, 12, 20, 32, 8];
const base = {
  model_type: 'llama4_text',
  vocab_size: V,
  hidden_size: D,
  num_attention_heads: H,
  num_key_value_heads: K,
  head_dim: E,
  intermediate_size: G,
  intermediate_size_mlp: F,
  max_position_embeddings: 256,
  rms_norm_eps: EPS,
  rope_theta: THETA,
  attention_chunk_size: CHUNK,
  floor_scale: FLOOR,
  attn_scale: 0.1,
  tie_word_embeddings: false,
};

interface Choices {
  readonly layers: number;
  readonly rotated: readonly number[];
  readonly chunked: boolean;
  /** The blocks with experts. */
  readonly moe: readonly number[];
  readonly experts: number;
  readonly used: number;
  readonly qkNorm: boolean;
  readonly tempered: boolean;
  readonly llama3: boolean;
}

function shapesOf({ layers, moe, experts }: Choices): Shapes {
  const shapes: Record<string, readonly number[]> = {
    'model.embed_tokens.weight': [V, D],
    'model.norm.weight': [D],
    'lm_head.weight': [V, D],
  };
  for (let i = 0; i < layers; i++) {
    const block: Record<string, readonly number[]> = {
      'input_layernorm.weight': [D],
      'post_attention_layernorm.weight': [D],
      'self_attn.q_proj.weight': [H * E, D],
      'self_attn.k_proj.weight': [K * E, D],
      'self_attn.v_proj.weight': [K * E, D],
      'self_attn.o_proj.weight': [D, H * E],
    };
    const layer = (prefix: string, width: number) => {
      block[`${prefix}.gate_proj.weight`] = [width, D];
      block[`${prefix}.up_proj.weight`] = [width, D];
      block[`${prefix}.down_proj.weight`] = [D, width];
    };
    if (moe.includes(i)) {
      block['feed_forward.router.weight'] = [experts, D];
      block['feed_forward.experts.gate_up_proj'] = [experts, D, 2 * G];
      block['feed_forward.experts.down_proj'] = [experts, G, D];
      layer('feed_forward.shared_expert', G);
    } else layer('feed_forward', F);
    for (const [name, shape] of Object.entries(block)) shapes[`model.layers.${i}.${name}`] = shape;
  }
  return shapes;
}

function frequencies(llama3: boolean): number[] {
  const [factor, low, high, original] = [16, 1, 2, 64];
  return Array.from({ length: E / 2 }, (_, i) => {
    const plain = THETA ** ((-2 * i) / E);
    if (!llama3) return plain;
    const wave = (2 * Math.PI) / plain;
    if (wave < original / high) return plain;
    if (wave > original / low) return plain / factor;
    const smooth = (original / wave - low) / (high - low);
    return ((1 - smooth) * plain) / factor + smooth * plain;
  });
}

function logitsOf(tensors: ReadonlyMap<string, Plain>, choices: Choices, ids: readonly number[]): Row[] {
  const get = (name: string) => tensors.get(name)!;
  const inverse = frequencies(choices.llama3);
  let x: Row[] = ids.map((id) => rowOf(get('model.embed_tokens.weight'), id));
  const swiglu = (y: Row, prefix: string) => {
    const gate = linear(y, get(`${prefix}.gate_proj.weight`)).map(silu);
    const up = linear(y, get(`${prefix}.up_proj.weight`));
    return linear(
      gate.map((one, i) => one * up[i]!),
      get(`${prefix}.down_proj.weight`),
    );
  };
  const experts = (y: Row, prefix: string) => {
    const scores = linear(y, get(`${prefix}.router.weight`));
    let sum = swiglu(y, `${prefix}.shared_expert`);
    for (const expert of largest(scores, choices.used)) {
      const gateUp = times(scaled(y, sigmoid(scores[expert]!)), get(`${prefix}.experts.gate_up_proj`), expert);
      const hidden = gateUp.slice(0, G).map((gate, i) => silu(gate) * gateUp[G + i]!);
      sum = plus(sum, times(hidden, get(`${prefix}.experts.down_proj`), expert));
    }
    return sum;
  };
  for (let i = 0; i < choices.layers; i++) {
    const at = `model.layers.${i}`;
    const isRotated = choices.rotated[i] === 1;
    const entered = x.map((row) => rmsNorm(row, get(`${at}.input_layernorm.weight`), EPS));
    const heads = (name: string) =>
      entered.map((row, position) =>
        headsOf(linear(row, get(`${at}.self_attn.${name}.weight`)), E).map((head) => {
          if (name === 'v_proj') return head;
          if (isRotated) {
            const angles = inverse.map((one) => one * position);
            const turned = turnPairs(head, angles);
            return choices.qkNorm ? rmsNorm(turned, null, EPS) : turned;
          }
          const grown = Math.log1p(Math.floor((position + 1) / FLOOR)) * 0.1 + 1;
          return name === 'q_proj' && choices.tempered ? scaled(head, grown) : head;
        }),
      );
    const [q, k, v] = [heads('q_proj'), heads('k_proj'), heads('v_proj')];
    x = x.map((row, position) => {
      const first = choices.chunked && isRotated ? position - (position % CHUNK) : 0;
      const mix = q[position]!.flatMap((query, h) => {
        const of = Math.floor(h / (H / K));
        const seen = (all: readonly (readonly Row[])[]) => all.slice(first, position + 1).map((one) => one[of]!);
        return attend(query, seen(k), seen(v));
      });
      const between = plus(row, linear(mix, get(`${at}.self_attn.o_proj.weight`)));
      const y = rmsNorm(between, get(`${at}.post_attention_layernorm.weight`), EPS);
      const prefix = `${at}.feed_forward`;
      return plus(between, choices.moe.includes(i) ? experts(y, prefix) : swiglu(y, prefix));
    });
  }
  return x.map((row) => linear(rmsNorm(row, get('model.norm.weight'), EPS), get('lm_head.weight')));
}

const IDS = Array.from({ length: 70 }, (_, i) => (i * 17 + 3) % V);
const llama3 = {
  rope_type: 'llama3',
  factor: 16,
  low_freq_factor: 1,
  high_freq_factor: 2,
  original_max_position_embeddings: 64,
};

const cases: readonly (readonly [name: string, json: object, Choices])[] = [
  [
    'Scout: experts in every block, one a token',
    { num_hidden_layers: 4, num_local_experts: 3, num_experts_per_tok: 1, interleave_moe_layer_step: 1, use_qk_norm: true, no_rope_layers: [], rope_scaling: llama3 },
    { layers: 4, rotated: [1, 1, 1, 0], chunked: true, moe: [0, 1, 2, 3], experts: 3, used: 1, qkNorm: true, tempered: true, llama3: true },
  ],
  [
    'Maverick: experts in every second block, no norms',
    { num_hidden_layers: 4, num_local_experts: 5, num_experts_per_tok: 2, interleave_moe_layer_step: 2, use_qk_norm: false, attn_temperature_tuning: 4 },
    { layers: 4, rotated: [1, 1, 1, 0], chunked: true, moe: [1, 3], experts: 5, used: 2, qkNorm: false, tempered: true, llama3: false },
  ],
  [
    'Llama Guard 4: no experts',
    { num_hidden_layers: 4, num_local_experts: 0, num_experts_per_tok: 0, interleave_moe_layer_step: 0, moe_layers: [], use_qk_norm: true, no_rope_layers: [1, 1, 1, 0] },
    { layers: 4, rotated: [1, 1, 1, 0], chunked: true, moe: [], experts: 0, used: 0, qkNorm: true, tempered: true, llama3: false },
  ],
  [
    'MobileLLM R1: every block rotates and sees everything',
    { num_hidden_layers: 3, num_local_experts: 0, num_experts_per_tok: 0, interleave_moe_layer_step: 0, moe_layers: [], use_qk_norm: true, no_rope_layers: [1, 1, 1], layer_types: Array(3).fill('full_attention'), attn_temperature_tuning: false },
    { layers: 3, rotated: [1, 1, 1], chunked: false, moe: [], experts: 0, used: 0, qkNorm: true, tempered: false, llama3: false },
  ],
]; // biome-ignore format: a table

for (const [name, json, choices] of cases) {
  const tensors = randomTensors(shapesOf(choices), 11);
  const expected = logitsOf(tensors, choices, IDS);
  for (const { name: on, create } of testDevices) {
    test(`${name}, on ${on}`, async () => {
      const device = await create();
      await sameLogits(device, { ...base, ...json }, tensors, IDS, expected);
      device.close();
    });
  }
}
