/** LayerNorm and its gradients, for the lab (formulas: reference.ts, backward.reference.ts). */
import { inverseRoot, NORM_ROWS, rowSums } from '../rms-norm/backward.kernel.ts';
import { columns, into, onto, wanted } from '../units.ts';
import { clear, each, functionOf, when } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { F32, F32x4, I32 } from '../writer/values.ts';

const meanOf = functionOf('meanOf', { x: I32, bytes: I32 }, F32, ({ x, bytes }) => {
  const terms = {
    wide: (at: I32, half: number) => [F32x4.load(x.add(at), 16 * half)],
    one: (at: I32) => [F32.load(x.add(at))],
  };
  const [sum] = rowSums(bytes, 32, terms, 1);
  return sum!.div(bytes.shr(2).toF32());
});

/** 1 / √(variance + eps) */
const rateOf = functionOf('rateOf', { x: I32, bytes: I32, mean: F32, eps: F32 }, F32, ({ x, bytes, mean, eps }) => {
  const means = F32x4.splat(mean);
  const terms = {
    wide(at: I32, half: number) {
      const away = F32x4.load(x.add(at), 16 * half).sub(means);
      return [away.mul(away)];
    },
    one(at: I32) {
      const away = F32.load(x.add(at)).sub(mean);
      return [away.mul(away)];
    },
  };
  const [squares] = rowSums(bytes, 32, terms, 1);
  return inverseRoot(squares!, bytes.shr(2), eps);
});

/** Unit = one row. */
export const layerNorm = task(
  'layerNorm',
  { y: 'pointer', x: 'pointer', gain: 'pointer', shift: 'pointer', D: 'count', eps: 'real' },
  ({ y, x, gain, shift, D, eps }, { first, last }) => {
    const bytes = D.mul(4);
    each(first, last, 1, (n) => {
      const from = x.add(n.mul(bytes));
      const results = into(y.add(n.mul(bytes)));
      const mean = meanOf({ x: from, bytes });
      const r = rateOf({ x: from, bytes, mean, eps });
      const [means, rs] = [F32x4.splat(mean), F32x4.splat(r)];
      columns(bytes, 32, {
        wide(at) {
          results.pair(at, (half) => {
            const z = F32x4.load(from.add(at), 16 * half)
              .sub(means)
              .mul(rs);
            return z.mul(F32x4.load(gain.add(at), 16 * half)).add(F32x4.load(shift.add(at), 16 * half));
          });
        },
        one(at) {
          const scaled = F32.load(from.add(at))
            .sub(mean)
            .mul(r)
            .mul(F32.load(gain.add(at)));
          results.number(at, scaled.add(F32.load(shift.add(at))));
        },
      });
    });
  },
);

/** dx, dGain, dShift: 0 where not wanted; of the last two each unit leaves its own part, which columnSums adds up. Unit = NORM_ROWS rows. */
export const layerNormBackward = task(
  'layerNormBackward',
  {
    dx: 'pointer',
    dGain: 'pointer',
    dShift: 'pointer',
    dy: 'pointer',
    x: 'pointer',
    gain: 'pointer',
    D: 'count',
    N: 'count',
    eps: 'real',
    adds: 'count',
  },
  ({ dx, dGain, dShift, dy, x, gain, D, N, eps, adds }, { first, last }) => {
    const bytes = D.mul(4);
    each(first, last, 1, (unit) => {
      const parts = [dGain, dShift].map((of) => ({ of, at: of.add(unit.mul(bytes)) }));
      for (const { of, at } of parts) when(of, () => clear(at, bytes));
      each(unit.mul(NORM_ROWS), unit.add(1).mul(NORM_ROWS).min(N), 1, (n) => {
        const start = n.mul(bytes);
        const [slopes, numbers] = [dy.add(start), x.add(start)];
        const mean = meanOf({ x: numbers, bytes });
        const r = rateOf({ x: numbers, bytes, mean, eps });
        const [means, rs] = [F32x4.splat(mean), F32x4.splat(r)];
        const standard = (at: I32) => F32x4.load(numbers.add(at)).sub(means).mul(rs);
        const standardOne = (at: I32) => F32.load(numbers.add(at)).sub(mean).mul(r);
        const terms = {
          wide(at: I32) {
            const g = F32x4.load(slopes.add(at)).mul(F32x4.load(gain.add(at)));
            return [g, g.mul(standard(at))];
          },
          one(at: I32) {
            const g = F32.load(slopes.add(at)).mul(F32.load(gain.add(at)));
            return [g, g.mul(standardOne(at))];
          },
        };
        const [base, pull] = rowSums(bytes, 16, terms, 2).map((sum) => sum.div(D.toF32())) as [F32, F32];
        const [bases, pulls] = [F32x4.splat(base), F32x4.splat(pull)];
        const results = wanted(dx, adds, start);
        columns(bytes, 16, {
          wide(at) {
            const slope = F32x4.load(slopes.add(at));
            const z = standard(at);
            const g = slope
              .mul(F32x4.load(gain.add(at)))
              .sub(bases)
              .sub(pulls.mul(z));
            results.vector(at, rs.mul(g));
            parts.forEach((part, i) => {
              when(part.of, () => onto(part.at).vector(at, i === 0 ? slope.mul(z) : slope));
            });
          },
          one(at) {
            const slope = F32.load(slopes.add(at));
            const z = standardOne(at);
            const g = slope
              .mul(F32.load(gain.add(at)))
              .sub(base)
              .sub(pull.mul(z));
            results.number(at, r.mul(g));
            parts.forEach((part, i) => {
              when(part.of, () => onto(part.at).number(at, i === 0 ? slope.mul(z) : slope));
            });
          },
        });
      });
    });
  },
);
