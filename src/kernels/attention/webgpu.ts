/**
 * Causal attention of few rows in one pass over the keys and values, with an online softmax. What it computes: reference.ts. Many rows of one
 * sequence: tiles.webgpu.ts.
 *
 * A workgroup takes one query row and the query heads of one key/value head (R of them at a time), tile by tile of 32 keys, which is a
 * block of the cache: scores, then their share of the softmax, then the values. Its invocations hold four columns of the result each,
 * and several of them share the keys of a tile. Where few rows have many keys, the keys are split among workgroups, and joinSplits
 * joins what they leave.
 *
 * Layout   The cache of a layer is [block][key/value head][position in the block][E], rows of E padded to fours (q4_0: to eights, a word
 *          each); q8_0 and q4_0 have the scales of groups of 32 behind it, each rounded to f16. What belongs to a row of the batch is in a table of four words a row:
 *          the position, the first row of its span, where its list of blocks begins, the row behind the span's last.
 * Numbers  f32. A masked score is LOWEST, not an infinity. What a query does not see never meets its numbers.
 * Source   Milakov & Gimelshein 2018, arXiv:1805.02867 (online softmax); Dao 2023, arXiv:2307.08691 (tiles; splits of the keys).
 */
import { softcapFunction } from '../activation/webgpu.ts';
import { KV_BLOCK_TOKENS, type KvType } from '../ops.ts';
import { type ElementType, elementwise, kernel, LOWEST, perChoice, unrolled } from '../wgsl.ts';

/** Words of a row in the batch's table. */
export const ROW_WORDS = 4;
export const rowTable = { position: 0, firstRow: 1, blocksAt: 2, endRow: 3 } as const;

/** Where keys and values lie: in a cache of this type, or as rows of this call ('loose': of a length that does not fill vec4s). */
export type KeyPlace = KvType | 'rows' | 'loose rows';

export const scaleGroups = (E: number): number => Math.ceil(E / 32);
const TILE = KV_BLOCK_TOKENS;

/** Query heads that a workgroup takes at once, of `group` that share a key head. */
export function headsAtOnce(group: number, E: number): number {
  const most = E > 128 ? 4 : 8;
  return group >= most ? most : 2 ** Math.ceil(Math.log2(group));
}

interface Sides {
  readonly inputs: { readonly keys: ElementType; readonly values: ElementType };
  /** key4(row, v), value4(row, v), rowOf(position): four neighbouring numbers. */
  readonly functions: string;
}

/** How a kernel reads four numbers of a row of E in an array that may not fill vec4s. */
export function fourOf(name: string, array: string, E: number): string {
  if (E % 4 === 0) return `fn ${name}(row: u32, v: u32) -> vec4f { return ${array}[row * ${E / 4}u + v]; }`;
  return `fn ${name}(row: u32, v: u32) -> vec4f {
  var x = vec4f();
  for (var c = 0u; c < 4u; c++) { if (v * 4u + c < ${E}u) { x[c] = ${array}[row * ${E}u + v * 4u + c]; } }
  return x;
}`;
}
export const rowType = (E: number): ElementType => (E % 4 === 0 ? 'vec4f' : 'f32');

export function sidesOf(place: KeyPlace, E: number): Sides {
  const fours = Math.ceil(E / 4);
  if (place === 'rows' || place === 'loose rows') {
    return {
      inputs: { keys: rowType(E), values: rowType(E) },
      functions: `
${fourOf('key4', 'keys', E)}
${fourOf('value4', 'values', E)}
fn rowOf(position: u32, head: u32, firstRow: u32, blocksAt: u32) -> u32 { return (firstRow + position) * parameters.K + head; }`,
    };
  }
  const at = `row * ${fours}u + v`;
  const reads = {
    f32: (side: string) => `return ${side}[${at}];`,
    f16: (side: string) => `let q = ${side}[${at}]; return vec4f(unpack2x16float(q.x), unpack2x16float(q.y));`,
    q8_0: (side: string) => `let q = vec4i(bitcast<i32>(${side}[${at}]));
  let scale = bitcast<f32>(${side}[parameters.scalesAt + row * ${scaleGroups(E)}u + v / 8u]);
  return scale * vec4f((q << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u));`,
    q4_0: (side: string) => `let q = vec4u(${side}[row * ${Math.ceil(E / 8)}u + v / 2u] >> (16u * (v % 2u)));
  let scale = bitcast<f32>(${side}[parameters.scalesAt + row * ${scaleGroups(E)}u + v / 8u]);
  return scale * (vec4f((q >> vec4u(0u, 4u, 8u, 12u)) & vec4u(15u)) - 8.0);`,
  }[place];
  const { type } = kvElements[place];
  return {
    inputs: { keys: type, values: type },
    functions: `
fn key4(row: u32, v: u32) -> vec4f { ${reads('keys')} }
fn value4(row: u32, v: u32) -> vec4f { ${reads('values')} }
fn rowOf(position: u32, head: u32, firstRow: u32, blocksAt: u32) -> u32 {
  let block = words[blocksAt + position / ${TILE}u];
  return (block * parameters.K + head) * ${TILE}u + position % ${TILE}u;
}`,
  };
}

