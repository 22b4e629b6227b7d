import { pair } from '../lanes.ts';
import { elements } from '../units.ts';
import { store, storeHalf } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { type I16x8, type I32, I32x4 } from '../writer/values.ts';

/**
 * f32 → bf16, to the nearest, ties to even. A NaN stays one, but for payloads of all ones, which no arithmetic makes. As signed numbers, so
 * that they can be narrowed.
 */
const upper = (x: I32x4): I32x4 =>
  x
    .add(I32x4.splat(0x7fff))
    .add(x.shr(16).and(I32x4.splat(1)))
    .shrSigned(16);

/** Eight numbers at `from`, in 16 bits each. */
export function roundEight(from: I32, offset = 0): I16x8 {
  const [low, high] = pair((half) => upper(I32x4.load(from, offset + 16 * half)));
  return low.narrow(high);
}

/** y: 16 bits each. */
export const roundBf16 = task('roundBf16', { y: 'pointer', x: 'pointer', count: 'count' }, ({ y, x, count }, units) => {
  elements(units, count, {
    eight: (at) => store(y.add(at.shr(1)), roundEight(x.add(at))),
    one: (at) => storeHalf(y.add(at.shr(1)), upper(I32x4.loadSplat(x.add(at))).lane(0)),
  });
});
