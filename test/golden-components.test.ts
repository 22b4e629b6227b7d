/** Every component of test/golden/components, forward, through Ops on every device: relative L2 error at most 1e-5. */
import { deepStrictEqual, ok } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fromFloats } from '../src/devices/device.ts';
import { erfc } from '../src/kernels/activation/reference.ts';
import { batchOfSequences } from '../src/kernels/batch.ts';
import type { Ops } from '../src/kernels/ops.ts';
import { type LlamaConfig, paperChoices, type RopeScaling } from '../src/model/config.ts';
import { transformerBlock } from '../src/model/llama.ts';
import { assembleModel } from '../src/model/model.ts';
import { listParameters } from '../src/model/parameters.ts';
import { ropeFrequencies } from '../src/model/rope-frequencies.ts';
import type { Tensor } from '../src/tensor/tensor.ts';
import { relativeL2 } from './support/close.ts';
import { testDevices } from './support/devices.ts';
import { type GoldenTensor, goldenJson, goldenTensors } from './support/golden.ts';
import { gpuDevices } from './support/webgpu.ts';

const LIMIT = 1e-5;

interface Setup {
  readonly ops: Ops;
  /** An input tensor on the device, optionally seen with another shape. */
  readonly t: (name: string, shape?: readonly number[]) => Tensor;
  readonly input: Record<string, GoldenTensor>;
  readonly expected: Record<string, GoldenTensor>;
  readonly attributes: Record<string, never>;
  readonly check: (name: string, actual: Tensor) => void;
  readonly device: import('../src/devices/device.ts').Device;
}

/** Rows of a [B, heads, T, E] array in our layout [B·T, heads·E]. */
export function headsToRows({ shape, data }: GoldenTensor): Float32Array {
  const [B, H, T, E] = shape as [number, number, number, number];
  const out = new Float32Array(data.length);
  for (let b = 0; b < B; b++)
    for (let h = 0; h < H; h++)
      for (let t = 0; t < T; t++)
        for (let e = 0; e < E; e++) out[((b * T + t) * H + h) * E + e] = data[((b * H + h) * T + t) * E + e]!;
  return out;
}

/** Hugging Face's half-split head dimension → neighbouring pairs, on the last dimension of rows. */
function interleave(data: Float32Array, E: number): Float32Array {
  const out = new Float32Array(data.length);
  for (let head = 0; head < data.length; head += E)
    for (let e = 0; e < E / 2; e++) {
      out[head + 2 * e] = data[head + e]!;
      out[head + 2 * e + 1] = data[head + E / 2 + e]!;
    }
  return out;
}

/** The same for the rows of a [heads·E, I] weight. */
function interleaveRows(data: Float32Array, I: number, E: number): Float32Array {
  const out = new Float32Array(data.length);
  for (let head = 0; head < data.length / I; head += E)
    for (let e = 0; e < E / 2; e++) {
      out.set(data.subarray((head + e) * I, (head + e + 1) * I), (head + 2 * e) * I);
      out.set(data.subarray((head + E / 2 + e) * I, (head + E / 2 + e + 1) * I), (head + 2 * e + 1) * I);
    }
  return out;
}

function plainRope(headSize: number, ropeTheta: number) {
  return ropeFrequencies({
    ...paperChoices,
    headSize,
    ropeTheta,
    ropeScaling: { kind: 'none' },
  } as unknown as LlamaConfig);
}

const rowwise =
  (op: (ops: Ops, x: Tensor) => Tensor) =>
  ({ ops, t, check }: Setup) =>
    check('y', op(ops, t('x')));
const rowsOf = (shape: readonly number[]) => [shape.slice(0, -1).reduce((a, b) => a * b, 1), shape.at(-1)!];

