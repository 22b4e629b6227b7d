/**
 * Attention of many rows of one sequence: a workgroup takes 32 of its rows and one query head, so that keys and values are read once for all
 * of them, 32 at a time, which is a block of the cache. What it computes: reference.ts. Few rows: webgpu.ts.
 *
 * Layout   Both sides of a product go through workgroup memory a part of their columns at a time, so that heads of any size fit into
 *          the 16 KB that every adapter has. A list of two words a tile says its first row and how many it has.
 * Numbers  f32, an online softmax. What a query does not see never meets its numbers: keys of a tile that some of its rows do not see have
 *          a share of 0 there, and are left out.
 * Source   Dao 2023, arXiv:2307.08691.
 */
import { dropoutFunctions, dropoutParameters } from '../dropout/webgpu.ts';
import { type ElementType, kernel, LOWEST, perChoice, unrolled } from '../wgsl.ts';
import { bend, fourOf, type KeyPlace, ROW_WORDS, rowTable, rowType, sidesOf } from './webgpu.ts';

/** Rows of a tile, and keys that it meets at once. */
export const TILE_ROWS = 32;
export const TILE_WORDS = 2;
export const TILE_WORKGROUP = 128;
/** Fours of columns that go through workgroup memory at once while rows are multiplied with rows. */
const PART = 8;
/** Fours of a row of `shares`: of 32 numbers, and one that keeps rows out of each other's banks. */
export const STRIDE = TILE_ROWS / 4 + 1;

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

/**
 * Which parts of a row of E an invocation sums up: `fours` columns by four at a time for `down` rows, `times` over. A row that is longer has
 * several `workgroups`: its sums would not fit into registers.
 */
export function sumsOf(E: number) {
  const all = Math.ceil(E / 4);
  const fours = all <= 8 ? 8 : 16;
  const down = (TILE_ROWS * fours) / TILE_WORKGROUP;
  const times = Math.min(2, Math.ceil(all / fours));
  return { fours, down, rowsBetween: TILE_ROWS / down, times, workgroups: Math.ceil(all / (fours * times)) };
}

/** Workgroups that share the columns of a tile of rows of E. */
export const workgroupsOfTile = (E: number): number => sumsOf(E).workgroups;

/** Workgroup memory of the functions below. */
export const TILE_MEMORY = `
var<workgroup> tile: array<vec4f, 512>;
var<workgroup> shares: array<vec4f, ${TILE_ROWS * STRIDE}>;`;

/**
 * The number of this workgroup's tile and head, and the fours of columns before those that it sums up. What an invocation is in a product of
 * rows: rows y and y + 16 with the columns 4x to 4x + 3; in sums: column four `column` of rows from `first` on.
 */
export const tilePlaces = (E: number) => {
  const { fours, times, workgroups } = sumsOf(E);
  return `
  let tileAndHead = group / ${workgroups}u;
  let shift = group % ${workgroups}u * ${fours * times}u;
  let x = lane % 8u;
  let y = lane / 8u;
  let column = lane % ${fours}u;
  let first = lane / ${fours}u;`;
};

/** Vectors `name`0 and `name`1 of the products of 32 rows with 32 others; `a` and `b`: four columns v of row r, 0 where there are none. */
export function rowProducts(name: string, E: number, a: string, b: string): string {
  return `
  var ${name}0 = vec4f();
  var ${name}1 = vec4f();
  for (var part = 0u; part < ${Math.ceil(E / 4 / PART)}u; part++) {
    workgroupBarrier();
    for (var i = lane; i < ${TILE_ROWS * PART}u; i += ${TILE_WORKGROUP}u) {
      let r = i / ${PART}u;
      let v = part * ${PART}u + i % ${PART}u;
      // The columns are turned, so that neighbouring invocations meet in different banks.
      tile[r * ${PART}u + ((i % ${PART}u) ^ (r & 7u))] = ${a};
      tile[256u + r * ${PART}u + ((i % ${PART}u) ^ ((r >> 2u) & 7u))] = ${b};
    }
    workgroupBarrier();
    for (var v = 0u; v < ${PART}u; v++) {
      let a0 = tile[y * ${PART}u + (v ^ (y & 7u))];
      let a1 = tile[(y + 16u) * ${PART}u + (v ^ (y & 7u))];
${unrolled(4, (j) => `      let b${j} = tile[256u + (4u * x + ${j}u) * ${PART}u + (v ^ x)];`)}
      ${name}0 += vec4f(dot(a0, b0), dot(a0, b1), dot(a0, b2), dot(a0, b3));
      ${name}1 += vec4f(dot(a1, b0), dot(a1, b1), dot(a1, b2), dot(a1, b3));
    }
  }`;
}

