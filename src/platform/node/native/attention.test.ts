import { deepStrictEqual, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { type Device, fromFloats } from '../../../devices/device.ts';
import { createWasmDevice } from '../../../devices/wasm/device.ts';
import { randomFloats } from '../../../devices/wasm/testing.ts';
import { type KvType, kvTypes } from '../../../kernels/ops.ts';
import { nodeThreads } from '../threads.ts';
import { loadNative } from './machine-code.ts';

const native = loadNative();
const why = typeof native === 'string' ? native : native.place.way === 'AVX-512' ? null : native.notBetter;
const skip = why !== null && `no machine code: ${why}`;

interface Shape {
  readonly H: number;
  readonly K: number;
  readonly E: number;
  /** Tokens that are given at once: of a sequence, and of another after it. */
  readonly calls: readonly (readonly [number, number])[];
  readonly window?: number;
}

const shapes: readonly Shape[] = [
  {
    H: 4,
    K: 2,
    E: 8,
    calls: [
      [1, 40],
      [9, 1],
    ],
  },
  {
    H: 8,
    K: 1,
    E: 6,
    calls: [
      [33, 70],
      [1, 1],
    ],
  },
  {
    H: 3,
    K: 3,
    E: 5,
    calls: [
      [31, 0],
      [1, 64],
    ],
    window: 7,
  },
  {
    H: 9,
    K: 1,
    E: 24,
    calls: [
      [65, 3],
      [2, 2],
    ],
  },
  {
    H: 20,
    K: 1,
    E: 72,
    calls: [
      [40, 12],
      [1, 1],
    ],
    window: 33,
  },
  // few rows and whole runs of columns: keys and values are widened in registers, by four rows, two and one
  {
    H: 7,
    K: 1,
    E: 32,
    calls: [
      [65, 3],
      [1, 1],
    ],
    window: 45,
  },
  {
    H: 1,
    K: 1,
    E: 1,
    calls: [
      [1, 2],
      [50, 1],
    ],
  },
  {
    H: 2,
    K: 1,
    E: 40,
    calls: [
      [530, 0],
      [1, 1],
      [3, 0],
    ],
    window: 500,
  },
  {
    H: 8,
    K: 1,
    E: 64,
    calls: [
      [1100, 2],
      [1, 1],
    ],
  },
  {
    H: 12,
    K: 2,
    E: 128,
    calls: [
      [37, 5],
      [1, 1],
    ],
  },
];

/** What attention gives after each call, bits as whole numbers, all NaN as one. */
async function results(device: Device, type: KvType, { H, K, E, calls, window = undefined }: Shape) {
  const blockCount = 80;
  const store = device.createKvStore({ layerCount: 1, blockCount, kvHeadCount: K, headSize: E, type });
  const at = { store, layer: 0 };
  const tables = [0, 1].map((i) => Uint32Array.from({ length: 40 }, (_, b) => blockCount - 1 - (2 * b + i)));
  const lengths = [0, 0];
  const bits: number[][] = [];
  for (const [call, counts] of calls.entries()) {
    const N = counts[0] + counts[1];
    const spans = counts.map((rowCount, i) => ({
      firstRow: i === 0 ? 0 : counts[0],
      rowCount,
      firstPosition: lengths[i]!,
      blocks: tables[i]!,
    }));
    const batch = {
      ids: new Uint32Array(N),
      positions: new Uint32Array(N),
      spans: spans.filter((it) => it.rowCount > 0),
    };
    const [q, k, v] = [H, K, K].map((heads, i) => randomFloats(N * heads * E, 3 * call + i)) as Float32Array[];
    if (call > 0) k![0] = Number.NaN;
    if (N > 60) v![7 * K * E] = Number.NEGATIVE_INFINITY;
    if (N > 60) q!.fill(3e5, 5 * H * E, 6 * H * E);
    device.ops.appendToCache(at, fromFloats(device, k!, [N, K * E]), fromFloats(device, v!, [N, K * E]), batch);
    const mix = device.ops.attention(fromFloats(device, q!, [N, H * E]), at, batch, {
      headSize: E,
      window: window ?? null,
    });
    const y = await device.read(mix);
    bits.push(Array.from(new Uint32Array(y.buffer), (it) => ((it & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : it)));
    for (const i of [0, 1]) lengths[i]! += counts[i]!;
  }
  return bits;
}

for (const type of kvTypes) {
  test(`attention over a cache of ${type}: the bits of machine code are those of WebAssembly`, { skip }, async () => {
    for (const [simd, threads, some] of [
      ['auto', 1, shapes],
      ['auto', type === 'f16' ? 2 : 1, shapes.slice(-2)],
      ['plain', 1, shapes.slice(0, 2)],
    ] as const) {
      const kernels = loadNative({ isFused: simd === 'auto' });
      const [machine, wasm] = await Promise.all(
        [typeof kernels === 'string' ? null : kernels, null].map((each) =>
          createWasmDevice({ native: each, threads, host: nodeThreads, simd }),
        ),
      );
      ok(machine!.description.includes('machine code') && !wasm!.description.includes('machine code'));
      for (const shape of some) {
        deepStrictEqual(
          await results(machine!, type, shape),
          await results(wasm!, type, shape),
          `${simd}, ${threads} threads, ${JSON.stringify(shape)}`,
        );
      }
      machine!.close();
      wasm!.close();
    }
  });
}
