/**
 * y = x · Wᵀ + b for many rows of x, by products of packed 8-bit integers: x is rounded to 8 bits, a scale for 32 numbers of a row; the
 * blocks of W are integers already. What it computes: kernels/linear/reference.ts on the rounded x.
 *
 * Formula   w = d·q + m for the q of a unit, or of either half of one; x = dx·p. A unit adds d·dx·Σ q·p + m·dx·Σ p, whose sums of
 *           integers are exact.
 * Numbers   f32 sums of the units, in an order that depends on the shapes alone. Rounding x costs up to 1/254 of the largest of 32 numbers.
 * Source    W3C, WGSL, §17.9: dot4I8Packed, of the language feature packed_4x8_integer_dot_product.
 */
import { elementwise, kernel, perChoice, unrolled } from '../wgsl.ts';
import {
  type BlockType,
  blockFacts,
  blockFunctions,
  isBlockType,
  matrixInputs,
  type StoredType,
} from './stored.webgpu.ts';

const REQUIRES = 'requires packed_4x8_integer_dot_product;';

/** The words of a unit's 32 numbers, and the d and m of its halves. */
interface Integers {
  /** Statements before the words. */
  readonly before: string;
  /** Four numbers, from word `v` of eight. */
  readonly word: (v: number) => string;
  /** vec4f of d and m of the first half, then of the second. */
  readonly scales: string;
  /** Both halves have the same d and m. */
  readonly isOne?: boolean;
}

const nibble = (v: number) => `(q[${v % 4}] >> ${v < 4 ? 0 : 4}u) & 0x0f0f0f0fu`;
const eight = (v: number) => `q${v >> 2}[${v & 3}]`;
const loadEight = (at: string) => `
  let q0 = quants[${at}];
  let q1 = quants[${at} + 1u];`;
const same = (d: string, m: string) => `vec4f(${d}, ${m}, ${d}, ${m})`;
/** Four neighbouring bits as the fifth ones of four bytes. */
const spread = (v: number) => `((((high >> ${4 * v}u) & 15u) * 0x00204081u) & 0x01010101u) << 4u`;

const integers = {
  Q8_0: {
    before: `${loadEight('block * 2u')}\n  let d = half(block);`,
    word: eight,
    scales: same('d', '0.0'),
    isOne: true,
  },
  Q4_0: {
    before: '  let q = quants[block];\n  let d = half(block);',
    word: nibble,
    scales: same('d', '-8.0 * d'),
    isOne: true,
  },
  Q4_1: {
    before: '  let q = quants[block];\n  let dm = unpack2x16float(rest[at]);',
    word: nibble,
    scales: 'dm.xyxy',
    isOne: true,
  },
  Q5_0: {
    before: '  let q = quants[block];\n  let d = half(block);\n  let high = rest[at];',
    word: (v) => `(${nibble(v)}) | (${spread(v)})`,
    scales: same('d', '-16.0 * d'),
    isOne: true,
  },
  Q5_1: {
    before: '  let q = quants[block];\n  let dm = unpack2x16float(rest[at]);\n  let high = rest[at + 1u];',
    word: (v) => `(${nibble(v)}) | (${spread(v)})`,
    scales: 'dm.xyxy',
    isOne: true,
  },
  Q2_K: {
    before: `${loadEight('block * 4u + 2u * (part >> 2u)')}
  let dm = unpack2x16float(rest[at + 4u]);
  let scale0 = restByte(at, 2u * part);
  let scale1 = restByte(at, 2u * part + 1u);
  let shift = 2u * (part & 3u);`,
    word: (v) => `(${eight(v)} >> shift) & 0x03030303u`,
    scales: `vec4f(vec4u(scale0 & 15u, scale0 >> 4u, scale1 & 15u, scale1 >> 4u)) * vec4f(dm.x, -dm.y, dm.x, -dm.y)`,
  },
  Q3_K: {
    before: `${loadEight('block * 4u + 2u * (part >> 2u)')}
  var scales: vec2f;
  for (var s = 0u; s < 2u; s++) {
    let j = 2u * part + s;
    let low = (restByte(at + 8u, j & 7u) >> (4u * (j >> 3u))) & 15u;
    let high = (restByte(at + 8u, 8u + (j & 3u)) >> (2u * (j >> 2u))) & 3u;
    scales[s] = half(block) * (f32(low | (high << 4u)) - 32.0);
  }
  let shift = 2u * (part & 3u);`,
    word: (v) => `((${eight(v)} >> shift) & 0x03030303u) | (((rest[at + ${v}u] >> part) & 0x01010101u) << 2u)`,
    scales: 'scales.xxyy * vec4f(1.0, -4.0, 1.0, -4.0)',
  },
  Q4_K: {
    before: `${loadEight('block * 8u + 2u * (part >> 1u)')}
  let dm = unpack2x16float(rest[at]) * sixBitScales(at, part) * vec2f(1.0, -1.0);
  let shift = 4u * (part & 1u);`,
    word: (v) => `(${eight(v)} >> shift) & 0x0f0f0f0fu`,
    scales: 'dm.xyxy',
    isOne: true,
  },
  Q5_K: {
    before: `${loadEight('block * 8u + 2u * (part >> 1u)')}
  let dm = unpack2x16float(rest[at]) * sixBitScales(at, part) * vec2f(1.0, -1.0);
  let shift = 4u * (part & 1u);`,
    word: (v) => `((${eight(v)} >> shift) & 0x0f0f0f0fu) | (((rest[at + ${4 + v}u] >> part) & 0x01010101u) << 4u)`,
    scales: 'dm.xyxy',
    isOne: true,
  },
  Q6_K: {
    before: `${loadEight('block * 8u + 4u * (part >> 2u) + 2u * (part & 1u)')}
  let scales = half(block) * vec2f(signedByte(restByte(at + 16u, 2u * part)), signedByte(restByte(at + 16u, 2u * part + 1u)));
  let shift = 4u * ((part >> 1u) & 1u);
  let high = at + 8u * (part >> 2u);
  let highShift = 2u * (part & 3u);`,
    word: (v) => `((${eight(v)} >> shift) & 0x0f0f0f0fu) | (((rest[high + ${v}u] >> highShift) & 0x03030303u) << 4u)`,
    scales: 'scales.xxyy * vec4f(1.0, -32.0, 1.0, -32.0)',
  },
} as const satisfies Record<BlockType, Integers>;

