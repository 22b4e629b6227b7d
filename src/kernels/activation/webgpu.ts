/** Functions of one number, as WGSL, and the operations that apply them. What they compute: reference.ts, backward.reference.ts. */
import type { GeluForm } from '../ops.ts';
import { elementwise, perChoice } from '../wgsl.ts';

/** silu(x) and siluSlope(x). The exponent is held where e^x is finite; x itself carries infinities and NaN on. */
export const siluFunctions = `
fn sigmoid(x: f32) -> f32 { return 1.0 / (1.0 + exp(min(-x, 80.0))); }
fn silu(x: f32) -> f32 { return x * sigmoid(x); }
fn siluSlope(x: f32) -> f32 { let s = sigmoid(x); return s * (1.0 + x * (1.0 - s)); }`;

/** tanh for any x: some drivers return NaN for large ones. */
const boundedTanh = 'fn boundedTanh(x: f32) -> f32 { return tanh(clamp(x, -15.0, 15.0)); }';

/**
 * gelu(x) and geluSlope(x). The exact form takes erfc from Abramowitz & Stegun 7.1.26, |error| ≤ 1.5e-7.
 */
export const geluFunctions: { readonly [form in GeluForm]: string } = {
  exact: `
fn normal(x: f32) -> f32 {
  let z = abs(x) * ${Math.SQRT1_2};
  let t = 1.0 / (1.0 + 0.3275911 * z);
  let tail = 0.5 * exp(-min(z * z, 80.0)) * t
    * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return select(tail, 1.0 - tail, x > 0.0);
}
fn gelu(x: f32) -> f32 { return x * normal(x); }
fn geluSlope(x: f32) -> f32 { return normal(x) + x * exp(-0.5 * min(x * x, 160.0)) * ${1 / Math.sqrt(2 * Math.PI)}; }`,
  tanh: `
${boundedTanh}
const root = ${Math.sqrt(2 / Math.PI)};
fn gelu(x: f32) -> f32 { return 0.5 * x * (1.0 + boundedTanh(root * (x + 0.044715 * x * x * x))); }
fn geluSlope(x: f32) -> f32 {
  let t = boundedTanh(root * (x + 0.044715 * x * x * x));
  return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * root * (1.0 + 3.0 * 0.044715 * x * x);
}`,
};

export const gelu = perChoice((form: GeluForm) =>
  elementwise({
    name: `gelu, ${form}`,
    inputs: { x_NF: 'f32' },
    outputs: { y_NF: 'f32' },
    declarations: geluFunctions[form],
    body: '  y_NF[i] = gelu(x_NF[i]);',
  }),
);

export const geluBackward = perChoice((form: GeluForm) =>
  elementwise({
    name: `gelu, ${form}, backward`,
    parameters: { adds: 'u32' },
    inputs: { dy_NF: 'f32', x_NF: 'f32' },
    outputs: { dx_NF: 'f32' },
    declarations: geluFunctions[form],
    body: '  dx_NF[i] = select(0.0, dx_NF[i], adds != 0u) + dy_NF[i] * geluSlope(x_NF[i]);',
  }),
);

/** By its bits: a comparison may be compiled as if NaN did not exist. */
const isNan = 'fn isNan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }';

export const relu = elementwise({
  name: 'relu',
  inputs: { x_NF: 'f32' },
  outputs: { y_NF: 'f32' },
  declarations: isNan,
  body: '  y_NF[i] = select(0.0, x_NF[i], x_NF[i] > 0.0 || isNan(x_NF[i]));',
});

export const reluBackward = elementwise({
  name: 'relu, backward',
  parameters: { adds: 'u32' },
  inputs: { dy_NF: 'f32', x_NF: 'f32' },
  outputs: { dx_NF: 'f32' },
  declarations: isNan,
  body: `  let dx = select(0.0, dy_NF[i], x_NF[i] > 0.0 || isNan(x_NF[i]));
  dx_NF[i] = select(0.0, dx_NF[i], adds != 0u) + dx;`,
});

/** y = cap · tanh(x / cap); `isNan` keeps what a clamp would lose. */
export const softcapFunction = `
${boundedTanh}
${isNan}
fn softcap(x: f32, cap: f32) -> f32 { return select(cap * boundedTanh(x / cap), x, isNan(x)); }`;

export const softcap = elementwise({
  name: 'softcap',
  parameters: { cap: 'f32' },
  inputs: { x_RV: 'f32' },
  outputs: { y_RV: 'f32' },
  declarations: softcapFunction,
  body: '  y_RV[i] = softcap(x_RV[i], cap);',
});

export const softcapBackward = elementwise({
  name: 'softcap, backward',
  parameters: { cap: 'f32', adds: 'u32' },
  inputs: { dy: 'f32', y: 'f32' },
  outputs: { dx: 'f32' },
  body: '  dx[i] = select(0.0, dx[i], adds != 0u) + dy[i] * (1.0 - (y[i] / cap) * (y[i] / cap));',
});
