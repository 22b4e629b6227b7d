/** silu(gate) · up, gelu(gate) · up, and gpt-oss's form of the first. What they compute: reference.ts, backward.reference.ts. */
import { geluFunctions, siluFunctions } from '../activation/webgpu.ts';
import type { GeluForm } from '../ops.ts';
import { elementwise, type Kernel, perChoice } from '../wgsl.ts';
import { LIMITED_STEEPNESS } from './reference.ts';

export type GateForm = 'silu' | 'limited silu' | `gelu, ${GeluForm}`;

/** value(gate, up), and its two slopes, each without the other factor dy. */
export const gateForms: { readonly [form in GateForm]: string } = {
  silu: `${siluFunctions}
fn value(gate: f32, up: f32) -> f32 { return silu(gate) * up; }
fn gateSlope(gate: f32, up: f32) -> f32 { return up * siluSlope(gate); }
fn upSlope(gate: f32, up: f32) -> f32 { return silu(gate); }`,
  'limited silu': `${siluFunctions}
fn limitedUp(up: f32) -> f32 { return clamp(up, -parameters.limit, parameters.limit); }
fn value(gate: f32, up: f32) -> f32 {
  let g = min(gate, parameters.limit);
  return g * sigmoid(${LIMITED_STEEPNESS} * g) * (limitedUp(up) + 1.0);
}
fn gateSlope(gate: f32, up: f32) -> f32 {
  if (gate > parameters.limit) { return 0.0; }
  let s = sigmoid(${LIMITED_STEEPNESS} * gate);
  return s * (1.0 + ${LIMITED_STEEPNESS} * gate * (1.0 - s)) * (limitedUp(up) + 1.0);
}
fn upSlope(gate: f32, up: f32) -> f32 {
  if (abs(up) > parameters.limit) { return 0.0; }
  let g = min(gate, parameters.limit);
  return g * sigmoid(${LIMITED_STEEPNESS} * g);
}`,
  'gelu, exact': geluForm('exact'),
  'gelu, tanh': geluForm('tanh'),
};

function geluForm(form: GeluForm): string {
  return `${geluFunctions[form]}
fn value(gate: f32, up: f32) -> f32 { return gelu(gate) * up; }
fn gateSlope(gate: f32, up: f32) -> f32 { return up * geluSlope(gate); }
fn upSlope(gate: f32, up: f32) -> f32 { return gelu(gate); }`;
}

const forms = new WeakMap<Kernel, GateForm>();

export const gated = perChoice((form: GateForm) => {
  const made = elementwise({
    name: `gated, ${form}`,
    parameters: { limit: 'f32' },
    inputs: { gate_NF: 'f32', up_NF: 'f32' },
    outputs: { y_NF: 'f32' },
    declarations: gateForms[form],
    body: '  y_NF[i] = value(gate_NF[i], up_NF[i]);',
  });
  forms.set(made, form);
  return made;
});

/** The form of a kernel of `gated`; null: it is none. */
export const gateFormOf = (kernel: Kernel): GateForm | null => forms.get(kernel) ?? null;

/** The gradient of one of the two. */
export const gatedBackward = perChoice((choice: `${'gate' | 'up'} of ${GateForm}`) => {
  const [side, form] = choice.split(' of ') as ['gate' | 'up', GateForm];
  return elementwise({
    name: `gated, backward, ${choice}`,
    parameters: { limit: 'f32', adds: 'u32' },
    inputs: { dy_NF: 'f32', gate_NF: 'f32', up_NF: 'f32' },
    outputs: { d_NF: 'f32' },
    declarations: gateForms[form],
    body: `  d_NF[i] = select(0.0, d_NF[i], adds != 0u) + dy_NF[i] * ${side}Slope(gate_NF[i], up_NF[i]);`,
  });
});
