/** The gradients of SwiGLU, silu(gate) · up (backward.reference.ts has the formulas). */
import { exp, lnTwo, pair } from '../lanes.ts';
import { elements, into, type Results, wanted } from '../units.ts';
import { when } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { F32x4 } from '../writer/values.ts';

/** dGate, dUp: 0 where not wanted. Buffers may be read and written to a multiple of 8. */
export const swigluBackward = task(
  'swigluBackward',
  {
    dGate: 'pointer',
    dUp: 'pointer',
    dy: 'pointer',
    gate: 'pointer',
    up: 'pointer',
    count: 'count',
    addsToGate: 'count',
    addsToUp: 'count',
  },
  ({ dGate, dUp, dy, gate, up, count, addsToGate, addsToUp }, units) => {
    const ln2 = lnTwo();
    const one = F32x4.constant(1);
    const write = (gates: Results, ups: Results) => {
      elements(units, count, {
        eight(at) {
          const x = pair((half) => F32x4.load(gate.add(at), 16 * half));
          const sigmoid = pair((half) => one.div(one.add(exp(x[half].neg(), ln2))));
          const silu = pair((half) => x[half].mul(sigmoid[half]));
          const d = pair((half) => F32x4.load(dy.add(at), 16 * half));
          // σ · (1 + x · (1 − σ)) = σ + silu · (1 − σ)
          const slope = (half: 0 | 1) => sigmoid[half].add(silu[half].mul(one.sub(sigmoid[half])));
          gates.pair(at, (half) => d[half].mul(F32x4.load(up.add(at), 16 * half)).mul(slope(half)));
          ups.pair(at, (half) => d[half].mul(silu[half]));
        },
      });
    };
    const areBothReplaced = dGate.ne(0).and(dUp.ne(0)).and(addsToGate.or(addsToUp).not());
    when(
      areBothReplaced,
      () => write(into(dGate), into(dUp)),
      () => write(wanted(dGate, addsToGate), wanted(dUp, addsToUp)),
    );
  },
);