function attention({ ops, t, input, attributes, check, device }: Setup): void {
  const {
    n_heads: H,
    n_kv_heads: K,
    head_dim: E,
    theta,
    lengths,
  } = attributes as unknown as {
    n_heads: number;
    n_kv_heads: number;
    head_dim: number;
    theta: number;
    lengths: number[] | null;
  };
  const [B, T, D] = input.x!.shape as [number, number, number];
  const weight = (name: string, heads: number) =>
    fromFloats(device, interleaveRows(input[name]!.data, D, E), [heads * E, D]);
  const x_ND = t('x', [B * T, D]);
  const positions = Uint32Array.from({ length: B * T }, (_, n) => n % T);
  const rotation = ops.rotation(positions, plainRope(E, theta));
  const q = ops.rope(ops.linear(x_ND, weight('q_proj.weight', H)), rotation);
  const k = ops.rope(ops.linear(x_ND, weight('k_proj.weight', K)), rotation);
  const v = ops.linear(x_ND, t('v_proj.weight'));
  const options = { headSize: E, window: null };
  const sequences = Array.from({ length: B }, () => new Uint32Array(T));
  let mix: Tensor;
  if (lengths === null) {
    mix = ops.attention(q, { k_NP: k, v_NP: v }, batchOfSequences(sequences), options);
  } else {
    // Padding has no place in a flattened batch: the valid keys go to a cache, and a pad query asks as if it stood at the last of them.
    const store = device.createKvStore({ layerCount: 1, blockCount: B, kvHeadCount: K, headSize: E, type: 'f32' });
    const layer = { store, layer: 0 };
    const ids = new Uint32Array(B * T);
    const one = (row: number, firstPosition: number) => ({
      firstRow: row,
      rowCount: 1,
      firstPosition,
      blocks: Uint32Array.of(Math.floor(row / T)),
    });
    const valid = Array.from(ids.keys()).filter((row) => row % T < lengths[Math.floor(row / T)]!);
    const picked = Uint32Array.from(valid);
    ops.appendToCache(layer, ops.selectRows(k, picked), ops.selectRows(v, picked), {
      ids: picked,
      positions: picked,
      spans: valid.map((row, n) => ({ ...one(row, row % T), firstRow: n })),
    });
    const spans = Array.from(ids.keys(), (row) => one(row, Math.min(row % T, lengths[Math.floor(row / T)]! - 1)));
    mix = ops.attention(q, layer, { ids, positions, spans }, options);
  }
  check('y', ops.linear(mix, t('o_proj.weight')));
}

const cases: Record<string, (setup: Setup) => void> = {
  'attention-gqa': attention,
  'attention-gqa-padmask': attention,
  'attention-mha': attention,
  'attention-mqa': attention,
  'sdpa-causal': ({ ops, input, check, expected, device }) => {
    const [B, H, T, E] = input.q!.shape as [number, number, number, number];
    const rows = (name: string) => fromFloats(device, headsToRows(input[name]!), [B * T, H * E]);
    const batch = batchOfSequences(Array.from({ length: B }, () => new Uint32Array(T)));
    expected['out.y'] = { shape: [B * T, H * E], data: headsToRows(expected['out.y']!) };
    check('y', ops.attention(rows('q'), { k_NP: rows('k'), v_NP: rows('v') }, batch, { headSize: E, window: null }));
  },
  'batchnorm1d-eval': batchNorm,
  'batchnorm1d-train': batchNorm,
  'batchnorm1d-train-ncl': batchNorm,
  'decoder-layer': decoderLayer,
  embedding: ({ ops, t, input, check }) => check('y', ops.embed(t('weight'), Uint32Array.from(input.ids!.data))),
  'geglu-erf': ({ ops, t, check }) =>
    check('y', ops.linear(ops.geglu(ops.linear(t('x'), t('w')), ops.linear(t('x'), t('v'))), t('w2'))),
  'geglu-tanh-t5': ({ ops, t, check }) =>
    check(
      'y',
      ops.linear(
        ops.geglu(ops.linear(t('x'), t('wi_0.weight')), ops.linear(t('x'), t('wi_1.weight')), 'tanh'),
        t('wo.weight'),
      ),
    ),
  'gelu-erf': rowwise((ops, x) => ops.gelu(x)),
  'gelu-tanh': rowwise((ops, x) => ops.gelu(x, 'tanh')),
  relu: rowwise((ops, x) => ops.relu(x)),
  silu: ({ ops, t, device, input, check }) =>
    check('y', ops.swiglu(t('x'), fromFloats(device, new Float32Array(input.x!.data.length).fill(1), input.x!.shape))),
  layernorm: ({ ops, t, attributes, check }) =>
    check('y', ops.layerNorm(t('x'), t('weight'), t('bias'), (attributes as unknown as { eps: number }).eps)),
  linear: ({ ops, t, check }) => check('y', ops.linear(t('x'), t('weight'), t('bias'))),
  'rmsnorm-eps1e-5-small-inputs': rmsNorm,
  'rmsnorm-eps1e-6': rmsNorm,
  'rope-hf-halfsplit-theta1e4': (setup) => ropeCase(setup, true),
  'rope-hf-halfsplit-theta5e5-hd24': (setup) => ropeCase(setup, true),
  'rope-meta-interleaved-theta1e4': (setup) => ropeCase(setup, false),
  'rope-meta-interleaved-theta5e5-hd24': (setup) => ropeCase(setup, false),
  'sinusoidal-positions': ({ ops, expected, check, device }) => {
    const [N, D] = expected.interleaved!.shape as [number, number];
    const zeros = fromFloats(device, new Float32Array(N * D), [N, D]);
    const positions = Uint32Array.from({ length: N }, (_, n) => n);
    expected['out.interleaved'] = expected.interleaved!;
    expected['out.halves'] = expected.half_split!;
    check('interleaved', ops.addSinusoids(zeros, positions));
    check('halves', ops.addSinusoids(zeros, positions, 'halves'));
  },
  'swiglu-mlp': ({ ops, t, check }) => {
    const hidden = ops.swiglu(ops.linear(t('x'), t('gate_proj.weight')), ops.linear(t('x'), t('up_proj.weight')));
    check('y', ops.linear(hidden, t('down_proj.weight')));
  },
};

