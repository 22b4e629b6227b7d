import type { Floats } from '../../tensor/tensor.ts';
import { geluSlopes, siluSlope } from '../activation/backward.reference.ts';
import { geluForms, silu } from '../activation/reference.ts';
import type { GeluForm } from '../ops.ts';

/**
 * Adds the gradients of the gated units y = f(gate) · up.
 *
 *   dGate += dy · up · f′(gate)        dUp += dy · f(gate)
 *
 * Shapes   all NF; dGate and dUp null: not wanted
 */
export function swigluBackward(dGate: Floats | null, dUp: Floats | null, dy: Floats, gate: Floats, up: Floats): void {
  gatedBackward(silu, siluSlope, dGate, dUp, dy, gate, up);
}

export function gegluBackward(
  dGate: Floats | null,
  dUp: Floats | null,
  dy: Floats,
  gate: Floats,
  up: Floats,
  form: GeluForm,
): void {
  gatedBackward(geluForms[form], geluSlopes[form], dGate, dUp, dy, gate, up);
}

function gatedBackward(
  f: (x: number) => number,
  slope: (x: number) => number,
  dGate: Floats | null,
  dUp: Floats | null,
  dy: Floats,
  gate: Floats,
  up: Floats,
): void {
  for (let i = 0; i < dy.length; i++) {
    if (dGate) dGate[i]! += dy[i]! * up[i]! * slope(gate[i]!);
    if (dUp) dUp[i]! += dy[i]! * f(gate[i]!);
  }
}
