/** The gradients of RMSNorm (backward.reference.ts has the formulas). */
import { columns, intoOrOnto, onto } from '../units.ts';
import { clear, each, store, variable, when } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { F32, F32x4, F64, type I32 } from '../writer/values.ts';

/** Rows of a unit. Fixed, so that sums do not depend on the thread count. */
export const NORM_ROWS = 32;

/** A row's two sums in eight lanes and a rest, folded in a fixed order: what `terms` makes of the numbers at a place. */
export function rowSums(
  bytes: I32,
  step: 16 | 32,
  terms: { readonly wide: (at: I32, half: 0 | 1) => readonly F32x4[]; readonly one: (at: I32) => readonly F32[] },
  count: number,
): readonly F32[] {
  const halves = step === 32 ? [0, 1] : [0];
  const lanes = Array.from({ length: count }, () => halves.map(() => variable(F32x4.splat(0))));
  const whole = bytes.and(~(step - 1));
  each(0, whole, step, (at) => {
    const made = halves.map((half) => terms.wide(at, half as 0 | 1));
    lanes.forEach((ofSum, i) => {
      ofSum.forEach((lane, half) => {
        lane.value = lane.value.add(made[half]![i]!);
      });
    });
  });
  const sums = lanes.map(([a, b]) => variable((b ? a!.value.add(b.value) : a!.value).sum()));
  each(whole, bytes, 4, (at) => {
    terms.one(at).forEach((term, i) => {
      const sum = sums[i]!;
      sum.value = sum.value.add(term);
    });
  });
  return sums.map((sum) => sum.value);
}

/** 1 / √(squares / D + eps), in f64 and rounded once. */
export const inverseRoot = (squares: F32, D: I32, eps: F32): F32 =>
  F64.of(1).div(squares.toF64().div(D.toF64()).add(eps.toF64()).sqrt()).toF32();

/** dx (+)= r · gain · dy − pull · x, and r · dy · x. dx, dGain: 0 where not wanted. Of dGain each unit leaves its own part, which columnSums adds up in order. Unit = NORM_ROWS rows. */
export const rmsNormBackward = task(
  'rmsNormBackward',
  {
    dx: 'pointer',
    dGain: 'pointer',
    dy: 'pointer',
    x: 'pointer',
    gain: 'pointer',
    D: 'count',
    N: 'count',
    eps: 'real',
    adds: 'count',
  },
  ({ dx, dGain, dy, x, gain, D, N, eps, adds }, { first, last }) => {
    const bytes = D.mul(4);
    each(first, last, 1, (unit) => {
      const part = dGain.add(unit.mul(bytes));
      when(dGain, () => clear(part, bytes));
      each(unit.mul(NORM_ROWS), unit.add(1).mul(NORM_ROWS).min(N), 1, (n) => {
        const start = n.mul(bytes);
        const [slopes, numbers] = [dy.add(start), x.add(start)];
        const sums = rowSums(
          bytes,
          32,
          {
            wide(at, half) {
              const number = F32x4.load(numbers.add(at), 16 * half);
              const slope = F32x4.load(slopes.add(at), 16 * half).mul(F32x4.load(gain.add(at), 16 * half));
              return [number.mul(number), slope.mul(number)];
            },
            one(at) {
              const number = F32.load(numbers.add(at));
              return [
                number.mul(number),
                F32.load(slopes.add(at))
                  .mul(F32.load(gain.add(at)))
                  .mul(number),
              ];
            },
          },
          2,
        );
        const r = inverseRoot(sums[0]!, D, eps);
        const pull = r.mul(r).mul(r).mul(sums[1]!).div(D.toF32());
        const [rs, pulls] = [F32x4.splat(r), F32x4.splat(pull)];
        const wide = (of: I32, at: I32, half: number) => F32x4.load(of.add(at), 16 * half);
        when(dGain, () => {
          const results = onto(part);
          columns(bytes, 32, {
            wide: (at) => results.pair(at, (half) => rs.mul(wide(slopes, at, half)).mul(wide(numbers, at, half))),
            one: (at) => results.number(at, r.mul(F32.load(slopes.add(at))).mul(F32.load(numbers.add(at)))),
          });
        });
        when(dx, () => {
          intoOrOnto(dx.add(start), adds, (results) => {
            columns(bytes, 32, {
              wide(at) {
                results.pair(at, (half) => {
                  const pushed = rs.mul(wide(slopes, at, half)).mul(wide(gain, at, half));
                  return pushed.sub(pulls.mul(wide(numbers, at, half)));
                });
              },
              one(at) {
                const pushed = r.mul(F32.load(slopes.add(at))).mul(F32.load(gain.add(at)));
                results.number(at, pushed.sub(pull.mul(F32.load(numbers.add(at)))));
              },
            });
          });
        });
      });
    });
  },
);

/** Columns of a unit of columnSums. */
export const SUM_COLUMNS = 16;

/** target_c (+)= Σ_r source_rc, in the order of r. Unit = SUM_COLUMNS columns. */
export const columnSums = task(
  'columnSums',
  { target: 'pointer', source: 'pointer', rows: 'count', columns: 'count', adds: 'count' },
  ({ target, source, rows, columns, adds }, { first, last }) => {
    each(first.mul(SUM_COLUMNS), last.mul(SUM_COLUMNS).min(columns), 1, (c) => {
      const sum = variable(F32.of(0));
      const at = target.add(c.mul(4));
      when(adds, () => {
        sum.value = F32.load(at);
      });
      each(0, rows, 1, (r) => {
        sum.value = sum.value.add(F32.load(source.add(r.mul(columns).add(c).mul(4))));
      });
      store(at, sum.value);
    });
  },
);
