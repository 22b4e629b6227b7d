/**
 * Weights of every stored type in a GPU's memory: how the blocks of a file are laid out there, and the WGSL that unpacks them.
 *
 * A kernel unpacks a *unit*, 32 neighbouring weights of a row, by `weights(row, unit)`, which returns eight vec4f. That function is the
 * only thing that a kernel knows of a type.
 *
 * Layout   Two planes, as a block of 18 or 34 bytes would cost two loads and a shift a word.
 *          quants: a block's low bits, in whole vec4<u32>, block after block, row after row.
 *          rest: what else a block has, in pairs of blocks: a word with the f16 scale of both (where the type has one such field), then
 *          the words of the first, then those of the second. So nothing grows.
 *          f16 and bf16 have only quants, their rows padded to 16 bytes; f32 lies as everywhere, row after row without padding.
 * Source   The layouts of blocks: src/quant.
 */
import { dynamicMap, type HeldNf4, nf4Levels } from '../../quant/nf4.ts';
import { type DType, dtypes } from '../../tensor/dtype.ts';
import { type ElementType, unrolled } from '../wgsl.ts';

/** A run of bytes in a file's block. */
type Field = readonly [at: number, bytes: number];

interface BlockLayout {
  readonly quants: Field;
  /** Where the one f16 is that packs with its neighbour's; null: the type has none by itself. */
  readonly half: number | null;
  readonly words: readonly Field[];
  /** Statements that set w[0] … w[7]: block and part (the unit's number in its block) are known. */
  readonly unpack: string;
}

/** Pieces of words as four numbers. */
const UNPACKERS = `
fn signedBytes(word: u32) -> vec4f { return vec4f((vec4i(bitcast<i32>(word)) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u)); }
fn bytes(word: u32) -> vec4u { return (vec4u(word) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u); }
fn bits(word: u32, shift: u32, mask: u32) -> vec4u { return (vec4u(word) >> (vec4u(0u, 8u, 16u, 24u) + shift)) & vec4u(mask); }
fn fifth(high: u32, at: u32) -> vec4u { return ((vec4u(high) >> (vec4u(0u, 1u, 2u, 3u) + at)) & vec4u(1u)) << vec4u(4u); }
fn signedByte(byte: u32) -> f32 { return f32(bitcast<i32>(byte << 24u) >> 24u); }`;
const REST_BYTE = `
fn restByte(at: u32, i: u32) -> u32 { return (rest[at + (i >> 2u)] >> (8u * (i & 3u))) & 255u; }`;

/** Low nibbles are the first 16 weights of a block, high ones the others. */
const nibbleHalves = (weight: (bits: string, word: number, i: number) => string) => `
  let q = quants[block];
${unrolled(4, (i) => `  w[${i}] = ${weight(`bits(q[${i}], 0u, 15u)`, i, 4 * i)};`)}
${unrolled(4, (i) => `  w[${i + 4}] = ${weight(`bits(q[${i}], 4u, 15u)`, i, 4 * i + 16)};`)}`;

/** The words of 32 neighbouring bytes of the quants: word `v`. */
const eight = (v: number) => `q${v >> 2}[${v & 3}]`;
const loadEight = (at: string) => `
  let q0 = quants[${at}];
  let q1 = quants[${at} + 1u];`;

/** The scale and the minimum of a part of Q4_K and Q5_K; their twelve bytes start a word behind `at`. */
const SIX_BIT_SCALES = `
fn sixBitScales(at: u32, part: u32) -> vec2f {
  let j = part & 3u;
  let first = restByte(at + 1u, j);
  let second = restByte(at + 1u, j + 4u);
  if (part < 4u) { return vec2f(vec2u(first & 63u, second & 63u)); }
  let third = restByte(at + 1u, j + 8u);
  return vec2f(vec2u((third & 15u) | ((first >> 6u) << 4u), (third >> 4u) | ((second >> 6u) << 4u)));
}`;

