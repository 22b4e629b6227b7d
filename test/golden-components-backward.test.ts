/**
 * Gradients of test/golden/components, through the tape on every training device: relative L2 error at most 1e-5.
 * attention-gqa-padmask is left out: its pad queries see keys that a flattened batch has no place for.
 */
import { ok } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Tape } from '../src/autograd/tape.ts';
import { readDoubles } from '../src/devices/device.ts';
import type { Gradient } from '../src/kernels/backward-ops.ts';
import { batchOfSequences } from '../src/kernels/batch.ts';
import { type LlamaConfig, paperChoices } from '../src/model/config.ts';
import { transformerBlock } from '../src/model/llama.ts';
import { assembleModel } from '../src/model/model.ts';
import { foreignName, listParameters } from '../src/model/parameters.ts';
import { ropeFrequencies } from '../src/model/rope-frequencies.ts';
import { elementCount, type Tensor } from '../src/tensor/tensor.ts';
import { relativeL2 } from './support/close.ts';
import { type GoldenTensor, goldenJson, goldenTensors } from './support/golden.ts';
import { trainingDevices } from './support/training.ts';
import { gpuDevices } from './support/webgpu.ts';

const LIMIT = 1e-5;

/** How numbers of the file lie in ours: a permutation (own inverse is not needed: expected gradients go the same way). */
type Layout = (data: Float32Array) => Float32Array;
const asIs: Layout = (data) => data;

/** [B, H, T, E] → rows [B·T, H·E]. */
const headsToRows =
  ([, H, T, E]: readonly number[]): Layout =>
  (data) => {
    const out = new Float32Array(data.length);
    for (let i = 0; i < data.length; i++) {
      const [e, t, h, b] = [
        i % E!,
        Math.floor(i / E!) % T!,
        Math.floor(i / (E! * T!)) % H!,
        Math.floor(i / (E! * T! * H!)),
      ];
      out[((b * T! + t) * H! + h) * E! + e] = data[i]!;
    }
    return out;
  };
/** Rows of a [heads · E, I] weight: Hugging Face's halves → neighbouring pairs. */
const pairRows =
  (E: number, I: number): Layout =>
  (data) => {
    const out = new Float32Array(data.length);
    for (let row = 0; row < data.length / I; row++) {
      const e = row % E;
      const to = row - e + (e < E / 2 ? 2 * e : 2 * (e - E / 2) + 1);
      out.set(data.subarray(row * I, (row + 1) * I), to * I);
    }
    return out;
  };
/** [N, C, L] → rows [N·L, C]. */
const channelsToRows =
  ([N, C, L]: readonly number[]): Layout =>
  (data) => {
    const out = new Float32Array(data.length);
    for (let n = 0; n < N!; n++)
      for (let c = 0; c < C!; c++)
        for (let l = 0; l < L!; l++) out[(n * L! + l) * C! + c] = data[(n * C! + c) * L! + l]!;
    return out;
  };

interface Setup {
  /** A tensor of the file that gradients are wanted of, as rows. */
  readonly t: (name: string, shape?: readonly number[], layout?: Layout) => Tensor;
  readonly shape: (name: string) => readonly number[];
  readonly numbers: (name: string) => Float32Array;
  readonly attributes: { readonly eps: number; readonly theta: number; readonly head_dim: number } & Record<
    string,
    number
  >;
}
type Build = (ops: Tape['ops'], setup: Setup) => Tensor;

const rows = (shape: readonly number[]) => [elementCount(shape.slice(0, -1)), shape.at(-1)!];
const inRows = ({ t, shape }: Setup, name: string) => t(name, rows(shape(name)));
const sequences = (B: number, T: number) => batchOfSequences(Array.from({ length: B }, () => new Uint32Array(T)));

const attention: Build = (ops, setup) => {
  const { t, shape, attributes } = setup;
  const { head_dim: E, theta } = attributes;
  const [B, T, D] = shape('x') as [number, number, number];
  const batch = sequences(B, T);
  const x = inRows(setup, 'x');
  const config = { headSize: E, ropeTheta: theta, ropeScaling: { kind: 'none' } } as LlamaConfig;
  const rotation = ops.rotation(batch.positions, ropeFrequencies(config));
  const project = (name: string, layout?: Layout) =>
    ops.linear(x, t(`${name}.weight`, shape(`${name}.weight`), layout));
  const q = ops.rope(project('q_proj', pairRows(E, D)), rotation);
  const k = ops.rope(project('k_proj', pairRows(E, D)), rotation);
  const mix = ops.attention(q, { k_NP: k, v_NP: project('v_proj') }, batch, { headSize: E, window: null });
  return ops.linear(mix, t('o_proj.weight'));
};

