/**
 * ReLU, GELU and GEGLU with their gradients, and the cap of logits (formulas: reference.ts, backward.reference.ts). Buffers may be read and
 * written to a multiple of 8.
 */
import { exp, lnTwo, pair, tanh } from '../lanes.ts';
import { elements, into, wanted } from '../units.ts';
import { when } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { F32x4 } from '../writer/values.ts';

type LnTwo = readonly [F32x4, F32x4];
/** y and its slope, of x. */
interface Activation {
  readonly value: (x: F32x4, ln2: LnTwo) => F32x4;
  readonly slope: (x: F32x4, ln2: LnTwo) => F32x4;
}

const c = F32x4.constant;

/** Of the Chebyshev fit of erfc, the highest degree first. */
const erfcCoefficients = [
  0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368,
  -1.26551223,
];

/**
 * Φ(x) = erfc(−x / √2) / 2 by a Chebyshev fit of erfc, to 1.2e-7 relative in either tail.
 * Source: Press et al., Numerical Recipes §6.2 (erfcc).
 */
function normal(x: F32x4, ln2: LnTwo): F32x4 {
  const z = x.mul(c(Math.SQRT1_2)).abs();
  const t = c(1).div(c(1).add(z.mul(c(0.5))));
  const [first, ...others] = erfcCoefficients;
  let p = c(first!);
  for (const coefficient of others) p = p.mul(t).add(c(coefficient));
  const tail = c(0.5)
    .mul(t)
    .mul(exp(p.sub(z.mul(z)), ln2));
  return tail.where(x.lt(c(0)), c(1).sub(tail));
}

const TWO_ROOT = 1.5957691216057308; // 2 √(2/π)
const CUBIC = 0.044715;

/** σ(2u), u = √(2/π) · (x + 0.044715 x³): the share of x that the tanh form lets through. */
function normalTanh(x: F32x4, ln2: LnTwo): F32x4 {
  const cube = c(CUBIC).mul(x).mul(x.mul(x));
  return c(1).div(c(1).add(exp(c(TWO_ROOT).mul(x.add(cube)).neg(), ln2)));
}

const activations = {
  relu: {
    value: (x) => x.pmax(c(0)),
    slope: (x) => c(1).andNot(x.le(c(0))),
  },
  gelu: {
    value: (x, ln2) => x.mul(normal(x, ln2)),
    slope(x, ln2) {
      const density = c(0.3989422804014327).mul(exp(x.mul(x).mul(c(0.5)).neg(), ln2));
      return normal(x, ln2).add(x.mul(density));
    },
  },
  geluTanh: {
    value: (x, ln2) => x.mul(normalTanh(x, ln2)),
    // s + x · s (1 − s) · 2u′
    slope(x, ln2) {
      const s = normalTanh(x, ln2);
      const rise = c(TWO_ROOT).mul(c(1).add(c(3 * CUBIC).mul(x.mul(x))));
      return s.add(x.mul(rise).mul(s.mul(c(1).sub(s))));
    },
  },
} as const satisfies Record<string, Activation>;

export type ActivationName = keyof typeof activations;

function ofEach<T>(make: (name: ActivationName, activation: Activation) => T): Readonly<Record<ActivationName, T>> {
  const names = Object.keys(activations) as ActivationName[];
  return Object.fromEntries(names.map((name) => [name, make(name, activations[name])])) as Record<ActivationName, T>;
}

/** y = f(x), or f(x) · up where `up` is not 0. */
export const activation = ofEach((name, { value }) =>
  task(name, { y: 'pointer', x: 'pointer', up: 'pointer', count: 'count' }, ({ y, x, up, count }, units) => {
    const ln2 = lnTwo();
    const write = (isGated: boolean) => () => {
      elements(units, count, {
        eight(at) {
          into(y).pair(at, (half) => {
            const activated = value(F32x4.load(x.add(at), 16 * half), ln2);
            return isGated ? activated.mul(F32x4.load(up.add(at), 16 * half)) : activated;
          });
        },
      });
    };
    when(up, write(true), write(false));
  }),
);

/** dx, dUp: 0 where not wanted; up: 0 where there is none. */
export const activationBackward = ofEach((name, { value, slope }) =>
  task(
    `${name}Backward`,
    {
      dx: 'pointer',
      dUp: 'pointer',
      dy: 'pointer',
      x: 'pointer',
      up: 'pointer',
      count: 'count',
      addsToX: 'count',
      addsToUp: 'count',
    },
    ({ dx, dUp, dy, x, up, count, addsToX, addsToUp }, units) => {
      const ln2 = lnTwo();
      const write = (isGated: boolean) => () => {
        elements(units, count, {
          eight(at) {
            const d = pair((half) => F32x4.load(dy.add(at), 16 * half));
            const numbers = pair((half) => F32x4.load(x.add(at), 16 * half));
            const outer = pair((half) => (isGated ? d[half].mul(F32x4.load(up.add(at), 16 * half)) : d[half]));
            const ofX = pair((half) => outer[half].mul(slope(numbers[half], ln2)));
            wanted(dx, addsToX).pair(at, (half) => ofX[half]);
            if (!isGated) return;
            const ofUp = pair((half) => d[half].mul(value(numbers[half], ln2)));
            wanted(dUp, addsToUp).pair(at, (half) => ofUp[half]);
          },
        });
      };
      when(up, write(true), write(false));
    },
  ),
);

/** y = cap · tanh(x / cap) */
export const softcap = task(
  'softcap',
  { y: 'pointer', x: 'pointer', count: 'count', cap: 'real' },
  ({ y, x, count, cap }, units) => {
    const ln2 = lnTwo();
    const caps = F32x4.splat(cap);
    elements(units, count, {
      eight: (at) => into(y).pair(at, (half) => caps.mul(tanh(F32x4.load(x.add(at), 16 * half).div(caps), ln2))),
    });
  },
);

/** dx (+)= dy · (1 − (y / cap)²) */
export const softcapBackward = task(
  'softcapBackward',
  { dx: 'pointer', dy: 'pointer', y: 'pointer', count: 'count', cap: 'real', adds: 'count' },
  ({ dx, dy, y, count, cap, adds }, units) => {
    const caps = F32x4.splat(cap);
    elements(units, count, {
      eight(at) {
        wanted(dx, adds).pair(at, (half) => {
          const t = F32x4.load(y.add(at), 16 * half).div(caps);
          return F32x4.load(dy.add(at), 16 * half).mul(c(1).sub(t.mul(t)));
        });
      },
    });
  },
);