const blockLayouts = {
  Q8_0: {
    quants: [2, 32],
    half: 0,
    words: [],
    unpack: `${loadEight('block * 2u')}
  let d = half(block);
${unrolled(8, (v) => `  w[${v}] = d * signedBytes(${eight(v)});`)}`,
  },
  Q4_0: {
    quants: [2, 16],
    half: 0,
    words: [],
    unpack: `  let d = half(block);${nibbleHalves((bits) => `d * (vec4f(${bits}) - 8.0)`)}`,
  },
  Q4_1: {
    quants: [4, 16],
    half: null,
    words: [[0, 4]],
    unpack: `  let dm = unpack2x16float(rest[at]);${nibbleHalves((bits) => `dm.x * vec4f(${bits}) + dm.y`)}`,
  },
  Q5_0: {
    quants: [6, 16],
    half: 0,
    words: [[2, 4]],
    unpack: `  let d = half(block);
  let high = rest[at];${nibbleHalves((bits, _, i) => `d * (vec4f(${bits} | fifth(high, ${i}u)) - 16.0)`)}`,
  },
  Q5_1: {
    quants: [8, 16],
    half: null,
    words: [[0, 8]],
    unpack: `  let dm = unpack2x16float(rest[at]);
  let high = rest[at + 1u];${nibbleHalves((bits, _, i) => `dm.x * vec4f(${bits} | fifth(high, ${i}u)) + dm.y`)}`,
  },
  Q2_K: {
    quants: [16, 64],
    half: null,
    words: [
      [0, 16],
      [80, 4],
    ],
    unpack: `${loadEight('block * 4u + 2u * (part >> 2u)')}
  let dm = unpack2x16float(rest[at + 4u]);
  let scale0 = restByte(at, 2u * part);
  let scale1 = restByte(at, 2u * part + 1u);
  let d = dm.x * vec2f(vec2u(scale0 & 15u, scale1 & 15u));
  let m = dm.y * vec2f(vec2u(scale0 >> 4u, scale1 >> 4u));
  let shift = 2u * (part & 3u);
${unrolled(8, (v) => `  w[${v}] = d[${v >> 2}] * vec4f(bits(${eight(v)}, shift, 3u)) - m[${v >> 2}];`)}`,
  },
  Q3_K: {
    quants: [32, 64],
    half: 108,
    words: [
      [0, 32],
      [96, 12],
    ],
    unpack: `${loadEight('block * 4u + 2u * (part >> 2u)')}
  let d = half(block);
  var scales: vec2f;
  for (var s = 0u; s < 2u; s++) {
    let j = 2u * part + s;
    let low = (restByte(at + 8u, j & 7u) >> (4u * (j >> 3u))) & 15u;
    let high = (restByte(at + 8u, 8u + (j & 3u)) >> (2u * (j >> 2u))) & 3u;
    scales[s] = d * (f32(low | (high << 4u)) - 32.0);
  }
  let shift = 2u * (part & 3u);
${unrolled(
  8,
  (v) =>
    `  w[${v}] = scales[${v >> 2}] * (vec4f(bits(${eight(v)}, shift, 3u) | (bits(rest[at + ${v}u], part, 1u) << vec4u(2u))) - 4.0);`,
)}`,
  },
  Q4_K: {
    quants: [16, 128],
    half: null,
    words: [[0, 16]],
    unpack: `${loadEight('block * 8u + 2u * (part >> 1u)')}
  let dm = unpack2x16float(rest[at]) * sixBitScales(at, part);
  let shift = 4u * (part & 1u);
${unrolled(8, (v) => `  w[${v}] = dm.x * vec4f(bits(${eight(v)}, shift, 15u)) - dm.y;`)}`,
  },
  Q5_K: {
    quants: [48, 128],
    half: null,
    words: [[0, 48]],
    unpack: `${loadEight('block * 8u + 2u * (part >> 1u)')}
  let dm = unpack2x16float(rest[at]) * sixBitScales(at, part);
  let shift = 4u * (part & 1u);
${unrolled(
  8,
  (v) =>
    `  w[${v}] = dm.x * vec4f(bits(${eight(v)}, shift, 15u) | (bits(rest[at + ${4 + v}u], part, 1u) << vec4u(4u))) - dm.y;`,
)}`,
  },
  Q6_K: {
    quants: [0, 128],
    half: 208,
    words: [
      [128, 64],
      [192, 16],
    ],
    unpack: `${loadEight('block * 8u + 4u * (part >> 2u) + 2u * (part & 1u)')}
  let d = half(block);
  let scales = d * vec2f(signedByte(restByte(at + 16u, 2u * part)), signedByte(restByte(at + 16u, 2u * part + 1u)));
  let shift = 4u * ((part >> 1u) & 1u);
  let high = at + 8u * (part >> 2u);
  let highShift = 2u * (part & 3u);
${unrolled(
  8,
  (v) =>
    `  w[${v}] = scales[${v >> 2}] * (vec4f(bits(${eight(v)}, shift, 15u) | (bits(rest[high + ${v}u], highShift, 3u) << vec4u(4u))) - 32.0);`,
)}`,
  },
} as const satisfies Partial<Record<DType, BlockLayout>>;