/** Whether matrices that are stored so are integers with scales. */
export const hasIntegers = (type: StoredType): type is BlockType => isBlockType(type as BlockType);

/** Rows of x, in units of 32 numbers from number `start` on: eight words of packed integers, and dx, dx·Σp of either half. */
export const roundRows = elementwise({
  name: 'round rows to 8 bits',
  parameters: { start: 'u32' },
  inputs: { x_NI: 'vec4f' },
  outputs: { quants_NI: 'vec4u', scales_N: 'vec4f' },
  requires: REQUIRES,
  body: `
  var most = 0.0;
  let first = start / 4u + i * 8u;
  for (var v = 0u; v < 8u; v++) {
    let four = abs(x_NI[first + v]);
    most = max(most, max(max(four.x, four.y), max(four.z, four.w)));
  }
  let inverse = select(127.0 / most, 0.0, most == 0.0);
  var sums: vec2i;
  for (var h = 0u; h < 2u; h++) {
    var words: vec4u;
    for (var v = 0u; v < 4u; v++) {
      let four = vec4i(round(x_NI[first + h * 4u + v] * inverse));
      sums[h] += four.x + four.y + four.z + four.w;
      words[v] = pack4xI8(four);
    }
    quants_NI[i * 2u + h] = words;
  }
  let d = most / 127.0;
  scales_N[i] = vec4f(d, d * vec2f(sums), 0.0);`,
});

/** Outputs that an invocation computes in the direction of c. */
const ACROSS = 4;

export interface IntegerChoice {
  readonly type: BlockType;
  readonly tile: 32 | 64;
}

/** The product of M rounded rows and C rows of W, put into rows of `stride` numbers from column yStart and number yOffset on. */
export const integerProduct = ({ type, tile }: IntegerChoice) => products(`${type} ${tile}`);

