/**
 * The gradients of attention over the rows of one call, with the probabilities recomputed from the saved log-sum-exp. What they compute:
 * backward.reference.ts.
 *
 * m_nh = dMix · mix first. Then dq by a workgroup for 32 query rows and a query head, and dk and dv by one for 32 key rows and a key head, in
 * tiles as forward (tiles.webgpu.ts): no two workgroups write one number, so nothing is added by atomics, and sums have one order.
 */
import { softcapFunction } from '../activation/webgpu.ts';
import { dropoutFunctions, dropoutParameters } from '../dropout/webgpu.ts';
import { elementwise, kernel, perChoice, unrolled } from '../wgsl.ts';
import {
  addToSums,
  eachSum,
  placeOfTile,
  putFour,
  putShares,
  rowProducts,
  STRIDE,
  startSums,
  TILE_MEMORY,
  TILE_ROWS,
  TILE_WORKGROUP,
  tilePlaces,
} from './tiles.webgpu.ts';
import { fourOf, rowType } from './webgpu.ts';

/** pairs_nh = (L_nh, m_nh) with m_nh = Σ_e dMix_nhe · mix_nhe */
export const attentionInner = elementwise({
  name: 'attention, backward, inner',
  parameters: { E: 'u32' },
  inputs: { dMix_NQ: 'f32', mix_NQ: 'f32', sums_NH: 'f32' },
  outputs: { pairs_NH: 'vec2f' },
  body: `
  var sum = 0.0;
  for (var e = 0u; e < E; e++) { sum += dMix_NQ[i * E + e] * mix_NQ[i * E + e]; }
  pairs_NH[i] = vec2f(sums_NH[i], sum);`,
});

/** dSink_h −= Σ_n exp(sink_h − L_nh) · m_nh */
export const sinksBackward = elementwise({
  name: 'attention, backward, sinks',
  parameters: { N: 'u32', adds: 'u32' },
  inputs: { sinks_H: 'f32', pairs_NH: 'vec2f' },
  outputs: { dSinks_H: 'f32' },
  body: `
  var sum = 0.0;
  for (var n = 0u; n < N; n++) { let pair = pairs_NH[n * count + i]; sum += exp(sinks_H[i] - pair.x) * pair.y; }
  dSinks_H[i] = select(0.0, dSinks_H[i], adds != 0u) - sum;`,
});

const parameters = {
  H: 'u32',
  K: 'u32',
  tableAt: 'u32',
  tilesAt: 'u32',
  firstTile: 'u32',
  window: 'u32',
  scale: 'f32',
  cap: 'f32',
  ...dropoutParameters,
} as const;

const fourTimes = (text: (j: number) => string) => [0, 1, 2, 3].map(text).join(', ');

const inputs = (E: number) =>
  ({
    q_NQ: rowType(E),
    k_NP: rowType(E),
    v_NP: rowType(E),
    dMix_NQ: rowType(E),
    pairs_NH: 'vec2f',
    words: 'u32',
  }) as const;

/** Four columns of a row of either side: rows of q and dMix are n·H + h, those of k and v s·K + g; and what a query and a key have together. */
const functions = (E: number) => `
${[
  ['query', 'q_NQ'],
  ['key', 'k_NP'],
  ['value', 'v_NP'],
  ['gradient', 'dMix_NQ'],
]
  .map(
    ([name, array]) => `${fourOf(`${name}4`, array!, E)}
fn ${name}OrNone(row: u32, v: u32, isHere: bool) -> vec4f {
  if (isHere && v < ${Math.ceil(E / 4)}u) { return ${name}4(row, v); }
  return vec4f();
}`,
  )
  .join('\n')}
${softcapFunction}${dropoutFunctions}
// p as it multiplies the value, and the gradient of q·k, of query row n, head h and key row s; pair: L and m of the query. 0 where it is not seen.
fn together(n: u32, h: u32, s: u32, product: f32, dP: f32, pair: vec2f) -> vec2f {
  if (s > n || (parameters.window != 0u && n - s >= parameters.window)) { return vec2f(); }
  var score = product * parameters.scale;
  var slope = parameters.scale;
  if (parameters.cap > 0.0) {
    score = softcap(score, parameters.cap);
    slope *= 1.0 - (score / parameters.cap) * (score / parameters.cap);
  }
  let p = exp(score - pair.x);
  var kept = 1.0;
  if (parameters.dropThreshold > 0u) {
    let base = dropoutRow(parameters.dropKey, parameters.dropFirst + n, h);
    kept = select(0.0, parameters.dropFactor, dropoutNumber(base, n - s) >= parameters.dropThreshold);
  }
  return vec2f(p * kept, p * (dP * kept - pair.y) * slope);
}
${TILE_MEMORY}`;

