import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Streams } from './streams.ts';

const MIB = 2 ** 20;

/** Runs `products` of them on a machine that takes `cost(streams)` milliseconds a megabyte. */
function learn(cost: (streams: number) => number, products: number, bytes = 4 * MIB): number {
  let now = 0;
  const streams = new Streams(() => now);
  for (let i = 0; i < products; i++) {
    streams.begin(bytes);
    now += (cost(streams.count) * bytes) / MIB;
    streams.end(bytes);
  }
  return streams.count;
}

test('streams: the faster way is kept, whichever it is, also when one product in three is disturbed', () => {
  let i = 0;
  const disturbed = () => (i++ % 3 === 0 ? 5 : 0);
  assert.equal(
    learn((count) => (count === 1 ? 0.05 : 0.1) + disturbed(), 200),
    1,
  );
  assert.equal(
    learn((count) => (count === 4 ? 0.05 : 0.08) + disturbed(), 200),
    4,
  );
});

test('streams: nothing is learnt from small matrices, or without a clock', () => {
  assert.equal(
    learn((count) => (count === 1 ? 0.01 : 1), 500, MIB / 2),
    4,
  );
  const streams = new Streams(null);
  for (let i = 0; i < 500; i++) {
    streams.begin(4 * MIB);
    streams.end(4 * MIB);
  }
  assert.equal(streams.count, 4);
});
