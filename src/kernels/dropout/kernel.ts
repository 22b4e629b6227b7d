/** Random zeros by counters (reference.ts has the formula). */
import { columns, intoOrOnto } from '../units.ts';
import { each, store, variable } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { choose, F32, F32x4, I32, I32x4 } from '../writer/values.ts';

const STRIDE = 0x9e3779b9 | 0;
const HEAD_STRIDE = 0x85ebca6b | 0;

const mixed = (x: I32): I32 => {
  const once = x.xor(x.shr(16)).mul(0x21f0aaad);
  const twice = once.xor(once.shr(15)).mul(0x735a2d97);
  return twice.xor(twice.shr(15));
};
const mixedLanes = (x: I32x4): I32x4 => {
  const once = x.xor(x.shr(16)).mul(I32x4.splat(0x21f0aaad));
  const twice = once.xor(once.shr(15)).mul(I32x4.splat(0x735a2d97));
  return twice.xor(twice.shr(15));
};

/** b of a row. */
export const dropoutBase = (key: I32, token: I32, head: I32 | number): I32 =>
  mixed(mixed(key.add(token.mul(STRIDE))).add(I32.of(head).mul(HEAD_STRIDE)));

/** x_s ← x_s · factor where its number is not below the threshold, else 0. `step`: from one element's number to the next one's. */
export class Dropping {
  readonly #numbers;
  readonly #next: I32x4;
  readonly #limits: I32x4;
  readonly #factors: F32x4;

  constructor(start: I32, step: I32 | number, threshold: I32, factor: F32) {
    const counts = [1, 2, 3].reduce((lanes, i) => lanes.insert(i, i), I32x4.splat(0));
    this.#numbers = variable(I32x4.splat(start).add(counts.mul(I32x4.splat(step))));
    this.#next = I32x4.splat(I32.of(step).mul(4));
    this.#limits = I32x4.splat(threshold);
    this.#factors = F32x4.splat(factor);
  }

  /** The next four. */
  four(x: F32x4): F32x4 {
    const numbers = this.#numbers.value;
    this.#numbers.value = numbers.add(this.#next);
    return this.#factors.mul(x).and(mixedLanes(numbers).ge(this.#limits));
  }
}

/** y (+)= dropout(x). Unit = one row. */
export const dropout = task(
  'dropout',
  {
    y: 'pointer',
    x: 'pointer',
    columns: 'count',
    key: 'count',
    firstToken: 'count',
    threshold: 'count',
    factor: 'real',
    adds: 'count',
  },
  ({ y, x, columns: D, key, firstToken, threshold, factor, adds }, { first, last }) => {
    const bytes = D.mul(4);
    each(first, last, 1, (n) => {
      const from = x.add(n.mul(bytes));
      const base = dropoutBase(key, firstToken.add(n), 0);
      intoOrOnto(y.add(n.mul(bytes)), adds, (results) => {
        const dropping = new Dropping(base, STRIDE, threshold, factor);
        columns(bytes, 16, {
          wide: (at) => results.vector(at, dropping.four(F32x4.load(from.add(at)))),
          one(at) {
            const stays = mixed(base.add(at.shr(2).mul(STRIDE))).ge(threshold);
            results.number(at, choose(stays, factor.mul(F32.load(from.add(at))), F32.of(0)));
          },
        });
      });
    });
  },
);

/** A row in place, for the elements `start`, `start` − 1, …; `bytes` are a multiple of 16. */
export function dropBackwards(x: I32, bytes: I32, base: I32, start: I32, threshold: I32, factor: F32): void {
  const dropping = new Dropping(base.add(start.mul(STRIDE)), -STRIDE | 0, threshold, factor);
  each(x, x.add(bytes), 16, (at) => {
    const left = dropping.four(F32x4.load(at));
    store(at, left);
  });
}