/** One block of the model itself, on weights under their Hugging Face names. */
function decoderLayer({ ops, t, input, attributes, check, device }: Setup): void {
  const {
    n_heads: H,
    n_kv_heads: K,
    head_dim: E,
    intermediate_size: F,
    eps,
    theta,
  } = attributes as unknown as Record<string, number> & {
    n_heads: number;
    n_kv_heads: number;
    head_dim: number;
    intermediate_size: number;
    eps: number;
    theta: number;
  };
  const [B, T, D] = input.x!.shape as [number, number, number];
  const config: LlamaConfig = {
    ...paperChoices,
    width: D,
    blockCount: 1,
    headCount: H,
    kvHeadCount: K,
    headSize: E,
    ffnWidth: F,
    vocabSize: 1,
    contextLength: T,
    normEps: eps,
    ropeTheta: theta,
    ropeScaling: { kind: 'none' },
    tiedEmbeddings: true,
    attentionBias: false,
    slidingWindow: null,
  };
  const tensors = new Map<string, Tensor>();
  for (const parameter of listParameters(config)) {
    const weight = parameter.block === null ? undefined : input[parameter.spec.hf!];
    const data = weight?.data ?? new Float32Array(parameter.shape.reduce((a, b) => a * b, 1));
    tensors.set(
      parameter.name,
      fromFloats(device, parameter.spec.rotary ? interleaveRows(data, D, E) : data, parameter.shape),
    );
  }
  const batch = batchOfSequences(Array.from({ length: B }, () => new Uint32Array(T)));
  const model = assembleModel(config, tensors);
  const rotations = model.rotations(ops, batch.positions);
  check('y', transformerBlock(model.blocks[0]!, ops, t('x', [B * T, D]), rotations, batch));
}

function rmsNorm({ ops, t, attributes, check }: Setup): void {
  check('y', ops.rmsNorm(t('x'), t('weight'), (attributes as unknown as { eps: number }).eps));
}

function batchNorm({ ops, t, input, expected, attributes, check, device }: Setup): void {
  const { eps, momentum, training } = attributes as unknown as { eps: number; momentum: number; training: boolean };
  const statistics = {
    mean_D: t('running_mean0'),
    variance_D: t('running_var0'),
    momentum,
    training,
  };
  const channelsLast = ({ shape, data }: GoldenTensor): GoldenTensor => {
    const [N, C, L] = [shape[0]!, shape[1]!, shape[2] ?? 1];
    const out = new Float32Array(data.length);
    for (let n = 0; n < N; n++)
      for (let c = 0; c < C; c++) for (let l = 0; l < L; l++) out[(n * L + l) * C + c] = data[(n * C + c) * L + l]!;
    return { shape: [N * L, C], data: out };
  };
  const x = channelsLast(input.x!);
  expected['out.y'] = channelsLast(expected['out.y']!);
  check('y', ops.batchNorm(fromFloats(device, x.data, x.shape), t('weight'), t('bias'), eps, statistics));
  if (training) {
    check('running_mean', statistics.mean_D);
    check('running_var', statistics.variance_D);
  }
}

function ropeCase({ ops, input, expected, attributes, check, device }: Setup, halfSplit: boolean): void {
  const { head_dim: E, theta } = attributes as unknown as { head_dim: number; theta: number };
  const layout = (tensor: GoldenTensor): GoldenTensor => {
    const [B, A, C] = tensor.shape as [number, number, number, number];
    const [T, H] = halfSplit ? [C, A] : [A, C];
    return { shape: [B * T, H * E], data: halfSplit ? interleave(headsToRows(tensor), E) : tensor.data };
  };
  const positions = input.position_ids!.data;
  for (const name of ['q', 'k']) {
    const x = layout(input[name]!);
    expected[`out.${name}`] = layout(expected[`out.${name}`]!);
    const rotation = ops.rotation(
      Uint32Array.from({ length: x.shape[0]! }, (_, n) => positions[n % positions.length]!),
      plainRope(E, theta),
    );
    check(name, ops.rope(fromFloats(device, x.data, x.shape), rotation));
  }
}

