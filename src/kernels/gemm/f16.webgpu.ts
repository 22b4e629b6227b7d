/**
 * y = x · Wᵀ + b for many rows of x, with both sides in f16 while they lie in workgroup memory: half of its bytes, and of those of x.
 * What it computes: kernels/linear/reference.ts on the rounded x.
 *
 * Formula   x = dx·p, where dx is the power of two below the largest of 32 numbers, so that no p is beyond f16. Weights are exact: f16 as it
 *           is stored, or the integers of its blocks (units.webgpu.ts).
 * Numbers   Products and sums are f32. x is rounded to the nearest: |error of y| ≤ 2⁻¹¹ · Σ |x|·|w|, and what adapters that flush subnormals
 *           of f16 lose: up to 2⁻¹⁴ of the largest of 32 numbers. A unit that is not finite makes its whole row NaN.
 * Source    W3C, WGSL, §4.1.1: the extension f16.
 */
import { elementwise, perChoice, unrolled } from '../wgsl.ts';
import { type BlockType, isBlockType, type StoredType } from './stored.webgpu.ts';
import { tileWords, UNIT_OF_ROWS, unitProduct, unitsOf } from './units.webgpu.ts';

const ENABLE = 'enable f16;';

/** Matrices whose weights, or the integers that they are made of, f16 holds as they are. */
export const isExactInHalves = (type: StoredType): type is BlockType | 'f16' =>
  type === 'f16' || isBlockType(type as BlockType);

/** Rows of x, in `units` of 32 numbers each, from number `start` on: eight vectors of p, and dx, dx·Σp of either half. */
export const halveRows = elementwise({
  name: 'round rows to f16',
  parameters: { start: 'u32', units: 'u32' },
  inputs: { x_NI: 'vec4f' },
  outputs: { rounded_NI: 'vec4h', scales_N: 'vec4f' },
  requires: ENABLE,
  // By bits: compilers leave out what goes to f16 and back, and then Σp is not that of the rounded numbers.
  declarations: `
fn rounded(p: vec4f) -> vec4f {
  let bits = bitcast<vec4u>(p);
  let normal = bitcast<vec4f>((bits + vec4u(0xfffu) + ((bits >> vec4u(13u)) & vec4u(1u))) & vec4u(0xffffe000u));
  let subnormal = round(p * 16777216.0) / 16777216.0;
  return select(normal, subnormal, abs(p) < vec4f(0.00006103515625));
}`,
  body: `${UNIT_OF_ROWS}
  // Of powers of two whose inverse is a normal number, too.
  let exponent = clamp(most >> 23u, 1u, 253u);
  let inverse = bitcast<f32>((254u - exponent) << 23u);
  var sums: vec2f;
  for (var v = 0u; v < 8u; v++) {
    let four = rounded(select(vec4f(), x_NI[first + v] * inverse, isFinite));
    sums[v >> 2u] += dot(four, vec4f(1.0));
    rounded_NI[i * 8u + v] = vec4h(four);
  }
  let d = select(nan, bitcast<f32>(exponent << 23u), isFinite);
  scales_N[i] = vec4f(d, d * sums, 0.0);`,
});

export interface HalfChoice {
  readonly type: BlockType | 'f16';
  readonly tile: 32 | 64;
}

export const halfProduct = ({ type, tile }: HalfChoice) => products(`${type} ${tile}`);

/** How a unit of W comes into the tile: its numbers, eight vectors, and the d and m of its halves. */
function unitLoader(type: BlockType | 'f16') {
  if (type === 'f16') {
    return {
      isOne: true,
      functions: `
struct Halves { numbers: array<vec4h, 8>, scales: vec4f }
fn halves(row: u32, unit: u32) -> Halves {
  var found: Halves;
${unrolled(
  4,
  (v) => `  let q${v} = quants[row * (parameters.I / 8u) + unit * 4u + ${v}u];
  found.numbers[${2 * v}] = bitcast<vec4h>(q${v}.xy);
  found.numbers[${2 * v + 1}] = bitcast<vec4h>(q${v}.zw);`,
)}
  found.scales = vec4f(1.0, 0.0, 1.0, 0.0);
  return found;
}`,
    };
  }
  const { functions, isOne } = unitsOf(type);
  return {
    isOne,
    functions: `${functions}
struct Halves { numbers: array<vec4h, 8>, scales: vec4f }
fn signedBytes(word: u32) -> vec4h { return vec4h((vec4i(bitcast<i32>(word)) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u)); }
fn halves(row: u32, unit: u32) -> Halves {
  let packed = integers(row, unit);
  var found: Halves;
${unrolled(8, (v) => `  found.numbers[${v}] = signedBytes(packed.words[${v >> 2}][${v & 3}]);`)}
  found.scales = packed.scales;
  return found;
}`,
  };
}

const products = perChoice((choice: `${BlockType | 'f16'} ${32 | 64}`) => {
  const [type, size] = choice.split(' ') as [BlockType | 'f16', '32' | '64'];
  const tile = size === '64' ? 64 : 32;
  const { functions, isOne } = unitLoader(type);
  const { down, across, row, column, scaled } = tileWords(tile);
  // Neighbouring invocations would meet in one bank of memory: the columns are turned.
  const turned = (row: string, v: string) => `${row} * 8u + (${v} ^ (${row} & 7u))`;
  const part = (from: number, to: number, sumOf: (i: number) => string, d: string, m: string) => `
${down.map((i) => `    dots${i} = vec4f();`).join('\n')}
    for (var v = ${from}u; v < ${to}u; v++) {
${down.map((i) => `      let a${i} = vec4f(aTile[${turned(row(i), 'v')}]);`).join('\n')}
${across.map((j) => `      let b${j} = vec4f(bTile[${turned(column(j), 'v')}]);`).join('\n')}
${down.map((i) => `      dots${i} += vec4f(${across.map((j) => `dot(a${i}, b${j})`).join(', ')});`).join('\n')}
    }
${down.map((i) => `    ${scaled(`dots${i}`, i, sumOf(i), d, m)}`).join('\n')}`;
  const unit = isOne
    ? part(0, 8, (i) => `(x${i}.y + x${i}.z)`, 'x', 'y')
    : part(0, 4, (i) => `x${i}.y`, 'x', 'y') + part(4, 8, (i) => `x${i}.z`, 'z', 'w');
  return unitProduct({
    name: `product in f16, ${choice}`,
    type,
    tile,
    a: 'vec4h',
    requires: ENABLE,
    declarations: `${functions}
var<workgroup> aTile: array<vec4h, ${8 * tile}>;
var<workgroup> bTile: array<vec4h, ${8 * tile}>;`,
    loadB: `      var found: Halves;
      if (c < C) { found = halves(c, unit); }
${unrolled(8, (v) => `      bTile[${turned('row', `${v}u`)}] = found.numbers[${v}];`)}
      bScale[row] = found.scales;`,
    loadA: `${unrolled(8, (v) => `      aTile[${turned('row', `${v}u`)}] = a[at * 8u + ${v}u];`)}`,
    unit: `${down.map((i) => `    var dots${i}: vec4f;`).join('\n')}${unit}`,
  });
});