const batchNorm =
  (training: boolean): Build =>
  (ops, { t, shape, attributes }) => {
    const [N, C, L = 1] = shape('x') as [number, number, number?];
    const statistics = {
      mean_D: t('running_mean0'),
      variance_D: t('running_var0'),
      momentum: attributes.momentum!,
      training,
    };
    const x = t('x', [N * L, C], L === 1 ? asIs : channelsToRows([N, C, L]));
    return ops.batchNorm(x, t('weight'), t('bias'), attributes.eps, statistics);
  };

const decoderLayer: Build = (ops, setup) => {
  const { t, shape, attributes } = setup;
  const [B, T, D] = shape('x') as [number, number, number];
  const [n_heads, n_kv_heads] = [attributes.n_heads!, attributes.n_kv_heads!];
  const config: LlamaConfig = {
    ...paperChoices,
    width: D,
    blockCount: 1,
    headCount: n_heads,
    kvHeadCount: n_kv_heads,
    headSize: attributes.head_dim,
    ffnWidth: attributes.intermediate_size!,
    vocabSize: 1,
    contextLength: T,
    normEps: attributes.eps,
    ropeTheta: attributes.theta,
    ropeScaling: { kind: 'none' },
    tiedEmbeddings: true,
    attentionBias: false,
    slidingWindow: null,
  };
  const x = inRows(setup, 'x');
  const tensors = new Map<string, Tensor>();
  for (const parameter of listParameters(config)) {
    const name = foreignName(parameter, 'hf')!.replace('model.layers.0.', '');
    const layout = parameter.spec.rotary ? pairRows(config.headSize, D) : asIs;
    tensors.set(
      parameter.name,
      parameter.block === null ? { ...x, shape: parameter.shape } : t(name, shape(name), layout),
    );
  }
  const model = assembleModel(config, tensors);
  const batch = sequences(B, T);
  return transformerBlock(model.blocks[0]!, ops, x, model.rotations(ops, batch.positions), batch);
};

const cases: Record<string, Build> = {
  linear: (ops, setup) => ops.linear(inRows(setup, 'x'), setup.t('weight'), setup.t('bias')),
  embedding: (ops, { t, numbers }) => ops.embed(t('weight'), Uint32Array.from(numbers('ids'))),
  relu: (ops, { t }) => ops.relu(t('x')),
  'gelu-erf': (ops, { t }) => ops.gelu(t('x'), 'exact'),
  'gelu-tanh': (ops, { t }) => ops.gelu(t('x'), 'tanh'),
  'rmsnorm-eps1e-6': (ops, setup) => ops.rmsNorm(inRows(setup, 'x'), setup.t('weight'), setup.attributes.eps),
  'rmsnorm-eps1e-5-small-inputs': (ops, setup) =>
    ops.rmsNorm(inRows(setup, 'x'), setup.t('weight'), setup.attributes.eps),
  layernorm: (ops, setup) =>
    ops.layerNorm(inRows(setup, 'x'), setup.t('weight'), setup.t('bias'), setup.attributes.eps),
  'batchnorm1d-train': batchNorm(true),
  'batchnorm1d-train-ncl': batchNorm(true),
  'batchnorm1d-eval': batchNorm(false),
  'swiglu-mlp': (ops, setup) => {
    const x = inRows(setup, 'x');
    const { t } = setup;
    return ops.linear(
      ops.swiglu(ops.linear(x, t('gate_proj.weight')), ops.linear(x, t('up_proj.weight'))),
      t('down_proj.weight'),
    );
  },
  'geglu-erf': (ops, setup) => {
    const x = inRows(setup, 'x');
    const { t } = setup;
    return ops.linear(ops.geglu(ops.linear(x, t('w')), ops.linear(x, t('v')), 'exact'), t('w2'));
  },
  'geglu-tanh-t5': (ops, setup) => {
    const x = inRows(setup, 'x');
    const { t } = setup;
    return ops.linear(
      ops.geglu(ops.linear(x, t('wi_0.weight')), ops.linear(x, t('wi_1.weight')), 'tanh'),
      t('wo.weight'),
    );
  },
  'attention-mha': attention,
  'attention-gqa': attention,
  'attention-mqa': attention,
  'sdpa-causal': (ops, { t, shape }) => {
    const [B, H, T, E] = shape('q') as [number, number, number, number];
    const [q, k, v] = ['q', 'k', 'v'].map((name) => t(name, [B * T, H * E], headsToRows([B, H, T, E])));
    return ops.attention(q!, { k_NP: k!, v_NP: v! }, sequences(B, T), { headSize: E, window: null });
  },
  'decoder-layer': decoderLayer,
};

