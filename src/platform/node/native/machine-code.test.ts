import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { processorClock } from '../../../../test/support/processor-time.ts';
import { fromFloats } from '../../../devices/device.ts';
import { createWasmDevice } from '../../../devices/wasm/device.ts';
import { randomFloats, randomWeights } from '../../../devices/wasm/testing.ts';
import { isFloatKind, packKinds } from '../../../devices/wasm/weights.ts';
import { taskNumber } from '../../../kernels/kernels.ts';
import { linearVector } from '../../../kernels/linear/int8/kernel.ts';
import { nativeCode } from '../../../kernels/native/kernels.ts';
import { at, Code, eachOf, r8, r9, r10, r13, rax, rcx, rsi, rsp } from '../../../kernels/native/x64/code.ts';
import { PACK_Q4_0 } from '../../../kernels/tasks.ts';
import { type WeightType, weightTypes } from '../../../tensor/dtype.ts';
import { nativeForThisMachine } from '../native-kernels.ts';
import { Verdicts } from '../remembered.ts';
import { nodeThreads } from '../threads.ts';
import { kernelsForThisMachine } from '../wide-kernels.ts';
import { loadNative } from './machine-code.ts';

const native = loadNative();
const why = typeof native === 'string' ? native : null;
// Where the processor could run it, that it cannot be had is a fault.
const skip = why !== null && /^(the processor has no|there is none for)/.test(why) && `no machine code: ${why}`;

test('the processor, the system and FFI let machine code run', { skip }, () => {
  strictEqual(why, null);
});

const [quantized, floats] = [false, true].map((isFloat) =>
  weightTypes.filter((type) => isFloatKind(packKinds[type]) === isFloat),
) as [WeightType[], WeightType[]];