/** An element of a cache: neighbouring numbers, and the words that they take. */
export const kvElements = {
  f32: { type: 'vec4f', numbers: 4, words: 4 },
  f16: { type: 'vec2u', numbers: 4, words: 2 },
  q8_0: { type: 'u32', numbers: 4, words: 1 },
  q4_0: { type: 'u32', numbers: 8, words: 1 },
} as const satisfies {
  readonly [type in KvType]: { readonly type: ElementType; readonly numbers: number; readonly words: number };
};

/** Invocations: at least one for each four columns. */
const workgroupOf = (E: number) => Math.max(64, 2 ** Math.ceil(Math.log2(E / 4)));

export const bend = `${softcapFunction}
fn bend(product: f32) -> f32 {
  let score = product * parameters.scale;
  if (parameters.cap > 0.0) { return softcap(score, parameters.cap); }
  return score;
}`;

/** The place of this workgroup: its row, the position there, and the span of that row. */
const ROW = `
  let table = tableAt + n * ${ROW_WORDS}u;
  let position = words[table + ${rowTable.position}u];
  let firstRow = words[table + ${rowTable.firstRow}u];
  let blocksAt = tableAt + words[table + ${rowTable.blocksAt}u];
  let firstKey = select(0u, position + 1u - min(window, position + 1u), window != 0u);`;

const shape = (key: string) => {
  const [place, heads, size] = key.split(', ') as [KeyPlace, string, string];
  return { place, R: Number(heads), E: Number(size) };
};

/** `${place}, ${heads at once}, ${head size}` */
export type AttentionKey = `${KeyPlace}, ${number}, ${number}`;

