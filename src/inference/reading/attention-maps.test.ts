import { deepStrictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { type Device, fromFloats } from '../../devices/device.ts';
import { createReferenceDevice } from '../../devices/reference/device.ts';
import { createWasmDevice } from '../../devices/wasm/device.ts';
import { randomFloats } from '../../devices/wasm/testing.ts';
import { batchOfSequences } from '../../kernels/batch.ts';
import { attentionMaps } from './attention-maps.ts';

const [H, K, E] = [4, 2, 8];
const lengths = [5, 9, 1];
const N = 15;
const { spans } = batchOfSequences(lengths.map((length) => new Uint32Array(length)));
const slice = { rows_R: Uint32Array.of(14, 3, 4, 13, 0, 9), heads: Uint32Array.of(3, 0, 1) };
const wanted = new Set(['scores', 'probabilities'] as const);

/** heads × R × N numbers of both. */
async function mapsOn(device: Device, numbersAtOnce?: number) {
  const mark = device.mark();
  const q_NQ = fromFloats(device, randomFloats(N * H * E, 1), [N, H * E]);
  const k_NP = fromFloats(device, randomFloats(N * K * E, 2), [N, K * E]);
  const options = { headSize: E, window: 4, sinks_H: fromFloats(device, [0, 1, 2, 3], [H]) };
  const cut = numbersAtOnce === undefined ? {} : { numbersAtOnce };
  const readings = attentionMaps(device, { q_NQ, k_NP, options, spans, wanted, ...slice, ...cut });
  device.release(mark);
  const joined = async (name: keyof typeof readings) =>
    (await Promise.all(readings[name])).flatMap((part) => Array.from(part));
  return { scores: await joined('scores'), probabilities: await joined('probabilities') };
}

test('maps of several sequences, windows and sinks: on the wasm device as by products, and the same however they are cut', async () => {
  const expected = await mapsOn(createReferenceDevice());
  const wasm = await createWasmDevice();
  const whole = await mapsOn(wasm);
  for (const name of wanted) assertClose(name, whole[name], expected[name], { atol: 1e-5, rtol: 1e-5 });
  deepStrictEqual(await mapsOn(wasm, 6 * N * 2), whole, 'two heads at a time');
  deepStrictEqual(await mapsOn(wasm, 4 * N), whole, 'four rows at a time');
  wasm.close();
});

test('a query sees its own sequence, as far back as the window reaches', async () => {
  const { scores, probabilities } = await mapsOn(createReferenceDevice());
  const seen = slice.heads.length * slice.rows_R.length;
  const keys = Array.from({ length: seen }, (_, row) => {
    const places = Array.from({ length: N }, (_, s) => s);
    const [withScore, withShare] = [scores, probabilities].map((map, which) =>
      places.filter((s) => map[row * N + s]! > (which === 0 ? Number.NEGATIVE_INFINITY : 0)),
    );
    deepStrictEqual(withShare, withScore);
    return withScore;
  });
  const expected = [[14], [0, 1, 2, 3], [1, 2, 3, 4], [10, 11, 12, 13], [0], [6, 7, 8, 9]];
  deepStrictEqual(keys, [...expected, ...expected, ...expected]);
});