/** Puts two vectors of numbers of rows y and y + 16 among the shares. */
export const putShares = (name: string) => `
  shares[y * ${STRIDE}u + x] = ${name}0;
  shares[(y + 16u) * ${STRIDE}u + x] = ${name}1;`;

/** Variables of sums that begin with 0. */
export function startSums(name: string, E: number): string {
  const { times, down } = sumsOf(E);
  return numbers(times)
    .flatMap((t) => numbers(down).map((i) => `  var ${name}${t}_${i} = vec4f();`))
    .join('\n');
}

/**
 * Adds Σ_k share_rk · row_k to the sums; `four`: four columns v of row r. Where `isEdge` is true, what has a share of 0 is left out, whatever
 * it is; absent: it never is.
 */
export function addToSums(name: string, E: number, four: string, isEdge?: string): string {
  const { fours, down, rowsBetween, times } = sumsOf(E);
  const row = (i: number) => `shares[(first + ${i * rowsBetween}u) * ${STRIDE}u + k`;
  const plain = (t: number) => `
    for (var k = 0u; k < ${TILE_ROWS / 4}u; k++) {
${unrolled(4, (j) => `      let b${j} = tile[(4u * k + ${j}u) * ${fours}u + column];`)}
${unrolled(
  down,
  (i) => `      let p${i} = ${row(i)}];
      ${name}${t}_${i} += p${i}.x * b0 + p${i}.y * b1 + p${i}.z * b2 + p${i}.w * b3;`,
)}
    }`;
  const guarded = (t: number) => `
    for (var key = 0u; key < ${TILE_ROWS}u; key++) {
      let k = key / 4u;
      let b = tile[key * ${fours}u + column];
${unrolled(
  down,
  (i) => `      let p${i} = ${row(i)}][key % 4u];
      ${name}${t}_${i} += select(vec4f(), p${i} * b, p${i} != 0.0);`,
)}
    }`;
  return unrolled(
    times,
    (t) => `
    workgroupBarrier();
    for (var i = lane; i < ${TILE_ROWS * fours}u; i += ${TILE_WORKGROUP}u) {
      let r = i / ${fours}u;
      let v = shift + ${t * fours}u + i % ${fours}u;
      tile[i] = ${four};
    }
    workgroupBarrier();
${isEdge ? `    if (${isEdge}) {${guarded(t)}\n    } else {${plain(t)}\n    }` : plain(t)}`,
  );
}

/** Runs `put(row, v, value)` for each of the sums whose row of the tile is below `rows`; v: which four columns. */
export function eachSum(
  name: string,
  E: number,
  rows: string,
  put: (row: string, v: string, value: string) => string,
): string {
  const { fours, down, rowsBetween, times } = sumsOf(E);
  return numbers(times)
    .flatMap((t) =>
      numbers(down).map(
        (i) => `  if (first + ${i * rowsBetween}u < ${rows} && shift + ${t * fours}u + column < ${Math.ceil(E / 4)}u) {
    ${put(`(first + ${i * rowsBetween}u)`, `(shift + ${t * fours}u + column)`, `${name}${t}_${i}`)}
  }`,
      ),
    )
    .join('\n');
}