/** dq of 32 rows and a query head. */
export const queriesBackward = perChoice((E: number) =>
  kernel({
    name: `attention, backward, queries, ${E}`,
    workgroup: TILE_WORKGROUP,
    parameters: { ...parameters, adds: 'u32' },
    inputs: inputs(E),
    outputs: { dq_NQ: rowType(E) },
    declarations: `${functions(E)}
${putFour('putQuery', 'dq_NQ', E, 'parameters.adds')}`,
    body: `
${tilePlaces(E)}
  let h = tileAndHead % H;
  let head = h / (H / K);
${placeOfTile('firstTile + tileAndHead / H')}
  let end = n0 + rowCount;
${startSums('sum', E)}
  let firstKey = select(firstRow, n0 + 1u - min(window, n0 + 1u - firstRow), window != 0u);
  for (var start = firstKey; start < end; start += ${TILE_ROWS}u) {
${rowProducts(
  'product',
  E,
  'queryOrNone((n0 + r) * H + h, v, n0 + r < end)',
  'keyOrNone((start + r) * K + head, v, start + r < end)',
)}
${rowProducts(
  'dP',
  E,
  'gradientOrNone((n0 + r) * H + h, v, n0 + r < end)',
  'valueOrNone((start + r) * K + head, v, start + r < end)',
)}
    for (var i = 0u; i < 2u; i++) {
      let n = min(n0 + y + 16u * i, end - 1u);
      let pair = pairs_NH[n * H + h];
      let products = select(product0, product1, i == 1u);
      let gradients = select(dP0, dP1, i == 1u);
      let s = start + 4u * x;
      shares[(y + 16u * i) * ${STRIDE}u + x] = vec4f(
${fourTimes((j) => `        together(n, h, s + ${j}u, products[${j}], gradients[${j}], pair).y`)}
      );
    }
${addToSums('sum', E, 'keyOrNone((start + r) * K + head, v, start + r < end)')}
  }
${eachSum('sum', E, 'rowCount', (r, v, value) => `putQuery((n0 + ${r}) * H + h, ${v}, ${value});`)}`,
  }),
);

/** dk and dv of 32 rows and a key head: over the queries behind them and the query heads that share it. */
export const keysBackward = perChoice((E: number) =>
  kernel({
    name: `attention, backward, keys, ${E}`,
    workgroup: TILE_WORKGROUP,
    parameters: { ...parameters, addsK: 'u32', addsV: 'u32' },
    inputs: inputs(E),
    outputs: { dk_NP: rowType(E), dv_NP: rowType(E) },
    declarations: `${functions(E)}
${putFour('putKey', 'dk_NP', E, 'parameters.addsK')}
${putFour('putValue', 'dv_NP', E, 'parameters.addsV')}`,
    body: `
${tilePlaces(E)}
  let head = tileAndHead % K;
  let perKey = H / K;
${placeOfTile('firstTile + tileAndHead / K')}
  let end = n0 + rowCount;
  let last = select(endRow, min(endRow, end - 1u + window), window != 0u);
${startSums('key', E)}
${startSums('value', E)}
  for (var h = head * perKey; h < (head + 1u) * perKey; h++) {
    for (var start = n0; start < last; start += ${TILE_ROWS}u) {
${rowProducts(
  'product',
  E,
  'keyOrNone((n0 + r) * K + head, v, n0 + r < end)',
  'queryOrNone((start + r) * H + h, v, start + r < last)',
)}
${rowProducts(
  'dP',
  E,
  'valueOrNone((n0 + r) * K + head, v, n0 + r < end)',
  'gradientOrNone((start + r) * H + h, v, start + r < last)',
)}
      var slope0 = vec4f();
      var slope1 = vec4f();
      for (var i = 0u; i < 2u; i++) {
        let s = n0 + y + 16u * i;
        let products = select(product0, product1, i == 1u);
        let gradients = select(dP0, dP1, i == 1u);
${unrolled(
  4,
  (j) => `        let n${j} = start + 4u * x + ${j}u;
        let pair${j} = pairs_NH[min(n${j}, last - 1u) * H + h];
        var both${j} = vec2f();
        if (n${j} < last) { both${j} = together(n${j}, h, s, products[${j}], gradients[${j}], pair${j}); }`,
)}
        shares[(y + 16u * i) * ${STRIDE}u + x] = vec4f(${fourTimes((j) => `both${j}.x`)});
        let slopes = vec4f(${fourTimes((j) => `both${j}.y`)});
        if (i == 0u) { slope0 = slopes; } else { slope1 = slopes; }
      }
${addToSums('value', E, 'gradientOrNone((start + r) * H + h, v, start + r < last)')}
      workgroupBarrier();
${putShares('slope')}
${addToSums('key', E, 'queryOrNone((start + r) * H + h, v, start + r < last)')}
    }
  }
${eachSum('key', E, 'rowCount', (r, v, value) => `putKey((n0 + ${r}) * K + head, ${v}, ${value});`)}
${eachSum('value', E, 'rowCount', (r, v, value) => `putValue((n0 + ${r}) * K + head, ${v}, ${value});`)}`,
  }),
);