for (const { name: deviceName, create } of [...testDevices, ...(await gpuDevices())]) {
  describe(`golden components on ${deviceName}`, () => {
    for (const [name, run] of Object.entries(cases)) {
      test(name, async () => {
        const device = await create();
        const folder = `components/${name}`;
        const input = name === 'sinusoidal-positions' ? {} : goldenTensors(`${folder}/input.safetensors`);
        const expected = goldenTensors(`${folder}/expected.safetensors`);
        const attributes = goldenJson<{ attributes?: Record<string, never> }>(`${folder}/case.json`).attributes ?? {};
        const checks: Promise<void>[] = [];
        const setup: Setup = {
          device,
          ops: device.ops,
          input,
          expected,
          attributes,
          t: (key, shape) =>
            fromFloats(
              device,
              input[key]!.data,
              shape ?? (input[key]!.shape.length === 1 ? input[key]!.shape : rowsOf(input[key]!.shape)),
            ),
          check: (key, actual) => {
            const reading = device.read(actual);
            checks.push(
              reading.then((numbers) => {
                const error = relativeL2(numbers, expected[`out.${key}`]!.data);
                ok(error <= LIMIT, `${name} out.${key}: relative L2 error ${error}, limit ${LIMIT}`);
              }),
            );
          },
        };
        run(setup);
        ok(checks.length > 0, 'the case checked nothing');
        await Promise.all(checks);
        device.close();
      });
    }
  });
}

test('rotary frequencies with and without scaling equal those of transformers', () => {
  const { variants } = goldenJson<{ variants: Record<string, Record<string, number | string>> }>(
    'components/rope-inv-freq-scaled/case.json',
  );
  const expected = goldenTensors('components/rope-inv-freq-scaled/expected.safetensors');
  for (const [name, v] of Object.entries(variants)) {
    const scalings: Record<string, RopeScaling> = {
      default: { kind: 'none' },
      linear: { kind: 'linear', factor: v.factor as number },
      llama3: {
        kind: 'llama3',
        factor: v.factor as number,
        lowFreqFactor: v.low_freq_factor as number,
        highFreqFactor: v.high_freq_factor as number,
        originalContextLength: v.original_max_position_embeddings as number,
      },
    };
    const ropeScaling = scalings[v.rope_type as string];
    ok(ropeScaling, `unknown rope type ${v.rope_type}`);
    const config = {
      ...paperChoices,
      headSize: 128,
      ropeTheta: v.rope_theta as number,
      ropeScaling,
    } as unknown as LlamaConfig;
    const { inverse } = ropeFrequencies(config);
    inverse.forEach((omega, e) => {
      const reference = expected[`${name}.inv_freq`]!.data[e]!;
      ok(Math.abs(omega - reference) <= 1e-6 * reference, `${name} pair ${e}: ${omega}, expected ${reference}`);
    });
  }
});

test('every golden component has a case here or is checked elsewhere', () => {
  const elsewhere = [
    'cross-entropy-ignore',
    'log-softmax', // golden-softmax.test.ts
    'softmax', // golden-softmax.test.ts
    'rope-inv-freq-scaled',
    'rope-weight-permutation',
  ];
  const { readdirSync } = process.getBuiltinModule('node:fs');
  const folders = readdirSync(new URL('./golden/components/', import.meta.url));
  deepStrictEqual(
    folders.filter((folder) => !(folder in cases) && !elsewhere.includes(folder)),
    [],
  );
});

test('erfc: known values to 1e-10 relative', () => {
  for (const [x, value] of [
    [0, 1],
    [0.5, 0.4795001221869535],
    [1, 0.15729920705028513],
    [2, 0.004677734981047266],
    [2.6, 0.0002360344165293494],
    [5, 1.5374597944280349e-12],
  ] as const) {
    ok(Math.abs(erfc(x) - value) <= 1e-10 * value, `erfc(${x}) = ${erfc(x)}, expected ${value}`);
    ok(Math.abs(erfc(-x) - (2 - value)) <= 1e-10, `erfc(${-x})`);
  }
});