/** `put(row, v, value)`: sets four columns of row `row` of E in an array whose rows may not fill vec4s. */
export function putFour(name: string, array: string, E: number, adds = ''): string {
  const old = (at: string, none: string) => (adds ? `select(${none}, ${array}[${at}], ${adds} != 0u) + ` : '');
  if (E % 4 === 0) {
    return `fn ${name}(row: u32, v: u32, value: vec4f) {
  let at = row * ${E / 4}u + v;
  ${array}[at] = ${old('at', 'vec4f()')}value;
}`;
  }
  return `fn ${name}(row: u32, v: u32, value: vec4f) {
  for (var c = 0u; c < 4u; c++) {
    let at = row * ${E}u + v * 4u + c;
    if (v * 4u + c < ${E}u) { ${array}[at] = ${old('at', '0.0')}value[c]; }
  }
}`;
}

/** Where a tile of rows is: n0 its first row, `rowCount`, the position there, and what belongs to its sequence. */
export const placeOfTile = (tileNumber: string) => `
  let entry = tilesAt + ${TILE_WORDS}u * (${tileNumber});
  let n0 = words[entry];
  let rowCount = words[entry + 1u];
  let table = tableAt + n0 * ${ROW_WORDS}u;
  let position0 = words[table + ${rowTable.position}u];
  let firstRow = words[table + ${rowTable.firstRow}u];
  let blocksAt = tableAt + words[table + ${rowTable.blocksAt}u];
  let endRow = words[table + ${rowTable.endRow}u];`;

/** `firstSeen(position)`: the first key that a query there sees. */
export const FIRST_SEEN = `
fn firstSeen(position: u32) -> u32 {
  let window = parameters.window;
  return select(0u, position + 1u - min(window, position + 1u), window != 0u);
}`;

/** `${place}, ${head size}`; of probabilities some may be dropped. */
export type TilesKey = `${KeyPlace}, ${number}${'' | ', dropout'}`;

