import type { Floats } from '../../tensor/tensor.ts';
import { geluSlopes, siluSlope } from '../activation/backward.reference.ts';
import { geluForms, silu } from '../activation/reference.ts';
import type { GeluForm } from '../ops.ts';
import { LIMITED_STEEPNESS } from './reference.ts';

/**
 * Adds the gradients of the gated units y = f(gate) · up.
 *
 *   dGate += dy · up · f′(gate)        dUp += dy · f(gate)
 *
 * Shapes   all NF; dGate and dUp null: not wanted
 */
export function swigluBackward(
  dGate: Floats | null,
  dUp: Floats | null,
  dy: Floats,
  gate: Floats,
  up: Floats,
  limit?: number,
): void {
  if (limit !== undefined) limitedSwigluBackward(dGate, dUp, dy, gate, up, limit);
  else gatedBackward(silu, siluSlope, dGate, dUp, dy, gate, up);
}

/** Of gpt-oss's form: beyond the limit nothing changes with gate or up. */
function limitedSwigluBackward(
  dGate: Floats | null,
  dUp: Floats | null,
  dy: Floats,
  gate: Floats,
  up: Floats,
  limit: number,
): void {
  for (let i = 0; i < dy.length; i++) {
    const g = Math.min(gate[i]!, limit);
    const u = Math.max(-limit, Math.min(limit, up[i]!));
    const sigmoid = 1 / (1 + Math.exp(-LIMITED_STEEPNESS * g));
    const slope = sigmoid * (1 + LIMITED_STEEPNESS * g * (1 - sigmoid));
    if (dGate && gate[i]! <= limit) dGate[i]! += dy[i]! * slope * (u + 1);
    if (dUp && Math.abs(up[i]!) <= limit) dUp[i]! += dy[i]! * g * sigmoid;
  }
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
