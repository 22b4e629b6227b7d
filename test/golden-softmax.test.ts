/**
 * test/golden/components/softmax and log-softmax. No device has them as operations of their own, as nothing would call them: they
 * are the inside of attention, of cross-entropy and of the sampler, and it is there that the numbers are checked, on every device.
 */
import { ok } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fromFloats } from '../src/devices/device.ts';
import { Candidates } from '../src/inference/sampler/candidates.ts';
import { rawLogProbabilities } from '../src/inference/sampler/log-probabilities.ts';
import type { Gradient } from '../src/kernels/backward-ops.ts';
import { batchOfSequences } from '../src/kernels/batch.ts';
import { logSoftmaxAt, softmax } from '../src/kernels/softmax/reference.ts';
import { relativeL2 } from './support/close.ts';
import { testDevices } from './support/devices.ts';
import { goldenTensors } from './support/golden.ts';
import { trainingDevices } from './support/training.ts';

const LIMIT = 1e-5;

function load(name: string) {
  const input = goldenTensors(`components/${name}/input.safetensors`);
  const expected = goldenTensors(`components/${name}/expected.safetensors`);
  const [N, V] = input.x!.shape as [number, number];
  const rows = (data: Float32Array) => Array.from({ length: N }, (_, n) => data.subarray(n * V, (n + 1) * V));
  return {
    N,
    V,
    x: input.x!.data,
    gout: input['gout.y']!.data,
    y: expected['out.y']!.data,
    grad: expected['grad.x']!.data,
    rows,
  };
}

function check(what: string, actual: ArrayLike<number>, expected: Float32Array): void {
  const error = relativeL2(Float64Array.from(actual), Float64Array.from(expected));
  ok(error <= LIMIT, `${what}: relative L2 error ${error}, expected at most ${LIMIT}`);
}

/** Scores as queries: with head size 16 the scale is exactly 1/4; key s and value s are the unit vector e_s. */
const E = 16;
/** Row n's scores stand at the last position of sequence n. */
function attentionInputs({ N, V, x }: ReturnType<typeof load>) {
  const q = new Float32Array(N * V * E);
  const unit = new Float32Array(N * V * E);
  for (let n = 0; n < N; n++)
    for (let v = 0; v < V; v++) {
      q[((n + 1) * V - 1) * E + v] = 4 * x[n * V + v]!;
      unit[(n * V + v) * E + v] = 1;
    }
  const lastRows = (data: ArrayLike<number>) =>
    Array.from({ length: N * V }, (_, i) => data[(Math.floor(i / V) * V + V - 1) * E + (i % V)]!);
  const batch = batchOfSequences(Array.from({ length: N }, () => new Uint32Array(V)));
  return { q, unit, batch, lastRows, shape: [N * V, E], options: { headSize: E, window: null } };
}

test('softmax and log-softmax themselves', () => {
  const one = load('softmax');
  const p = new Float64Array(one.V);
  const all = one.rows(one.x).flatMap((row) => {
    softmax(p, row);
    return [...p];
  });
  check('softmax', all, one.y);
  const log = load('log-softmax');
  check(
    'log-softmax',
    log.rows(log.x).flatMap((row) => Array.from(row, (_, v) => logSoftmaxAt(row, v))),
    log.y,
  );
});

test('the probabilities and log-probabilities of the sampler', () => {
  const one = load('softmax');
  const candidates = new Candidates(one.V);
  const p = one.rows(one.x).flatMap((row) => {
    candidates.load(row);
    candidates.softmax();
    return [...candidates.probabilities];
  });
  check('softmax', p, one.y);
  const log = load('log-softmax');
  const logprobs = Array.from(
    log.x,
    (_, i) => rawLogProbabilities(candidates, log.x, Math.floor(i / log.V), i % log.V, 0).logprob,
  );
  check('log-softmax', logprobs, log.y);
});

for (const { name, create } of testDevices) {
  test(`softmax inside attention on ${name}`, async () => {
    const device = await create();
    const golden = load('softmax');
    const { q, unit, batch, lastRows, shape, options } = attentionInputs(golden);
    const keyValues = { k_NP: fromFloats(device, unit, shape), v_NP: fromFloats(device, unit, shape) };
    const mix = device.ops.attention(fromFloats(device, q, shape), keyValues, batch, options);
    check('out.y', lastRows(await device.read(mix)), golden.y);
    device.close();
  });
}

for (const { name, create } of trainingDevices) {
  describe(`the gradients on ${name}`, () => {
    test('softmax inside attention', async () => {
      const device = await create();
      const golden = load('softmax');
      const { q, unit, batch, lastRows, shape, options } = attentionInputs(golden);
      const put = (data: Float32Array) => {
        const tensor = device.allocate(shape);
        device.write(tensor, data);
        return tensor;
      };
      const saved = { q_NQ: put(q), k_NP: put(unit), v_NP: put(unit) };
      const result = device.ops.attentionWithLogSumExp(saved.q_NQ, saved, batch, options);
      check('out.y', lastRows(await device.read(result.mix_NQ)), golden.y);
      const dMix = new Float32Array(q.length);
      for (let i = 0; i < golden.gout.length; i++)
        dMix[(Math.floor(i / golden.V) * golden.V + golden.V - 1) * E + (i % golden.V)] = golden.gout[i]!;
      const gradient: Gradient = { tensor: device.allocate(shape), isEmpty: true };
      device.backward.attention(
        { q_NQ: gradient, k_NP: null, v_NP: null },
        put(dMix),
        { ...saved, ...result },
        batch,
        options,
      );
      check(
        'grad.x',
        lastRows(await device.read(gradient.tensor)).map((dq) => 4 * dq),
        golden.grad,
      );
      device.close();
    });

    test('log-softmax inside cross-entropy, one label after the other, with the identity as output layer', async () => {
      const device = await create();
      const { N, V, x, y, gout, grad } = load('log-softmax');
      const logits = device.allocate([N, V]);
      device.write(logits, x);
      const identity = device.allocate([V, V]);
      for (let v = 0; v < V; v++) device.write(identity, [1], v * V + v);
      const gradient: Gradient = { tensor: device.allocate([N, V]), isEmpty: true };
      const out = new Float64Array(N * V);
      for (let v = 0; v < V; v++) {
        const weights = Float64Array.from({ length: N }, (_, n) => -gout[n * V + v]!);
        const labels = new Int32Array(N).fill(v);
        const losses = await device.read(
          device.backward.crossEntropy(gradient, null, logits, identity, labels, weights),
        );
        for (let n = 0; n < N; n++) out[n * V + v] = -losses[n]!;
      }
      check('out.y', out, y);
      check('grad.x', await device.read(gradient.tensor), grad);
      device.close();
    });
  });
}
