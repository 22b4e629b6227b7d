/**
 * y = x · Wᵀ + b for many rows of x, by products of packed 8-bit integers: x is rounded to 8 bits, a scale for 32 numbers of a row; the
 * blocks of W are integers already. What it computes: kernels/linear/reference.ts on the rounded x.
 *
 * Formula   That of units.webgpu.ts, whose sums of integers are exact.
 * Numbers   Rounding x costs up to 1/254 of the largest of 32 numbers. A unit that is not finite makes its whole row NaN.
 * Source    W3C, WGSL, §17.9: dot4I8Packed, of the language feature packed_4x8_integer_dot_product.
 */
import { elementwise, perChoice } from '../wgsl.ts';
import { type BlockType, isBlockType, type StoredType } from './stored.webgpu.ts';
import { tileWords, UNIT_OF_ROWS, unitProduct, unitsOf } from './units.webgpu.ts';

const REQUIRES = 'requires packed_4x8_integer_dot_product;';

/** Whether matrices that are stored so are integers with scales. */
export const hasIntegers = (type: StoredType): type is BlockType => isBlockType(type as BlockType);

/** Rows of x, in `units` of 32 numbers each, from number `start` on: eight words of packed integers, and dx, dx·Σp of either half. */
export const roundRows = elementwise({
  name: 'round rows to 8 bits',
  parameters: { start: 'u32', units: 'u32' },
  inputs: { x_NI: 'vec4f' },
  outputs: { rounded_NI: 'vec4u', scales_N: 'vec4f' },
  requires: REQUIRES,
  body: `${UNIT_OF_ROWS}
  let largest = bitcast<f32>(most);
  let inverse = select(0.0, 127.0 / largest, isFinite && most != 0u);
  var sums: vec2i;
  for (var h = 0u; h < 2u; h++) {
    var words: vec4u;
    for (var v = 0u; v < 4u; v++) {
      let four = select(vec4i(), vec4i(round(x_NI[first + h * 4u + v] * inverse)), isFinite);
      sums[h] += four.x + four.y + four.z + four.w;
      words[v] = pack4xI8(four);
    }
    rounded_NI[i * 2u + h] = words;
  }
  let d = select(nan, largest / 127.0, isFinite);
  scales_N[i] = vec4f(d, d * vec2f(sums), 0.0);`,
});

export interface IntegerChoice {
  readonly type: BlockType;
  readonly tile: 32 | 64;
}

export const integerProduct = ({ type, tile }: IntegerChoice) => products(`${type} ${tile}`);

const products = perChoice((choice: `${BlockType} ${32 | 64}`) => {
  const [type, size] = choice.split(' ') as [BlockType, '32' | '64'];
  const tile = size === '64' ? 64 : 32;
  const { functions, isOne } = unitsOf(type);
  const { down, across, row, column, scaled } = tileWords(tile);
  const fourDots = (i: number) => `vec4i(${across.map((j) => `dots(a${i}, b${j})`).join(', ')})`;
  const half = (h: number) => `
${down.map((i) => `    ${h === 0 ? 'var ' : ''}a${i} = aTile[${row(i)} * 2u + ${h}u];`).join('\n')}
${across.map((j) => `    ${h === 0 ? 'var ' : ''}b${j} = bTile[${column(j)} * 2u + ${h}u];`).join('\n')}
${down
  .map((i) => {
    if (!isOne) return `    ${scaled(fourDots(i), i, `x${i}.${'yz'[h]}`, 'xz'[h]!, 'yw'[h]!)}`;
    return `    ${h === 0 ? `var dots${i} =` : `dots${i} +=`} ${fourDots(i)};`;
  })
  .join('\n')}`;
  return unitProduct({
    name: `product of integers, ${choice}`,
    type,
    tile,
    a: 'vec4u',
    requires: REQUIRES,
    declarations: `
fn dots(a: vec4u, b: vec4u) -> i32 {
  return dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) + dot4I8Packed(a.z, b.z) + dot4I8Packed(a.w, b.w);
}
${functions}
var<workgroup> aTile: array<vec4u, ${2 * tile}>;
var<workgroup> bTile: array<vec4u, ${2 * tile}>;`,
    loadB: `      var found: Unit;
      if (c < C) { found = integers(c, unit); }
      bTile[row * 2u] = found.words[0];
      bTile[row * 2u + 1u] = found.words[1];
      bScale[row] = found.scales;`,
    loadA: `      aTile[row * 2u] = a[at * 2u];
      aTile[row * 2u + 1u] = a[at * 2u + 1u];`,
    unit: `${half(0)}
${half(1)}
${isOne ? down.map((i) => `    ${scaled(`dots${i}`, i, `(x${i}.y + x${i}.z)`, 'x', 'y')}`).join('\n') : ''}`,
  });
});
