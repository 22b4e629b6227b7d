/**
 * What products of rounded rows share: x comes in units of 32 numbers with a scale, W is unpacked to the integers of its blocks, and tiles of
 * one unit go through workgroup memory. How both are multiplied: int8.webgpu.ts, f16.webgpu.ts.
 *
 * Formula   w = d·q + m for the q of a unit, or of either half of one; x = dx·p. A unit adds d·dx·Σ q·p + m·dx·Σ p.
 * Numbers   f32 sums of the units, in an order that depends on the shapes alone.
 */
import { type ElementType, kernel, unrolled } from '../wgsl.ts';
import { type BlockType, blockFacts, blockFunctions, matrixInputs, type StoredType } from './stored.webgpu.ts';

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

/** `integers(row, unit)`: the words of a unit of W, and its scales; and whether both halves of a unit have the same ones. */
export function unitsOf(type: BlockType): { readonly functions: string; readonly isOne: boolean } {
  const { before, word, scales, isOne = false }: Integers = integers[type];
  const functions = `
fn signedByte(byte: u32) -> f32 { return f32(bitcast<i32>(byte << 24u) >> 24u); }
${blockFunctions(type)}
struct Unit { words: array<vec4u, 2>, scales: vec4f }
fn integers(row: u32, unit: u32) -> Unit {
${blockFacts(type)}
${before}
  var found: Unit;
${unrolled(8, (v) => `  found.words[${v >> 2}][${v & 3}] = ${word(v)};`)}
  found.scales = ${scales};
  return found;
}`;
  return { functions, isOne };
}

/**
 * Of a unit of x, i: the first units of all rows come first, then the second ones, as tiles of rows read them. `first`, its first vec4f;
 * `most`, the bits of its largest magnitude, which order as the numbers do; and whether it `isFinite`. A unit that is not has a scale
 * of NaN, so that all sums with it are NaN.
 */
export const UNIT_OF_ROWS = `
  let row = i % (count / units);
  let first = start / 4u + (row * units + i / (count / units)) * 8u;
  var most = 0u;
  for (var v = 0u; v < 8u; v++) {
    let four = bitcast<vec4u>(x_NI[first + v]) & vec4u(0x7fffffffu);
    most = max(most, max(max(four.x, four.y), max(four.z, four.w)));
  }
  let isFinite = most < 0x7f800000u;
  let nan = bitcast<f32>(most | 0x7fc00000u);`;

/** Outputs that an invocation computes in the direction of c. */
const ACROSS = 4;

/** The words of a kernel's text for one size of tiles. */
export function tileWords(T: number) {
  const down = Array.from({ length: T / 8 }, (_, i) => i);
  const across = Array.from({ length: ACROSS }, (_, j) => j);
  const ofColumns = (field: string) => `vec4f(${across.map((j) => `w${j}.${field}`).join(', ')})`;
  return {
    down,
    across,
    row: (i: number) => `(y + ${i * 8}u)`,
    column: (j: number) => `(x + ${(j * T) / ACROSS}u)`,
    /** Adds the products `dots` of row i, scaled, and the rest of the formula: `sum` is dx·Σp. */
    scaled: (dots: string, i: number, sum: string, d: string, m: string) =>
      `sum${i} += vec4f(${dots}) * (x${i}.x * ${ofColumns(d)}) + ${sum} * ${ofColumns(m)};`,
  };
}

interface UnitProduct {
  readonly name: string;
  readonly type: StoredType;
  readonly tile: 32 | 64;
  /** What the rounded rows are made of. */
  readonly a: ElementType;
  readonly requires: string;
  readonly declarations: string;
  /** Statements that put row c of W, if `c < C`, into row `row` of bTile and its d and m into bScale. */
  readonly loadB: string;
  /** Statements that put unit `at` of the rounded rows into row `row` of aTile. */
  readonly loadA: string;
  /** Statements that add to sum0…: x0… and w0… are the scales of both sides. */
  readonly unit: string;
}

/** The product of M rounded rows and C rows of W, put into rows of `stride` numbers from column yStart and number yOffset on. */
export function unitProduct({ name, type, tile: T, a, requires, declarations, loadB, loadA, unit }: UnitProduct) {
  const { down, across, row, column } = tileWords(T);
  return kernel({
    name,
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
    inputs: { a, aScales: 'vec4f', ...matrixInputs(type), bias: 'f32' },
    outputs: { y_MC: 'f32' },
    requires,
    declarations: `${declarations}
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
${loadB}
    } else {
      let m = tileM * ${T}u + row;
      let at = unit * M + min(m, M - 1u);
${loadA}
      aScale[row] = aScales[at];
    }
    workgroupBarrier();
${down.map((i) => `    let x${i} = aScale[${row(i)}];`).join('\n')}
${across.map((j) => `    let w${j} = bScale[${column(j)}];`).join('\n')}
${unit}
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
}
