import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { processorClock } from '../../../../test/support/processor-time.ts';
import { fromFloats } from '../../../devices/device.ts';
import { createWasmDevice } from '../../../devices/wasm/device.ts';
import type { WasmMatrix } from '../../../devices/wasm/tensors.ts';
import { randomFloats, randomWeights } from '../../../devices/wasm/testing.ts';
import { isFloatKind, packKinds } from '../../../devices/wasm/weights.ts';
import { taskNumber } from '../../../kernels/kernels.ts';
import { linearVector } from '../../../kernels/linear/int8/kernel.ts';
import { blockBytes, headBytes, packings, scaleAt } from '../../../kernels/linear/int8/packing.ts';
import { type NativeWay, nativeCode, nativeWays } from '../../../kernels/native/kernels.ts';
import { PACK_Q4_0 } from '../../../kernels/tasks.ts';
import { type WeightType, weightTypes } from '../../../tensor/dtype.ts';
import { nativeForThisMachine } from '../native-kernels.ts';
import { Verdicts } from '../remembered.ts';
import { nodeThreads } from '../threads.ts';
import { kernelsForThisMachine } from '../wide-kernels.ts';
import { type LoadedNative, loadNative } from './machine-code.ts';
import { type Feature, featuresWithout, lackingFor } from './processor.ts';

const native = loadNative();
const why = typeof native === 'string' ? native : null;
// Where the processor could run it, that it cannot be had is a fault.
const skip = why !== null && /^(the processor has no|there is none for)/.test(why) && `no machine code: ${why}`;

test('the processor, the system and FFI let machine code run', { skip }, () => {
  strictEqual(why, null);
});

/** What the processor is taken not to have, so that each way of writing kernels is the best that is left. */
const masks = {
  'AVX-512': [],
  'AVX-VNNI': ['AVX512F'],
  AVX2: ['AVX512F', 'AVX_VNNI'],
  I8MM: [],
  DotProd: ['I8MM'],
} as const satisfies Record<NativeWay, readonly Feature[]>;
const skipOf = (way: NativeWay) => {
  const lacking = why === null ? lackingFor(way, new Set()) : why;
  return lacking !== null && (skip || `no machine code: ${lacking}`);
};

const [quantized, floats] = [false, true].map((isFloat) =>
  weightTypes.filter((type) => isFloatKind(packKinds[type]) === isFloat),
) as [WeightType[], WeightType[]];

/** What both ways give for these sizes, bits as whole numbers. */
async function bothWays(
  type: WeightType,
  threads: number,
  sizes: readonly (readonly [N: number, I: number, O: number])[],
  { simd = 'auto', way = 'AVX-512' }: { readonly simd?: 'auto' | 'plain'; readonly way?: NativeWay } = {},
) {
  const kernels = loadNative({ isFused: simd === 'auto', without: new Set(masks[way]) });
  const [machine, wasm] = await Promise.all(
    [typeof kernels === 'string' ? null : kernels, null].map((each) =>
      createWasmDevice({ activations: 'int8', native: each, threads, host: nodeThreads, simd }),
    ),
  );
  ok(machine!.description.includes(`machine code (${way})`) && !wasm!.description.includes('machine code'));
  for (const [N, I, O] of sizes) {
    const { source } = randomWeights(type, O, I, N + O);
    const x = randomFloats(N * I, 5);
    if (N > 2) x[I + (3 % I)] = Number.NaN;
    if (N === 1 && O > 100) x[I - 1] = Number.NEGATIVE_INFINITY;
    if (N > 3) x.fill(0, 2 * I, 3 * I);
    const results = [];
    for (const device of [machine!, wasm!]) {
      const mark = device.mark();
      const w = device.placeWeight(source, 0);
      const rows = fromFloats(device, x, [N, I]);
      const bias = fromFloats(device, randomFloats(O, 6), [O]);
      const [plain, biased] = [device.ops.linear(rows, w), device.ops.linear(rows, w, bias)];
      for (const y of [plain, biased]) results.push(await device.read(y));
      device.release(mark);
    }
    const bits = results.map((y) => Array.from(new Uint32Array(y.buffer), quiet));
    deepStrictEqual(bits[0], bits[2], `${type}, ${N} rows, ${O} × ${I}, ${threads} threads`);
    deepStrictEqual(bits[1], bits[3], `${type}, ${N} rows, ${O} × ${I}, with a bias, ${threads} threads`);
  }
  machine!.close();
  wasm!.close();
}