export type BlockType = keyof typeof blockLayouts;
/** What a kernel can unpack. `loose`: f32 rows of a length that does not fill vec4s. `nf4`: the base of QLoRA, doubly quantized. */
export type StoredType = BlockType | 'f32' | 'f16' | 'bf16' | 'loose' | 'nf4';

export function isBlockType(dtype: DType): dtype is BlockType {
  return dtype in blockLayouts;
}

/** How a matrix of this type lies in memory; a type of blocks without a layout here is decoded to f32 when it is placed. */
export function storedType(dtype: DType, columns: number): StoredType {
  if (isBlockType(dtype) || dtype === 'f16' || dtype === 'bf16') return dtype;
  return columns % 4 === 0 ? 'f32' : 'loose';
}

export const hasRest = (type: StoredType): boolean => type in blockLayouts;

function layoutOf(type: BlockType) {
  const { quants, half, words, unpack }: BlockLayout = blockLayouts[type];
  const wordCount = words.reduce((sum, [, bytes]) => sum + bytes / 4, 0);
  const halfWords = half === null ? 0 : 1;
  return { quants, half, words, unpack, wordCount, halfWords, pairWords: halfWords + 2 * wordCount };
}

/** Words of the two planes of so many rows. */
export function planeWords(
  type: StoredType,
  rows: number,
  columns: number,
): { readonly quants: number; readonly rest: number } {
  if (type in blockLayouts) {
    const { quants, pairWords } = layoutOf(type as BlockType);
    const blocks = rows * (columns / dtypes[type as BlockType].blockWeights);
    return { quants: blocks * (quants[1] / 4), rest: Math.ceil(blocks / 2) * pairWords };
  }
  if (type === 'f16' || type === 'bf16') return { quants: rows * Math.ceil(columns / 8) * 4, rest: 0 };
  return { quants: rows * columns, rest: 0 };
}

/**
 * Lays rows out as they come from a file, `rows` from the first row of the planes on. Both are whole rows; the number of blocks before
 * them is even.
 */
export function layOut(
  type: BlockType | 'f16' | 'bf16',
  file: Uint16Array,
  rows: number,
  columns: number,
  quants: Uint16Array,
  rest: Uint16Array,
): void {
  if (type === 'f16' || type === 'bf16') {
    const stride = Math.ceil(columns / 8) * 8;
    for (let row = 0; row < rows; row++) quants.set(file.subarray(row * columns, (row + 1) * columns), row * stride);
    return;
  }
  const { quants: field, half, words, wordCount, halfWords, pairWords } = layoutOf(type);
  const { blockBytes, blockWeights } = dtypes[type];
  const blocks = rows * (columns / blockWeights);
  const stride = blockBytes / 2;
  const [quantsAt, quantCount] = [field[0] / 2, field[1] / 2];
  for (let block = 0; block < blocks; block++) {
    const at = block * stride;
    for (let i = 0; i < quantCount; i++) quants[block * quantCount + i] = file[at + quantsAt + i]!;
    const pair = (block >>> 1) * pairWords * 2;
    if (half !== null) rest[pair + (block & 1)] = file[at + half / 2]!;
    let to = pair + 2 * (halfWords + (block & 1) * wordCount);
    for (const [from, bytes] of words) for (let i = 0; i < bytes / 2; i++) rest[to++] = file[at + from / 2 + i]!;
  }
}

/** The rest of an NF4 matrix: facts, the map of scale codes, the codes by four, and the f32 sizes of the scales' blocks. */
const nf4Head = { offset: 0, blockSize: 1, scaleBlock: 2, absmaxAt: 3, map: 4, codes: 4 + 256 } as const;

/** The planes of an NF4 matrix, whose blocks run on over the ends of rows. */
export function layOutNf4({ packed, blockSize, scales }: HeldNf4): {
  readonly quants: Uint8Array<ArrayBuffer>;
  readonly rest: Uint32Array<ArrayBuffer>;
} {
  const quants = new Uint8Array(Math.ceil(packed.length / 4) * 4);
  quants.set(packed);
  const absmaxAt = nf4Head.codes + Math.ceil(scales.codes.length / 4);
  const rest = new Uint32Array(absmaxAt + scales.absmax.length);
  const floats = new Float32Array(rest.buffer);
  floats[nf4Head.offset] = scales.offset;
  rest[nf4Head.blockSize] = blockSize;
  rest[nf4Head.scaleBlock] = scales.blockSize;
  rest[nf4Head.absmaxAt] = absmaxAt;
  floats.set(dynamicMap, nf4Head.map);
  new Uint8Array(rest.buffer).set(scales.codes, nf4Head.codes * 4);
  floats.set(scales.absmax, absmaxAt);
  return { quants, rest };
}