export const attention = perChoice((key: AttentionKey) => {
  const { place, R, E } = shape(key);
  const W = workgroupOf(E);
  const fours = Math.ceil(E / 4);
  const sides = sidesOf(place, E);
  return kernel({
    name: `attention, ${key}`,
    workgroup: W,
    parameters: {
      H: 'u32',
      K: 'u32',
      tableAt: 'u32',
      window: 'u32',
      scale: 'f32',
      cap: 'f32',
      hasSinks: 'u32',
      chunks: 'u32',
      splits: 'u32',
      splitKeys: 'u32',
      scalesAt: 'u32',
      startRow: 'u32',
      outRow: 'u32',
    },
    inputs: { q_NQ: rowType(E), sinks_H: 'f32', words: 'u32', ...sides.inputs },
    outputs: { mix_NQ: 'f32', sums_NH: 'f32' },
    declarations: `
${fourOf('query4', 'q_NQ', E)}
${sides.functions}
${bend}
var<workgroup> queries: array<vec4f, ${R * fours}>;
var<workgroup> shares: array<f32, ${R * TILE}>;
var<workgroup> factors: array<f32, ${R}>;
var<workgroup> largest: array<f32, ${R}>;
var<workgroup> totals: array<f32, ${R}>;
var<workgroup> parts: array<vec4f, ${W * R}>;`,
    body: `
  let split = group % splits;
  let chunk = (group / splits) % chunks;
  let head = (group / (splits * chunks)) % K;
  let n = startRow + group / (splits * chunks * K);
  let perKey = H / K;
  let firstHead = head * perKey + chunk * ${R}u;
  let headCount = min(${R}u, perKey - chunk * ${R}u);
${ROW}
  let begin = max(firstKey, split * splitKeys);
  let end = min(position + 1u, (split + 1u) * splitKeys);
  for (var i = lane; i < ${R * fours}u; i += ${W}u) {
    queries[i] = query4(n * H + firstHead + min(i / ${fours}u, headCount - 1u), i % ${fours}u);
  }
  if (lane < ${R}u) {
    let hasSink = hasSinks != 0u && split == 0u && lane < headCount;
    largest[lane] = ${LOWEST};
    totals[lane] = 0.0;
    if (hasSink) {
      largest[lane] = sinks_H[firstHead + lane];
      totals[lane] = 1.0;
    }
  }
  let column = lane % ${fours}u;
  let sharer = lane / ${fours}u;
  let sharers = ${Math.floor(W / fours)}u;
${unrolled(R, (r) => `  var sum${r} = vec4f();`)}
  for (var tile = begin / ${TILE}u * ${TILE}u; tile < end; tile += ${TILE}u) {
    workgroupBarrier();
    for (var i = lane; i < ${R * TILE}u; i += ${W}u) {
      let key = tile + i % ${TILE}u;
      var score = ${LOWEST};
      if (key >= begin && key < end) {
        let row = rowOf(key, head, firstRow, blocksAt);
        var product = 0.0;
        for (var v = 0u; v < ${fours}u; v++) { product += dot(queries[(i / ${TILE}u) * ${fours}u + v], key4(row, v)); }
        score = bend(product);
      }
      shares[i] = score;
    }
    workgroupBarrier();
    if (lane < ${R}u) {
      var top = largest[lane];
      for (var s = 0u; s < ${TILE}u; s++) { top = max(top, shares[lane * ${TILE}u + s]); }
      factors[lane] = exp(largest[lane] - top);
      largest[lane] = top;
    }
    workgroupBarrier();
    for (var i = lane; i < ${R * TILE}u; i += ${W}u) {
      let key = tile + i % ${TILE}u;
      let share = exp(shares[i] - largest[i / ${TILE}u]);
      shares[i] = select(0.0, share, key >= begin && key < end);
    }
    workgroupBarrier();
    if (lane < ${R}u) {
      var total = totals[lane] * factors[lane];
      for (var s = 0u; s < ${TILE}u; s++) { total += shares[lane * ${TILE}u + s]; }
      totals[lane] = total;
    }
    if (sharer < sharers) {
${unrolled(R, (r) => `      sum${r} *= factors[${r}];`)}
      for (var s = sharer; s < ${TILE}u; s += sharers) {
        if (tile + s >= begin && tile + s < end) {
          let value = value4(rowOf(tile + s, head, firstRow, blocksAt), column);
${unrolled(R, (r) => `          sum${r} += shares[${r * TILE}u + s] * value;`)}
        }
      }
    }
  }
  workgroupBarrier();
${unrolled(R, (r) => `  parts[${r * W}u + lane] = sum${r};`)}
  workgroupBarrier();
  for (var i = lane; i < headCount * ${fours}u; i += ${W}u) {
    let r = i / ${fours}u;
    let v = i % ${fours}u;
    var sum = vec4f();
    for (var s = 0u; s < sharers; s++) { sum += parts[r * ${W}u + s * ${fours}u + v]; }
    let h = firstHead + r;
    if (splits == 1u) { sum /= totals[r]; }
    for (var c = 0u; c < 4u; c++) {
      if (v * 4u + c < ${E}u) { mix_NQ[(((n - outRow) * splits + split) * H + h) * ${E}u + v * 4u + c] = sum[c]; }
    }
  }
  if (lane < headCount) {
    let h = firstHead + lane;
    if (splits == 1u) {
      sums_NH[n * H + h] = largest[lane] + log(totals[lane]);
    } else {
      sums_NH[(((n - outRow) * splits + split) * H + h) * 2u] = largest[lane];
      sums_NH[(((n - outRow) * splits + split) * H + h) * 2u + 1u] = totals[lane];
    }
  }`,
  });
});

/** Joins the splits of a row: each left its largest score, the sum of its shares, and the sum of its values. */
export const joinSplits = elementwise({
  name: 'attention, join',
  parameters: { H: 'u32', E: 'u32', splits: 'u32', outAt: 'u32' },
  inputs: { parts: 'f32', sums: 'f32' },
  outputs: { mix_NQ: 'f32' },
  body: `
  let e = i % E;
  let h = (i / E) % H;
  let n = i / (E * H);
  var top = ${LOWEST};
  for (var s = 0u; s < splits; s++) { top = max(top, sums[((n * splits + s) * H + h) * 2u]); }
  var total = 0.0;
  var sum = 0.0;
  for (var s = 0u; s < splits; s++) {
    let at = (n * splits + s) * H + h;
    let factor = exp(sums[at * 2u] - top);
    total += factor * sums[at * 2u + 1u];
    sum += factor * parts[at * E + e];
  }
  mix_NQ[outAt + i] = sum / total;`,
});
