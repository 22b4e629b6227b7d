/** AdamW (reference.ts has the formula), and the sums that gradient clipping needs. */
import { pair } from '../lanes.ts';
import { elements } from '../units.ts';
import { each, store, storeVectors, variable } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { F32, F32x4, type F64, F64x2, type I32 } from '../writer/values.ts';

/** keep: 1 − lr·decay; rate: lr / (1 − β1ᵗ); rest: 1 − β; correction: 1 / √(1 − β2ᵗ). */
export const adamW = task(
  'adamW',
  {
    p: 'pointer',
    g: 'pointer',
    m: 'pointer',
    v: 'pointer',
    count: 'count',
    keep: 'real',
    rate: 'real',
    beta1: 'real',
    rest1: 'real',
    beta2: 'real',
    rest2: 'real',
    correction: 'real',
    eps: 'real',
    gradientScale: 'real',
  },
  ({ p, g, m, v, count, ...reals }, units) => {
    const { keep, rate, beta1, rest1, beta2, rest2, correction, eps, gradientScale } = reals;
    const factors = [keep, rate, beta1, rest1, beta2, rest2, correction, eps, gradientScale];
    const wide = factors.map((factor) => F32x4.splat(factor));
    const load = (at: I32, half = 0) => [g, m, v, p].map((from) => F32x4.load(from.add(at), 16 * half));
    elements(units, count, {
      eight(at) {
        const made = pair((half) => step(load(at, half), wide));
        [m, v, p].forEach((to, i) => {
          const vectors = made.map((each) => each[i]!);
          storeVectors(to.add(at), vectors);
        });
      },
      one(at) {
        const numbers = [g, m, v, p].map((from) => F32.load(from.add(at)));
        const made = step<F32>(numbers, factors);
        for (const [i, to] of [m, v, p].entries()) store(to.add(at), made[i]!);
      },
    });
  },
);

interface Real<Self> {
  add(other: Self): Self;
  sub(other: Self): Self;
  mul(other: Self): Self;
  div(other: Self): Self;
  sqrt(): Self;
}

/** m, v and p as they are after the step. */
function step<V extends Real<V>>([gradient, oldM, oldV, p]: readonly V[], factors: readonly V[]): readonly V[] {
  const [keep, rate, beta1, rest1, beta2, rest2, correction, eps, gradientScale] = factors;
  const g = gradient!.mul(gradientScale!);
  const m = beta1!.mul(oldM!).add(rest1!.mul(g));
  const v = beta2!.mul(oldV!).add(rest2!.mul(g).mul(g));
  const root = v.sqrt().mul(correction!).add(eps!);
  return [m, v, p!.mul(keep!).sub(rate!.mul(m).div(root))];
}

/** Numbers that a unit of sumSquares covers. */
export const SUM_FLOATS = 16384;

/** Σ x² of every unit in f64, added in order. */
export const sumSquares = task(
  'sumSquares',
  { x: 'pointer', count: 'count', sums: 'pointer' },
  ({ x, count, sums }, { first, last }) => {
    each(first, last, 1, (unit) => {
      const end = unit.add(1).mul(SUM_FLOATS).min(count);
      const parts = pair(() => variable(F64x2.splat(0)));
      each(unit.mul(SUM_FLOATS), end.and(~3), 4, (i) => {
        const numbers = F32x4.load(x.add(i.mul(4)));
        const doubles = [numbers.toF64x2(), numbers.shuffle(numbers, 2, 3, 2, 3).toF64x2()];
        parts.forEach((part, half) => {
          part.value = part.value.add(doubles[half]!.mul(doubles[half]!));
        });
      });
      const both = parts[0].value.add(parts[1].value);
      const sum = variable<F64>(both.lane(0).add(both.lane(1)));
      each(end.and(~3), end, 1, (i) => {
        const number = F32.load(x.add(i.mul(4))).toF64();
        sum.value = sum.value.add(number.mul(number));
      });
      store(sums.add(unit.mul(8)), sum.value);
    });
  },
);