const products = perChoice((choice: `${BlockType} ${32 | 64}`) => {
  const [type, size] = choice.split(' ') as [BlockType, '32' | '64'];
  const T = Number(size);
  const down = Array.from({ length: T / 8 }, (_, i) => i);
  const across = [0, 1, 2, 3];
  const { before, word, scales, isOne = false }: Integers = integers[type];
  const row = (i: number) => `y + ${i * 8}u`;
  const column = (j: number) => `x + ${(j * T) / ACROSS}u`;
  const fourDots = (i: number) => `vec4i(${across.map((j) => `dots(a${i}, b${j})`).join(', ')})`;
  const ofColumns = (field: string) => `vec4f(${across.map((j) => `w${j}.${field}`).join(', ')})`;
  const scaled = (integers: string, i: number, sum: string, d: string, m: string) =>
    `sum${i} += vec4f(${integers}) * (x${i}.x * ${ofColumns(d)}) + ${sum} * ${ofColumns(m)};`;
  const half = (h: number) => `
${down.map((i) => `    ${h === 0 ? 'var ' : ''}a${i} = aTile[(${row(i)}) * 2u + ${h}u];`).join('\n')}
${across.map((j) => `    ${h === 0 ? 'var ' : ''}b${j} = bTile[(${column(j)}) * 2u + ${h}u];`).join('\n')}
${down
  .map((i) => {
    if (!isOne) return `    ${scaled(fourDots(i), i, `x${i}.${'yz'[h]}`, 'xz'[h]!, 'yw'[h]!)}`;
    return `    ${h === 0 ? `var dots${i} =` : `dots${i} +=`} ${fourDots(i)};`;
  })
  .join('\n')}`;
  return kernel({
    name: `product of integers, ${choice}`,
    workgroup: 2 * T,
    parameters: {
      M: 'u32',
      C: 'u32',
      I: 'u32',
      stride: 'u32',
      yStart: 'u32',
      yOffset: 'u32',
      tilesM: 'u32',
      hasBias: 'u32',
    },
    inputs: { a: 'vec4u', aScales: 'vec4f', ...matrixInputs(type), bias: 'f32' },
    outputs: { y_MC: 'f32' },
    requires: REQUIRES,
    declarations: `
fn signedByte(byte: u32) -> f32 { return f32(bitcast<i32>(byte << 24u) >> 24u); }
fn dots(a: vec4u, b: vec4u) -> i32 {
  return dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) + dot4I8Packed(a.z, b.z) + dot4I8Packed(a.w, b.w);
}
${blockFunctions(type)}
struct Unit { words: array<vec4u, 2>, scales: vec4f }
fn integers(row: u32, unit: u32) -> Unit {
${blockFacts(type)}
${before}
  var found: Unit;
${unrolled(8, (v) => `  found.words[${v >> 2}][${v & 3}] = ${word(v)};`)}
  found.scales = ${scales};
  return found;
}
var<workgroup> aTile: array<vec4u, ${2 * T}>;
var<workgroup> bTile: array<vec4u, ${2 * T}>;
var<workgroup> aScale: array<vec4f, ${T}>;
var<workgroup> bScale: array<vec4f, ${T}>;`,
    body: `
  let tileM = group % tilesM;
  let tileC = group / tilesM;
  let x = lane % ${T / ACROSS}u;
  let y = lane / ${T / ACROSS}u;
  let units = I / 32u;
${down.map((i) => `  var sum${i} = vec4f();`).join('\n')}
  for (var unit = 0u; unit < units; unit++) {
    let row = lane % ${T}u;
    if (lane < ${T}u) {
      let c = tileC * ${T}u + row;
      var found: Unit;
      if (c < C) { found = integers(c, unit); }
      bTile[row * 2u] = found.words[0];
      bTile[row * 2u + 1u] = found.words[1];
      bScale[row] = found.scales;
    } else {
      let m = tileM * ${T}u + row;
      let at = select(0u, m * units + unit, m < M);
      aTile[row * 2u] = a[at * 2u];
      aTile[row * 2u + 1u] = a[at * 2u + 1u];
      aScale[row] = aScales[at];
    }
    workgroupBarrier();
${down.map((i) => `    let x${i} = aScale[${row(i)}];`).join('\n')}
${across.map((j) => `    let w${j} = bScale[${column(j)}];`).join('\n')}
${half(0)}
${half(1)}
${isOne ? down.map((i) => `    ${scaled(`dots${i}`, i, `(x${i}.y + x${i}.z)`, 'x', 'y')}`).join('\n') : ''}
    workgroupBarrier();
  }
  // A loop, as a text that is written out takes drivers long to compile; it runs once.
  var sums = array<vec4f, ${down.length}>(${down.map((i) => `sum${i}`).join(', ')});
  for (var i = 0u; i < ${down.length}u; i++) {
    let m = tileM * ${T}u + y + i * 8u;
    if (m >= M) { continue; }
    for (var j = 0u; j < ${ACROSS}u; j++) {
      let c = tileC * ${T}u + x + j * ${T / ACROSS}u;
      if (c >= C) { continue; }
      var value = sums[i][j];
      if (hasBias != 0u) { value += bias[yStart + c]; }
      y_MC[yOffset + m * stride + yStart + c] = value;
    }
  }`,
  });
});
