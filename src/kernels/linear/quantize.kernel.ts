/**
 * Activations as int8: each row in blocks of 32 with one f32 scale, as every quantized `linear` reads them.
 *
 *   scale = max|x| / 127     q = round(x / scale), to nearest even     sums: Σq of the first and of the second 16, as two i16
 *
 * Rows ride in tiles of R = 1 or 4. A tile holds, block after block: R × 32 bytes q, R f32 scales, R pairs of sums; 40·R bytes.
 * A NaN or infinity anywhere in a block makes its scale NaN or infinite, and so everything computed from it.
 * Numbers  |x − scale·q| ≤ scale/2. Rows of a tile beyond the matrix are zeros.
 */
import { times } from '../lanes.ts';
import { clear, each, store, storeHalf, storeVectors, when } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { choose, F32, F32x4, type I8x16, I16x8, I32, I32x4 } from '../writer/values.ts';

/** Unit = one row, rows beyond N included up to a whole tile. */
export const quantizeRows = task(
  'quantizeRows',
  { x: 'pointer', out: 'pointer', N: 'count', columns: 'count', R: 'count' },
  ({ x, out, N, columns, R }, { first, last }) => {
    const blocks = columns.shr(5);
    const tileBytes = R.mul(40);
    each(first, last, 1, (n) => {
      const lane = n.rem(R);
      const row = x.add(n.mul(columns).mul(4));
      const tile = out.add(n.div(R).mul(blocks).mul(tileBytes));
      each(0, blocks, 1, (b) => {
        const block = tile.add(b.mul(tileBytes));
        const quants = block.add(lane.mul(32));
        const scale = block.add(R.mul(32)).add(lane.mul(4));
        const sums = scale.add(R.mul(4));
        const nothing = () => {
          clear(quants, 32);
          store(scale, F32.of(0));
          store(sums, I32.of(0));
        };
        when(n.lt(N), () => quantizeBlock(row.add(b.mul(128)), quants, scale, sums), nothing);
      });
    });
  },
);

function quantizeBlock(x: I32, quants: I32, scaleAt: I32, sumsAt: I32): void {
  const numbers = times(8, (i) => F32x4.load(x, 16 * i));
  // magnitudes compare as integers do, with infinity above all numbers and NaN above infinity
  const magnitudes = numbers.map((number) => number.as(I32x4).and(I32x4.splat(0x7fffffff)));
  const four = magnitudes.reduce((a, b) => a.max(b));
  const two = four.max(four.shuffle(four, 2, 3, 0, 1));
  const largest = two
    .max(two.shuffle(two, 1, 0, 3, 2))
    .as(F32x4)
    .lane(0);
  // The reciprocal of a subnormal maximum would overflow: such a block is zero to every sum it enters.
  const isTiny = largest.lt(1e-36);
  store(scaleAt, choose(isTiny, F32.of(0), largest.div(127)));
  const inverse = F32x4.splat(choose(isTiny, F32.of(0), F32.of(127).div(largest)));
  // to the nearest integer, ties to even: next to 1.5 · 2²³ an f32 has no room for fractions
  const rounded = numbers.map((number) =>
    number.mul(inverse).add(F32x4.splat(12582912)).as(I32x4).sub(I32x4.splat(0x4b400000)),
  );
  const [a, b, c, d] = times(4, (i) => rounded[2 * i]!.narrow(rounded[2 * i + 1]!)) as [I16x8, I16x8, I16x8, I16x8];
  const halves = [a.narrow(b), c.narrow(d)] as const;
  storeVectors(quants, halves);
  halves.forEach((half, i) => {
    storeHalf(sumsAt, sumOf(half), 2 * i);
  });
}

/** Of the bytes as they are stored: of NaN and infinity they are not what `rounded` holds, and kernels may rely on either. */
function sumOf(quants: I8x16): I32 {
  const pairs = quants.widenLow().add(quants.widenHigh()).dot(I16x8.splat(1));
  return [1, 2, 3].reduce((sum, lane) => sum.add(pairs.lane(lane)), pairs.lane(0));
}