/** What both ways give for these sizes, bits as whole numbers. */
async function bothWays(
  type: WeightType,
  threads: number,
  sizes: readonly (readonly [N: number, I: number, O: number])[],
  simd: 'auto' | 'plain' = 'auto',
) {
  const kernels = simd === 'auto' ? native : loadNative({ isFused: false });
  const [machine, wasm] = await Promise.all(
    [typeof kernels === 'string' ? null : kernels, null].map((each) =>
      createWasmDevice({ activations: 'int8', native: each, threads, host: nodeThreads, simd }),
    ),
  );
  ok(machine!.description.includes('machine code') && !wasm!.description.includes('machine code'));
  for (const [N, I, O] of sizes) {
    const { source } = randomWeights(type, O, I, N + O);
    const x = randomFloats(N * I, 5);
    if (N > 2) x[I + (3 % I)] = Number.NaN;
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

for (const type of quantized) {
  test(`${type}: the bits of machine code are those of WebAssembly, on awkward shapes`, { skip }, async () => {
    await bothWays(type, 1, [
      [1, 256, 8],
      [1, 512, 13],
      [1, 2304, 130],
      [2, 256, 1],
      [4, 512, 33],
      [5, 1280, 47],
      [8, 256, 64],
      [9, 512, 16],
      [31, 256, 17],
      [33, 512, 40],
      [49, 256, 24],
      [100, 256, 9],
    ]);
  });
}

for (const type of floats) {
  for (const simd of ['auto', 'plain'] as const) {
    const rounded = simd === 'auto' ? 'once' : 'twice';
    test(`${type}: so are those of multiply-adds of floats, rounded ${rounded}`, { skip }, async () => {
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
      await bothWays(type, 1, sizes, simd);
    });
  }
}

test('several threads run it, each on its share, and the bits are the same', { skip }, async () => {
  for (const type of ['Q4_0', 'Q4_K', 'Q8_0', 'f16'] as const) {
    await bothWays(type, 3, [
      [1, 1024, 600],
      [6, 1024, 600],
      [40, 512, 333],
    ]);
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

test('the code is small and soon written', () => {
  nativeCode({ isFused: true });
  const took = processorClock();
  const { bytes, entries } = nativeCode({ isFused: true });
  ok(took() < 500, `${took()} ms`);
  ok(bytes.length < 256 * 1024, `${bytes.length} bytes`);
  strictEqual(new Set(entries.map(([task]) => task)).size, entries.length);
});

/** Read back by GNU objdump 2.40 as the line says. */
const encodings: readonly (readonly [line: string, write: (code: Code) => void, bytes: string])[] = [
  [
    'vpdpbusd zmm8, zmm0, dword bcst [r9+124]',
    (code) => code.three('dotBytes', 8, 0, eachOf(r9, 124)),
    '62527d5850411f',
  ],
  [
    'vpdpwssd zmm24, zmm29, dword bcst [r13+144]',
    (code) => code.three('dotPairs', 24, 29, eachOf(r13, 144)),
    '62421550524524',
  ],
  ['vaddps zmm20, zmm20, zmm15', (code) => code.three('addFloats', 20, 20, 15), '62c15c4058e7'],
  ['vmovdqu32 zmm20, [rax+64]', (code) => code.loadVector(20, at(rax, 64)), '62e17e486f6001'],
  ['vmovdqu32 [rax+100]{k1}, zmm20', (code) => code.storeMasked(at(rax, 100), 20), '62e17e497fa064000000'],
  ['vmovdqu32 zmm20{k1}{z}, [rsp+64]', (code) => code.loadMasked(20, at(rsp, 64)), '62e17ec96f642401'],
  ['vmovdqu32 [rax+64]{k2}, zmm3', (code) => code.storeMasked(at(rax, 64), 3, 2), '62f17e4a7f5801'],
  ['vfmadd231ps zmm3, zmm24, zmm28', (code) => code.three('multiplyAdd', 3, 24, 28), '62923d40b8dc'],
  ['vcvtph2ps zmm25, [rsi+32]', (code) => code.two('widenHalves', 25, at(rsi, 32)), '62627d48134e01'],
  [
    'vbroadcastss zmm28, [r10+r8*2+4]',
    (code) => code.loadEach(28, { ...at(r10, 4), index: r8, times: 2 }),
    '62027d4818644201',
  ],
  ['vbroadcastss zmm24{k1}, [rcx+16]', (code) => code.loadEach(24, at(rcx, 16), 1), '62627d49184104'],
  ['kmovw k2, eax', (code) => code.mask(rax, 2), 'c5f892d0'],
  ['vpsrlw zmm7, zmm22, 4', (code) => code.shift('wordsRight', 7, 22, 4), '62b1454871d604'],
  ['vpternlogd zmm3, zmm20, zmm30, 0xf8', (code) => code.orAnd(3, 20, 30), '62935d4025def8'],
  [
    'vmovdqu32 ymm16, [rcx+32]; vinserti64x4 zmm16, zmm16, [rcx+304], 1',
    (code) => code.loadHalves(16, at(rcx, 32), at(rcx, 304)),
    '62e17e286f410162e3fd403a813001000001',
  ],
  [
    'vmovdqu32 xmm17, [rcx+128]; vinserti32x4 ymm17, ymm17, [rcx+272], 1',
    (code) => code.loadQuarters(17, at(rcx, 128), at(rcx, 272)),
    '62e17e086f490862e3752038491101',
  ],
  ['vcvtph2ps zmm16, ymm16', (code) => code.two('widenHalves', 16, 16), '62a27d4813c0'],
  ['vpmovsxbw zmm21, ymm21', (code) => code.two('widenSigned', 21, 21), '62a27d4820ed'],
  ['vpbroadcastd zmm31, eax', (code) => code.fill(31, rax), '62627d487cf8'],
  ['vbroadcasti32x4 zmm25, [rcx]', (code) => code.loadRepeated(25, at(rcx)), '62627d485a4900'],
  ['kmovw k1, eax', (code) => code.mask(rax), 'c5f892c8'],
  ['imul r9, r13, 160', (code) => code.multiplyNumber(r9, r13, 160), '4d69cda0000000'],
  ['mov [rsp+8], r13', (code) => code.store(at(rsp, 8), r13), '4c896c2408'],
  ['prefetcht0 [r9+2048]', (code) => code.prefetch(at(r9, 2048)), '410f188900080000'],
];

test('instructions are encoded as an assembler does', () => {
  for (const [line, write, bytes] of encodings) {
    const code = new Code();
    write(code);
    strictEqual(Buffer.from(code.bytes()).toString('hex'), bytes, line);
  }
});
