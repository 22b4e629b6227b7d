import { deepEqual, equal, ok } from 'node:assert/strict';
import test from 'node:test';
import { dropout, dropoutKey, dropoutNumber, dropoutRow, dropoutThreshold } from './reference.ts';

/** The formula with whole numbers of any size, cut to 32 bits at the end of each step. */
function slowNumber(key: bigint, token: bigint, head: bigint, at: bigint): bigint {
  const cut = (x: bigint) => x & 0xffffffffn;
  const mix = (value: bigint) => {
    let x = cut(value);
    x = cut((x ^ (x >> 16n)) * 0x21f0aaadn);
    x = cut((x ^ (x >> 15n)) * 0x735a2d97n);
    return x ^ (x >> 15n);
  };
  const row = mix(mix(key + token * 0x9e3779b9n) + head * 0x85ebca6bn);
  return mix(row + at * 0x9e3779b9n);
}

test('the random numbers are those of the formula', () => {
  for (const [key, token, head, at] of [
    [0, 0, 0, 0],
    [1, 2, 3, 4],
    [0xffffffff, 4_000_000_000, 31, 70_000],
    [0x80000000, 5, 0, 0xffffffff],
  ] as const) {
    const expected = slowNumber(BigInt(key), BigInt(token), BigInt(head), BigInt(at));
    equal(dropoutNumber(dropoutRow(key, token, head), at), Number(expected));
  }
  const keys = new Set<number>();
  for (let step = 0; step < 30; step++) for (let site = 0; site < 30; site++) keys.add(dropoutKey(1, step, site));
  equal(keys.size, 900);
});

test('about the rate is dropped, of every row and column, and the mean stays', () => {
  const [N, D, rate] = [400, 250, 0.3];
  const y = new Float64Array(N * D);
  dropout(y, new Float64Array(N * D).fill(2), D, { rate, key: 9, firstToken: 0 });
  ok(y.every((x) => x === 0 || x === 2 / (1 - rate)));
  const share = (pick: (at: number) => boolean) => {
    const chosen = y.filter((_, at) => pick(at));
    return chosen.filter((x) => x === 0).length / chosen.length;
  };
  ok(Math.abs(share(() => true) - rate) < 0.005);
  for (let i = 0; i < D; i++) {
    ok(Math.abs(share((at) => at % D === i) - rate) < 0.12, `column ${i}`);
    ok(Math.abs(share((at) => Math.floor(at / D) === i) - rate) < 0.15, `row ${i}`);
  }
  // Neighbours know nothing of each other: of those to the right of a zero as many are zeros.
  ok(Math.abs(share((at) => at % D > 0 && y[at - 1] === 0) - rate) < 0.01);
  ok(Math.abs(share((at) => at >= D && y[at - D] === 0) - rate) < 0.01);
  equal(dropoutThreshold(0), 0);
});

test('a row drops the same wherever a batch is cut', () => {
  const x = Float64Array.from({ length: 12 * 5 }, (_, i) => i + 1);
  const whole = new Float64Array(x.length);
  dropout(whole, x, 5, { rate: 0.5, key: 3, firstToken: 100 });
  const [a, b] = [new Float64Array(35), new Float64Array(25)];
  dropout(a, x.subarray(0, 35), 5, { rate: 0.5, key: 3, firstToken: 100 });
  dropout(b, x.subarray(35), 5, { rate: 0.5, key: 3, firstToken: 107 });
  deepEqual([...a, ...b], [...whole]);
});