/** All NaN as one: which bits a NaN has says nothing. */
const quiet = (bits: number): number => ((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : bits);

const vectors = [
  [1, 256, 8],
  [1, 512, 13],
  [1, 256, 33],
  [1, 2304, 130],
] as const;

for (const way of ['AVX-VNNI', 'AVX2'] as const) {
  test(`matrix-vector products by ${way}: the bits of machine code are those of WebAssembly, on awkward shapes`, {
    skip: skipOf(way),
  }, async () => {
    for (const type of quantized) await bothWays(type, 1, vectors, { way });
    for (const type of ['Q4_0', 'Q6_K'] as const) await bothWays(type, 3, [[1, 1024, 600]], { way });
  });
}

for (const way of ['AVX2', 'DotProd'] as const) {
  test(`the largest quants and activations fit the numbers that add them up, by ${way}`, {
    skip: skipOf(way),
  }, async () => {
    await withLargest(way);
  });
}

async function withLargest(way: NativeWay): Promise<void> {
  const native = loadNative({ without: new Set(masks[way]) }) as LoadedNative;
  for (const type of quantized) {
    const results = [];
    for (const each of [native, null]) {
      const device = await createWasmDevice({ activations: 'int8', native: each });
      const w = device.placeWeight(randomWeights(type, 32, 256, 1).source, 0) as WasmMatrix;
      const packing = packings.find(({ kind }) => kind === w.kind)!;
      const bytes = new Uint8Array(w.segment.memory.buffer);
      for (let block = 0; block < 32; block++) {
        const at = w.pointer + 4 * headBytes(packing) + block * blockBytes(packing);
        bytes.fill(0xff, at, at + scaleAt(packing));
      }
      for (const x of [1, -1])
        results.push(
          await device.read(device.ops.linear(fromFloats(device, new Float32Array(256).fill(x), [1, 256]), w)),
        );
      device.close();
    }
    deepStrictEqual(results.slice(0, 2), results.slice(2), type);
  }
}

for (const way of ['AVX-512', 'I8MM', 'DotProd'] as const) {
  for (const type of quantized) {
    test(`${type} by ${way}: the bits of machine code are those of WebAssembly, on awkward shapes`, {
      skip: skipOf(way),
    }, async () => {
      const matrices = [
        [2, 256, 1],
        [4, 512, 33],
        [5, 1280, 47],
        [8, 256, 64],
        [9, 512, 16],
        [31, 256, 17],
        [33, 512, 40],
        [49, 256, 24],
        [100, 256, 9],
      ] as const;
      await bothWays(type, 1, [...vectors, ...matrices], { way });
    });
  }
}

for (const type of floats) {
  for (const simd of ['auto', 'plain'] as const) {
    const rounded = simd === 'auto' ? 'once' : 'twice';
    test(`${type}: so are those of multiply-adds of floats, rounded ${rounded}`, {
      skip: skipOf('AVX-512'),
    }, async () => {
      const few = [1, 2, 3, 4, 5, 6].map((N) => [N, 250 + N, 13 + 16 * N] as const);
      const many = [7, 8, 11, 19, 25].map((N) => [N, 380 + N, 16 * N + 1] as const);
      const sizes = [
        ...few,
        ...many,
        [1, 7, 1],
        [7, 1, 64],
        [13, 192, 32],
        [31, 64, 33],
        [1, 40, 130],
        [1, 33, 200],
      ] as const;
      await bothWays(type, 1, sizes, { simd });
    });
  }
}

const shares = [
  [1, 1024, 600],
  [6, 1024, 600],
  [40, 512, 333],
] as const;

test('several threads run it, each on its share, and the bits are the same', { skip: skipOf('AVX-512') }, async () => {
  for (const type of ['Q4_0', 'Q4_K', 'Q8_0', 'f16'] as const) await bothWays(type, 3, shares);
});

test('so do they by instructions of AArch64', { skip: skipOf('I8MM') }, async () => {
  for (const way of nativeWays.arm64) {
    for (const type of ['Q4_0', 'Q6_K'] as const) await bothWays(type, 3, shares, { way });
  }
});

test('a memory that grows is found again', { skip }, async () => {
  const device = await createWasmDevice({ activations: 'int8', native: native as Exclude<typeof native, string> });
  const { source } = randomWeights('Q4_0', 64, 256, 1);
  const w = device.placeWeight(source, 0);
  const x = fromFloats(device, randomFloats(256, 2), [1, 256]);
  const before = await device.read(device.ops.linear(x, w));
  device.allocate([40, 1024, 1024]);
  deepStrictEqual(await device.read(device.ops.linear(x, w)), before);
});

test('it is used where it may be, and only if it is asked for', { skip }, () => {
  const { kernels } = kernelsForThisMachine({ threads: 1, revectorize: true, blas: null, training: false });
  const chosen = nativeForThisMachine(kernels, true);
  ok(chosen.kernels !== null);
  deepStrictEqual([chosen.why, chosen.note], [null, null]);
  deepStrictEqual(nativeForThisMachine(kernels, false), { kernels: null, why: 'not asked for', note: null });
});

test('it is not used where a function of it computes something else, and why is said', { skip }, (t) => {
  const { kernels } = kernelsForThisMachine({ threads: 1, revectorize: true, blas: null, training: false });
  const right = native as Exclude<typeof native, string>;
  const task = taskNumber(linearVector[PACK_Q4_0]!);
  const wrong = {
    ...right,
    bind: (memory: WebAssembly.Memory) => new Map([...right.bind(memory), [task, () => {}] as const]),
  };
  const said = t.mock.method(process, 'emitWarning', () => {});
  const nothingRemembered = new Verdicts({ XDG_CACHE_HOME: join(tmpdir(), `cria-verdicts-${process.pid}`) });
  const chosen = nativeForThisMachine(kernels, true, { verdicts: nothingRemembered, load: () => wrong });
  strictEqual(chosen.kernels, null);
  strictEqual(chosen.why, 'machine code differs from WebAssembly in linear Q4_0, 1 rows');
  strictEqual(said.mock.callCount(), 1);
});

test('features that are to be left out are named right, and their ways are not taken', {
  skip: skipOf('AVX2'),
}, () => {
  throws(() => featuresWithout({ CRIA_CPU_WITHOUT: 'AVX512F,avx2' }), /CRIA_CPU_WITHOUT.*of F16C, .*found "avx2"/);
  deepStrictEqual(featuresWithout({}), new Set());
  strictEqual(lackingFor('AVX2', featuresWithout({ CRIA_CPU_WITHOUT: 'AVX2' })), 'CRIA_CPU_WITHOUT names AVX2');
  const narrow = loadNative({ without: new Set(['AVX512F', 'AVX_VNNI']) });
  ok(typeof narrow !== 'string' && narrow.place.way === 'AVX2' && narrow.notBetter !== null);
  match(String(loadNative({ without: new Set(['AVX512F', 'AVX2']) })), /AVX2$/);
});

test('so they are on AArch64', { skip: skipOf('I8MM') }, () => {
  throws(() => featuresWithout({ CRIA_CPU_WITHOUT: 'AVX2' }), /CRIA_CPU_WITHOUT.*of ASIMDDP, I8MM; found "AVX2"/);
  const dots = loadNative({ without: featuresWithout({ CRIA_CPU_WITHOUT: 'I8MM' }) });
  ok(typeof dots !== 'string' && dots.place.way === 'DotProd' && dots.notBetter === 'CRIA_CPU_WITHOUT names I8MM');
  strictEqual(loadNative({ without: new Set(['ASIMDDP']) }), 'CRIA_CPU_WITHOUT names ASIMDDP');
});

test('the code is small and soon written', () => {
  for (const way of Object.values(nativeWays).flat()) {
    nativeCode({ way, isFused: true });
    const took = processorClock();
    const { bytes, entries } = nativeCode({ way, isFused: true });
    ok(took() < 500, `${took()} ms`);
    ok(bytes.length < 256 * 1024, `${bytes.length} bytes`);
    strictEqual(new Set(entries.map(([task]) => task)).size, entries.length);
  }
});
