import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../test/support/close.ts';
import { tinyConfig, tinyModel } from '../../test/support/tiny-model.ts';
import { createReferenceDevice } from '../devices/reference/device.ts';
import { batchOfSequences } from '../kernels/batch.ts';
import { forward } from '../model/llama.ts';
import { logitsOf, trace, traceNames } from './observe.ts';

const device = createReferenceDevice();
const model = tinyModel(device);
const ids = Uint32Array.of(5, 9, 80, 3, 3, 41);

test('every activation that forward names can be traced, and nothing else is promised', () => {
  const taps = new Set<string>();
  forward(model, device.ops, batchOfSequences([ids]), { tap: (name) => taps.add(name) });
  const names = traceNames(tinyConfig).filter((name) => !name.startsWith('hidden') && !name.endsWith('probabilities'));
  deepStrictEqual(names, [...taps]);
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