for (const { name: deviceName, create } of [...trainingDevices, ...(await gpuDevices())]) {
  describe(`golden gradients on ${deviceName}`, () => {
    for (const [name, build] of Object.entries(cases)) {
      test(name, async () => {
        const device = await create();
        const folder = `components/${name}`;
        const input = goldenTensors(`${folder}/input.safetensors`);
        const expected = goldenTensors(`${folder}/expected.safetensors`);
        const { attributes } = goldenJson<{ attributes: Setup['attributes'] }>(`${folder}/case.json`);
        const used = new Map<string, { gradient: Gradient; layout: Layout }>();
        const parameters = new Map<Tensor, Gradient>();
        let outputLayout = asIs;
        const t: Setup['t'] = (key, shape = input[key]!.shape, layout = asIs) => {
          const tensor = device.allocate(shape);
          device.write(tensor, layout(input[key]!.data));
          const gradient: Gradient = { tensor: device.allocate(shape), isEmpty: true };
          parameters.set(tensor, gradient);
          used.set(key, { gradient, layout });
          if (key === 'x' || key === 'q') outputLayout = layout;
          return tensor;
        };
        const tape = new Tape(device, parameters, 'none');
        const setup = {
          t,
          shape: (key: string) => input[key]!.shape,
          numbers: (key: string) => input[key]!.data,
          attributes,
        };
        const y = build(tape.ops, setup);
        const check = (what: string, actual: ArrayLike<number>, { data }: GoldenTensor, layout: Layout) => {
          const error = relativeL2(Float32Array.from(actual), layout(data));
          ok(error <= LIMIT, `${name} ${what}: relative L2 error ${error}, expected at most ${LIMIT}`);
        };
        check('out.y', await device.read(y), expected['out.y']!, outputLayout);
        const seeds = device.scratch(y.shape);
        device.write(seeds, outputLayout(input['gout.y']!.data));
        device.backward.accumulate(tape.gradientOf(y)!, seeds, 1);
        tape.backward();
        const wanted = Object.keys(expected).filter((key) => key.startsWith('grad.'));
        ok(wanted.length > 0);
        for (const key of wanted) {
          const { gradient, layout } = used.get(key.slice('grad.'.length))!;
          check(key, await device.read(gradient.tensor), expected[key]!, layout);
        }
        device.close();
      });
    }

    for (const [name, B, T] of [
      ['rope-meta-interleaved-theta1e4', 2, 9],
      ['rope-meta-interleaved-theta5e5-hd24', 2, 10],
    ] as const) {
      test(name, async () => {
        const device = await create();
        const folder = `components/${name}`;
        const input = goldenTensors(`${folder}/input.safetensors`);
        const expected = goldenTensors(`${folder}/expected.safetensors`);
        const { attributes } = goldenJson<{ attributes: Setup['attributes'] }>(`${folder}/case.json`);
        const { head_dim: headSize, theta: ropeTheta } = attributes;
        const frequencies = ropeFrequencies({ headSize, ropeTheta, ropeScaling: { kind: 'none' } } as LlamaConfig);
        const positions = Uint32Array.from({ length: B * T }, (_, n) => input.position_ids!.data[n % T]!);
        for (const key of ['q', 'k']) {
          const seeds = device.scratch([B * T, input[key]!.data.length / (B * T)]);
          device.write(seeds, input[`gout.${key}`]!.data);
          const gradient: Gradient = { tensor: device.scratch(seeds.shape), isEmpty: true };
          device.backward.rope(gradient, seeds, device.ops.rotation(positions, frequencies));
          const error = relativeL2(
            Float32Array.from(await device.read(gradient.tensor)),
            expected[`grad.${key}`]!.data,
          );
          ok(error <= LIMIT, `${name} ${key}: relative L2 error ${error}`);
        }
        device.close();
      });
    }

    test('cross-entropy-ignore: the logits as x, the identity as output layer', async () => {
      const device = await create();
      const input = goldenTensors('components/cross-entropy-ignore/input.safetensors');
      const expected = goldenTensors('components/cross-entropy-ignore/expected.safetensors');
      const [B, T, V] = input.logits!.shape as [number, number, number];
      const x = device.allocate([B * T, V]);
      device.write(x, input.logits!.data);
      const identity = device.allocate([V, V]);
      for (let v = 0; v < V; v++) device.write(identity, [1], v * V + v);
      const labels = Int32Array.from({ length: B * T }, (_, n) =>
        n % T === T - 1 ? -100 : input.labels!.data[n + 1]!,
      );
      const count = labels.filter((label) => label >= 0).length;
      const weights = new Float64Array(B * T).fill(input['gout.loss']!.data[0]! / count);
      const gradient: Gradient = { tensor: device.allocate([B * T, V]), isEmpty: true };
      const losses = await readDoubles(
        device,
        device.backward.crossEntropy(gradient, null, x, identity, labels, weights),
      );
      const loss = losses.reduce((a, b) => a + b, 0) / count;
      ok(Math.abs(loss / expected['out.loss']!.data[0]! - 1) <= LIMIT, `loss ${loss}`);
      const error = relativeL2(Float32Array.from(await device.read(gradient.tensor)), expected['grad.logits']!.data);
      ok(error <= LIMIT, `grad.logits: relative L2 error ${error}`);
      device.close();
    });
  });
}
