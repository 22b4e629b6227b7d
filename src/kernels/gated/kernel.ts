/** SwiGLU (reference.ts has the formula): x / (1 + exp(−x)) · y, where x is the gate. */
import { exp, lnTwo } from '../lanes.ts';
import { elements, into } from '../units.ts';
import { store } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { F32x4 } from '../writer/values.ts';

export const swiglu = task(
  'swiglu',
  { result: 'pointer', x: 'pointer', y: 'pointer', count: 'count' },
  ({ result, x: gate, y: up, count }, units) => {
    const constants = lnTwo();
    const gated = (g: F32x4, u: F32x4) => g.div(F32x4.constant(1).add(exp(g.neg(), constants))).mul(u);
    elements(units, count, {
      eight(at) {
        into(result).pair(at, (half) => gated(F32x4.load(gate.add(at), 16 * half), F32x4.load(up.add(at), 16 * half)));
      },
      one: (at) => store(result.add(at), gated(F32x4.loadSplat(gate.add(at)), F32x4.loadSplat(up.add(at))).lane(0)),
    });
  },
);
