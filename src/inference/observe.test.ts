import { deepStrictEqual, ok, rejects, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../test/support/close.ts';
import { tinyConfig, tinyModel, tinyWeights } from '../../test/support/tiny-model.ts';
import { createReferenceDevice } from '../devices/reference/device.ts';
import { createWasmDevice } from '../devices/wasm/device.ts';
import { batchOfSequences } from '../kernels/batch.ts';
import { rope } from '../kernels/rope/reference.ts';
import { softmax } from '../kernels/softmax/reference.ts';
import type { LlamaConfig } from '../model/config.ts';
import { forward, hidden, keepOutputs } from '../model/llama.ts';
import { loadModel } from '../model/model.ts';
import type { TensorSource } from '../tensor/source.ts';
import { logitsOf, trace, traceNames } from './observe.ts';
import { nearestRows, parameterRows } from './reading/parameters.ts';

const device = createReferenceDevice();
const model = tinyModel(device);
const ids = Uint32Array.of(5, 9, 80, 3, 3, 41);

test('every activation that forward names can be traced, and nothing else is promised', () => {
  const taps = new Set<string>();
  forward(model, device.ops, batchOfSequences([ids]), { tap: (name) => taps.add(name) });
  const made = /^hidden|^probabilities$|attention\.(scores|probabilities|heads)$/;
  deepStrictEqual(
    traceNames(tinyConfig).filter((name) => !made.test(name)),
    [...taps],
  );
});

const variants: Readonly<Record<string, Partial<LlamaConfig>>> = {
  'learned positions, ReLU, layer norms after': {
    positions: 'learned',
    activation: 'relu',
    norm: 'layer',
    normPlacement: 'after',
  },
  'scaled branches, norms of outputs, window, cap, sinks': {
    residualScale: 0.5,
    normPlacement: 'both',
    slidingWindow: 3,
    slidingBlocks: [true, false],
    slidingTheta: 500,
    attentionCap: 5,
    attentionSinks: true,
    qkNorm: 'head',
    activation: 'geglu',
  },
  experts: {
    experts: {
      count: 4,
      used: 2,
      width: 16,
      weights: 'chosen',
      weighs: 'results',
      shared: null,
      blocks: null,
      bias: false,
    },
  },
};
for (const [what, choices] of Object.entries(variants)) {
  test(`${what}: the names of taps are those of trace(), and laws hold`, async () => {
    const config = { ...tinyConfig, ...choices };
    const other = tinyModel(device, config);
    const taps = new Set<string>();
    forward(other, device.ops, batchOfSequences([ids]), { tap: (name) => taps.add(name) });
    const names = traceNames(config);
    deepStrictEqual(
      [...taps].filter((name) => !names.includes(name)),
      [],
    );
    const all = await trace(device, other, ids, names);
    deepStrictEqual([...all.keys()], names);
    for (const i of [0, 1]) {
      const of = (part: string) => all.get(`blocks.${i}.${part}`)!.data;
      const before = all.get(`hidden.${i}`)!.data;
      if (config.normPlacement !== 'after') {
        assertClose('residual', of('afterAttention'), plus(before, of('attention.output')), { atol: 1e-5 });
        assertClose('residual', of('output'), plus(of('afterAttention'), of('feedForward.output')), { atol: 1e-5 });
      }
      const p = all.get(`blocks.${i}.attention.probabilities`)!;
      for (let row = 0; row < 4 * 6; row++) {
        const sum = p.data.subarray(row * 6, row * 6 + 6).reduce((a, b) => a + b);
        ok(config.attentionSinks ? sum < 1 : Math.abs(sum - 1) < 1e-6, `row ${row} sums to ${sum}`);
      }
    }
    assertClose('the last block is the end', all.get('hidden.2.logits')!.data, all.get('logits')!.data, { atol: 1e-5 });
  });
}

const plus = (a: Float32Array, b: Float32Array) => a.map((value, i) => value + b[i]!);

test('a slice is those rows and heads of the whole, to the bit', async () => {
  const all = await trace(device, model, ids, traceNames(tinyConfig));
  const slice = { rows: [5, 1, 2], heads: [3, 0] };
  const some = await trace(device, model, ids, traceNames(tinyConfig), slice);
  for (const [name, { shape, data }] of all) {
    const part = some.get(name)!;
    const columns = shape.at(-1)!;
    const headed = shape.length === 3;
    deepStrictEqual(part.shape, headed ? [2, 3, columns] : [3, columns], name);
    const rows = headed ? slice.heads.flatMap((h) => slice.rows.map((n) => h * 6 + n)) : slice.rows;
    const expected = rows.flatMap((row) => [...data.subarray(row * columns, (row + 1) * columns)]);
    deepStrictEqual([...part.data], expected, name);
  }
  await rejects(trace(device, model, ids, ['norm'], { rows: [6] }), {
    code: 'trace.slice',
    message: /rows holds 6, expected .* 0 to 5/,
  });
  await rejects(trace(device, model, ids, ['norm'], { heads: [-1] }), { code: 'trace.slice' });
  deepStrictEqual((await trace(device, model, ids, ['norm'], { rows: [] })).get('norm')!.shape, [0, 32]);
});

test('scores become probabilities by softmax; rotating plain queries gives queries; heads add up to the output', async () => {
  const traced = await trace(device, model, ids, ['blocks.1.attention.*', 'rotation', 'logits', 'probabilities']);
  const of = (part: string) => traced.get(`blocks.1.attention.${part}`)!.data;
  const p = new Float64Array(4 * 6 * 6);
  for (let row = 0; row < 24; row++)
    softmax(p.subarray(row * 6, row * 6 + 6), of('scores').subarray(row * 6, row * 6 + 6));
  assertClose('probabilities', of('probabilities'), p, { atol: 1e-7 });
  const turned = new Float32Array(6 * 32);
  rope(turned, of('queriesPlain'), traced.get('rotation')!.data, 6, 8);
  assertClose('queries', of('queries'), turned, { atol: 1e-6 });
  const sum = new Float64Array(6 * 32);
  for (let h = 0; h < 4; h++) for (let i = 0; i < sum.length; i++) sum[i]! += of('heads')[h * sum.length + i]!;
  assertClose('heads', sum, of('output'), { atol: 1e-5 });
  const next = traced.get('probabilities')!.data.subarray(0, 96);
  ok(Math.abs(next.reduce((a, b) => a + b) - 1) < 1e-5);
});

test('without a branch the stream goes by it; with as many key groups as heads nothing changes, with fewer it does', async () => {
  const off = ['blocks.0.attention.output', 'blocks.1.feedForward.output'];
  const names = ['hidden.*', 'blocks.*.afterAttention', 'logits'];
  const changed = await trace(device, model, ids, names, { without: off });
  deepStrictEqual(changed.get('blocks.0.afterAttention')!.data, changed.get('hidden.0')!.data);
  deepStrictEqual(changed.get('hidden.2')!.data, changed.get('blocks.1.afterAttention')!.data);
  const plain = (await trace(device, model, ids, names)).get('logits')!.data;
  ok(plain.some((value, i) => value !== changed.get('logits')!.data[i]));
  deepStrictEqual((await trace(device, model, ids, names, { keyGroups: 2 })).get('logits')!.data, plain);
  // One group: as a model of one key head whose weights are the means of this one's.
  const pooled = (await trace(device, model, ids, names, { keyGroups: 1 })).get('logits')!.data;
  const weights = tinyWeights();
  const mean = ({ name, readRows }: TensorSource): TensorSource => {
    const rows = new Float32Array(16 * 32);
    readRows(new Uint8Array(rows.buffer), 0, 16);
    const means = rows.subarray(0, 8 * 32).map((value, i) => (value + rows[8 * 32 + i]!) / 2);
    const bytes = new Uint8Array(means.buffer, 0, 8 * 32 * 4);
    const read = (target: Uint8Array, from: number, count: number) =>
      target.set(bytes.subarray(from * 128, (from + count) * 128));
    return { name, dtype: 'f32', shape: [8, 32], readRows: read };
  };
  for (const [name, source] of weights) if (/w[kv]_PD/.test(name)) weights.set(name, mean(source));
  const one = loadModel(device, { ...tinyConfig, kvHeadCount: 1 }, weights);
  assertClose('one group', pooled, (await trace(device, one, ids, ['logits'])).get('logits')!.data, { atol: 1e-4 });
  await rejects(trace(device, model, ids, ['norm'], { keyGroups: 3 }), { code: 'trace.change' });
  await rejects(trace(device, model, ids, ['norm'], { without: ['blocks.9.attention.output'] }), {
    code: 'trace.change',
  });
});

test('rows of parameters and their neighbours', () => {
  const weights = tinyWeights();
  const all = parameterRows(weights, 'embed_VD', 0, 96);
  deepStrictEqual(parameterRows(weights, 'embed_VD', 3, 5), all.slice(3 * 32, 5 * 32));
  const [best, next] = nearestRows(weights, 'embed_VD', 3, 2);
  ok(best!.cosine >= next!.cosine && best!.row !== 3 && Math.abs(best!.cosine) <= 1);
  throws(() => parameterRows(weights, 'embed_DV', 0, 1), { code: 'parameters.name', message: /embed_VD/ });
  throws(() => parameterRows(weights, 'norm_D', 0, 2), { code: 'parameters.rows' });
});

test('on the wasm device: as on the reference, and all of it is given back to the arena', async () => {
  const wasm = await createWasmDevice();
  const fast = tinyModel(wasm);
  const names = traceNames(tinyConfig);
  const mark = wasm.mark();
  const [expected, found] = [await trace(device, model, ids, names), await trace(wasm, fast, ids, names)];
  strictEqual(wasm.mark(), mark);
  for (const name of names)
    assertClose(name, found.get(name)!.data, expected.get(name)!.data, { atol: 2e-4, rtol: 2e-4 });
  const many = Uint32Array.from({ length: 130 }, (_, i) => (i * 7) % 96);
  const maps = ['blocks.1.attention.scores', 'blocks.1.attention.probabilities'];
  const whole = await trace(wasm, fast, many, maps);
  const row = await trace(wasm, fast, many, maps, { rows: [70], heads: [2] });
  for (const name of maps) {
    const from = (2 * 130 + 70) * 130;
    deepStrictEqual(row.get(name)!.data, whole.get(name)!.data.slice(from, from + 130), 'one row of a longer map');
  }
  wasm.close();
});

test('a forward pass that keeps outputs holds no more in its last block than in its second', async () => {
  const wasm = await createWasmDevice();
  const deep = tinyModel(wasm, { ...tinyConfig, blockCount: 6 });
  const segment = keepOutputs(wasm);
  for (let call = 0; call < 2; call++) {
    const mark = wasm.mark();
    const living: number[] = [];
    const tap = (name: string) => {
      if (name.endsWith('.attention.input')) living.push(wasm.mark());
    };
    hidden(deep, wasm.ops, batchOfSequences([ids]), { segment, tap });
    deepStrictEqual(living.slice(2), living.slice(1, -1), `${living}`);
    wasm.release(mark);
  }
  wasm.close();
});

test('logits of all positions; hidden states under both of their names', async () => {
  const traced = await trace(device, model, ids, ['logits', 'hidden.*', 'norm', 'blocks.1.output']);
  deepStrictEqual(
    [...traced.keys()],
    ['hidden.0', 'hidden.1', 'blocks.1.output', 'hidden.2', 'norm', 'hidden.norm', 'logits'],
  );
  deepStrictEqual(await logitsOf(device, model, ids), traced.get('logits')!.data);
  deepStrictEqual(traced.get('logits')!.shape, [6, 96]);
  deepStrictEqual(traced.get('hidden.2'), traced.get('blocks.1.output'));
  ok(traced.get('hidden.0')!.data.some((value, i) => value !== traced.get('hidden.1')!.data[i]));
});

test('attention probabilities: rows sum to 1, nothing from the future, and with the values they give the mix', async () => {
  const names = ['probabilities', 'values', 'mix'].map((part) => `blocks.1.attention.${part}`);
  const traced = await trace(device, model, ids, names);
  const [p, v, mix] = names.map((name) => traced.get(name)!);
  deepStrictEqual(p!.shape, [4, 6, 6]);
  const expected = new Float64Array(6 * 32);
  for (let h = 0; h < 4; h++) {
    for (let n = 0; n < 6; n++) {
      const row = p!.data.subarray((h * 6 + n) * 6, (h * 6 + n + 1) * 6);
      ok(Math.abs(row.reduce((a, b) => a + b) - 1) < 1e-6);
      ok(row.every((value, s) => (s <= n ? value > 0 : value === 0)));
      for (let s = 0; s < 6; s++) {
        for (let e = 0; e < 8; e++)
          expected[n * 32 + h * 8 + e]! += row[s]! * v!.data[s * 16 + Math.floor(h / 2) * 8 + e]!;
      }
    }
  }
  assertClose('mix', mix!.data, expected, { atol: 1e-5 });
});

test('an unknown name is refused with the nearest ones', async () => {
  await rejects(
    trace(device, model, ids, ['blocks.0.atention.probabilities', 'norm']),
    (error: Error & { code: string }) => {
      strictEqual(error.code, 'trace.names');
      ok(error.message.includes('near: blocks.0.attention.probabilities'), error.message);
      return true;
    },
  );
  await rejects(trace(device, model, ids, ['blocks.2.output']), { code: 'trace.names' });
});

test('more tokens than the model’s context are refused with both lengths', async () => {
  const many = new Uint32Array(model.config.contextLength + 1).fill(1);
  const told = new RegExp(
    `${many.length} tokens, expected at most the model's context of ${model.config.contextLength}`,
  );
  await rejects(trace(device, model, many, ['norm']), { code: 'trace.context', message: told });
});