export const attentionTiles = perChoice((key: TilesKey) => {
  const [place, size, drops] = key.split(', ') as [KeyPlace, string, string?];
  const E = Number(size);
  const fours = Math.ceil(E / 4);
  const sides = sidesOf(place, E);
  const type: ElementType = rowType(E);
  const share = (s: number) => `shares[row * ${STRIDE}u + quarter * 2u + ${s >> 2}u][${s & 3}]`;
  const seen = (s: number) => `key + ${s}u >= begin && key + ${s}u <= position`;
  const kept = (s: number) =>
    drops
      ? ` * select(0.0, dropFactor, dropoutNumber(base, position - min(key + ${s}u, position)) >= dropThreshold)`
      : '';
  return kernel({
    name: `attention of tiles, ${key}`,
    workgroup: TILE_WORKGROUP,
    parameters: {
      H: 'u32',
      K: 'u32',
      tableAt: 'u32',
      tilesAt: 'u32',
      firstTile: 'u32',
      window: 'u32',
      scale: 'f32',
      cap: 'f32',
      hasSinks: 'u32',
      scalesAt: 'u32',
      ...dropoutParameters,
    },
    inputs: { q_NQ: type, sinks_H: 'f32', words: 'u32', ...sides.inputs },
    outputs: { mix_NQ: type, sums_NH: 'f32' },
    declarations: `
${fourOf('query4', 'q_NQ', E)}
${sides.functions}
fn queryOrNone(row: u32, v: u32, isHere: bool) -> vec4f {
  if (isHere) { return query4(row, v); }
  return vec4f();
}
${['key', 'value']
  .map(
    (side) => `fn ${side}OrNone(position: u32, head: u32, firstRow: u32, blocksAt: u32, v: u32, isHere: bool) -> vec4f {
  if (isHere) { return ${side}4(rowOf(position, head, firstRow, blocksAt), v); }
  return vec4f();
}`,
  )
  .join('\n')}
${bend}${FIRST_SEEN}${drops ? dropoutFunctions : ''}
${putFour('putMix', 'mix_NQ', E)}
${TILE_MEMORY}
var<workgroup> ofQuarters: array<f32, ${TILE_WORKGROUP}>;
var<workgroup> sumsOfQuarters: array<f32, ${TILE_WORKGROUP}>;
var<workgroup> factors: array<f32, ${TILE_ROWS}>;`,
    body: `
${tilePlaces(E)}
  let h = tileAndHead % H;
  let head = h / (H / K);
${placeOfTile('firstTile + tileAndHead / H')}
  let last = position0 + rowCount - 1u;
  // In the softmax four invocations share a row.
  let row = lane / 4u;
  let quarter = lane % 4u;
  let position = position0 + row;
  let begin = firstSeen(position);
  let hasSink = hasSinks != 0u;
  var largest = ${LOWEST};
  var total = 0.0;
  if (hasSink) {
    largest = sinks_H[h];
    total = 1.0;
  }${drops ? '\n  let base = dropoutRow(dropKey, dropFirst + n0 + row, h);' : ''}
${startSums('sum', E)}
  for (var start = firstSeen(position0) / ${TILE_ROWS}u * ${TILE_ROWS}u; start <= last; start += ${TILE_ROWS}u) {
${rowProducts(
  'score',
  E,
  `queryOrNone((n0 + r) * H + h, v, r < rowCount && v < ${fours}u)`,
  `keyOrNone(start + r, head, firstRow, blocksAt, v, start + r <= last && v < ${fours}u)`,
)}
    score0 = vec4f(bend(score0.x), bend(score0.y), bend(score0.z), bend(score0.w));
    score1 = vec4f(bend(score1.x), bend(score1.y), bend(score1.z), bend(score1.w));
${putShares('score')}
    workgroupBarrier();
    let key = start + 8u * quarter;
${unrolled(8, (s) => `    let own${s} = select(${LOWEST}, ${share(s)}, ${seen(s)});`)}
    ofQuarters[lane] = ${numbers(8)
      .map((s) => `own${s}`)
      .reduce((a, b) => `max(${a}, ${b})`)};
    workgroupBarrier();
    let top = max(largest, max(
      max(ofQuarters[4u * row], ofQuarters[4u * row + 1u]),
      max(ofQuarters[4u * row + 2u], ofQuarters[4u * row + 3u])));
    let factor = exp(largest - top);
    largest = top;
${unrolled(8, (s) => `    let share${s} = select(0.0, exp(own${s} - top), ${seen(s)});`)}
    sumsOfQuarters[lane] = ${numbers(8)
      .map((s) => `share${s}`)
      .join(' + ')};
${unrolled(
  2,
  (half) =>
    `    shares[row * ${STRIDE}u + quarter * 2u + ${half}u] = vec4f(${numbers(4)
      .map((s) => `share${4 * half + s}${kept(4 * half + s)}`)
      .join(', ')});`,
)}
    if (quarter == 0u) { factors[row] = factor; }
    workgroupBarrier();
    total = total * factor + ((sumsOfQuarters[4u * row] + sumsOfQuarters[4u * row + 1u])
      + (sumsOfQuarters[4u * row + 2u] + sumsOfQuarters[4u * row + 3u]));
${eachFactor(E)}
    let isEdge = start + ${TILE_ROWS - 1}u > position0 || start < firstSeen(last);
${addToSums('sum', E, `valueOrNone(start + r, head, firstRow, blocksAt, v, start + r <= last && v < ${fours}u)`, 'isEdge')}
  }
  workgroupBarrier();
  if (quarter == 0u) {
    factors[row] = total;
    if (row < rowCount && shift == 0u) { sums_NH[(n0 + row) * H + h] = largest + log(total); }
  }
  workgroupBarrier();
${eachSum('sum', E, 'rowCount', (r, v, value) => `putMix((n0 + ${r}) * H + h, ${v}, ${value} / factors[${r}]);`)}`,
  });
});

function eachFactor(E: number): string {
  const { down, rowsBetween, times } = sumsOf(E);
  return unrolled(
    down,
    (i) => `    let factor${i} = factors[first + ${i * rowsBetween}u];
${unrolled(times, (t) => `    sum${t}_${i} *= factor${i};`)}`,
  );
}