/** The buffers of a matrix in a kernel; types without a rest have any buffer in its place. */
export function matrixInputs(type: StoredType): { readonly quants: ElementType; readonly rest: ElementType } {
  const quants = { f32: 'vec4f', loose: 'f32', nf4: 'u32' } as const;
  return { quants: type in quants ? quants[type as keyof typeof quants] : 'vec4u', rest: 'u32' };
}

/**
 * The function `weights(row, unit)` of a type; the kernel has the parameter I, the number of columns. What lies behind a row's end is 0.
 */
export function weightsFunction(type: StoredType): string {
  return `${UNPACKERS}${functionsOf(type)}`;
}

/** `weightsOfSecond(row, unit)`, beside the first: of another matrix with as many columns, in quantsOfSecond and restOfSecond. */
export function secondWeightsFunction(type: StoredType): string {
  return functionsOf(type).replace(/\b(weights|quants|rest|restByte|half|sixBitScales|nf4Levels)\b/g, '$1OfSecond');
}

function functionsOf(type: StoredType): string {
  const open = 'fn weights(row: u32, unit: u32) -> array<vec4f, 8> {\n  var w: array<vec4f, 8>;';
  const close = '\n  return w;\n}';
  if (type === 'loose') {
    return `${open}
  for (var v = 0u; v < 8u; v++) {
    for (var c = 0u; c < 4u; c++) {
      let i = unit * 32u + v * 4u + c;
      if (i < parameters.I) { w[v][c] = quants[row * parameters.I + i]; }
    }
  }${close}`;
  }
  if (type === 'f32') {
    return `${open}
  let stride = parameters.I / 4u;
  for (var v = 0u; v < 8u; v++) {
    if (unit * 8u + v < stride) { w[v] = quants[row * stride + unit * 8u + v]; }
  }${close}`;
  }
  if (type === 'nf4') {
    return `
const nf4Levels = array<f32, 16>(${Array.from(nf4Levels, (level) => `${level}`).join(', ')});
${open}
  for (var i = 0u; i < 32u; i++) {
    let column = unit * 32u + i;
    if (column < parameters.I) {
      let at = row * parameters.I + column;
      let code = (quants[at >> 3u] >> (8u * ((at >> 1u) & 3u) + 4u * (1u - (at & 1u)))) & 15u;
      let block = at / rest[${nf4Head.blockSize}];
      let scaleCode = (rest[${nf4Head.codes}u + (block >> 2u)] >> (8u * (block & 3u))) & 255u;
      let scale = bitcast<f32>(rest[rest[${nf4Head.absmaxAt}] + block / rest[${nf4Head.scaleBlock}]]);
      let size = bitcast<f32>(rest[${nf4Head.map}u + scaleCode]) * scale + bitcast<f32>(rest[${nf4Head.offset}]);
      w[i >> 2u][i & 3u] = nf4Levels[code] * size;
    }
  }${close}`;
  }
  if (type === 'f16' || type === 'bf16') {
    const two = (word: string) =>
      type === 'f16' ? `unpack2x16float(${word})` : `bitcast<vec2f>(vec2u(${word} << 16u, ${word} & 0xffff0000u))`;
    // What pads a row is 0 in the file's place, so that only whole vectors are left out.
    return `${open}
  let stride = (parameters.I + 7u) / 8u;
  for (var v = 0u; v < 4u; v++) {
    if (unit * 4u + v < stride) {
      let q = quants[row * stride + unit * 4u + v];
      w[2u * v] = vec4f(${two('q.x')}, ${two('q.y')});
      w[2u * v + 1u] = vec4f(${two('q.z')}, ${two('q.w')});
    }
  }${close}`;
  }
  return `${blockFunctions(type)}
${open}
${blockFacts(type)}
${layoutOf(type).unpack}${close}`;
}

/** What the statements of blockFacts call. */
export function blockFunctions(type: BlockType): string {
  return `${REST_BYTE}${SIX_BIT_SCALES}
fn half(block: u32) -> f32 { return unpack2x16float(rest[(block >> 1u) * ${layoutOf(type).pairWords}u])[block & 1u]; }`;
}

/** Of a `row` and a `unit`: the number of its `block`, which `part` of it the unit is, and where its words begin in the rest. */
export function blockFacts(type: BlockType): string {
  const { pairWords, halfWords, wordCount } = layoutOf(type);
  const parts = dtypes[type].blockWeights / 32;
  return `  let block = row * (parameters.I / ${32 * parts}u) + unit / ${parts}u;
  let part = unit % ${parts}u;
  let at = (block >> 1u) * ${pairWords}u + ${halfWords}u + (block & 1u) * ${wordCount}u;`;
}
