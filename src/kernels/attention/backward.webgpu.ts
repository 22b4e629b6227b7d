/**
 * The gradients of attention over the rows of one call, with the probabilities recomputed from the saved log-sum-exp. What they compute:
 * backward.reference.ts.
 *
 * m_nh = dMix · mix first. Then dq by a workgroup for each query row and key head, and dk and dv by one for each key row and key head:
 * no two workgroups write one number, so nothing is added by atomics, and sums have one order.
 */
import { softcapFunction } from '../activation/webgpu.ts';
import { dropoutFunctions, dropoutParameters } from '../dropout/webgpu.ts';
import { elementwise, kernel, perChoice, unrolled } from '../wgsl.ts';
import { ROW_WORDS, rowTable } from './webgpu.ts';

const WORKGROUP = 64;

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
  E: 'u32',
  tableAt: 'u32',
  window: 'u32',
  scale: 'f32',
  cap: 'f32',
  ...dropoutParameters,
} as const;

/** share(query, key): p as it multiplies the value, and the gradient c of q·k. Rows of E: `query` is n·H + h, `key` is s·K + g. */
const SHARE = `
${softcapFunction}${dropoutFunctions}
fn share(query: u32, key: u32) -> vec2f {
  let E = parameters.E;
  var product = 0.0;
  var dP = 0.0;
  for (var e = 0u; e < E; e++) {
    product += q_NQ[query * E + e] * k_NP[key * E + e];
    dP += dMix_NQ[query * E + e] * v_NP[key * E + e];
  }
  var score = product * parameters.scale;
  var slope = parameters.scale;
  if (parameters.cap > 0.0) {
    score = softcap(score, parameters.cap);
    slope *= 1.0 - (score / parameters.cap) * (score / parameters.cap);
  }
  let p = exp(score - pairs_NH[query].x);
  var kept = 1.0;
  if (parameters.dropThreshold > 0u) {
    let n = query / parameters.H;
    let base = dropoutRow(parameters.dropKey, parameters.dropFirst + n, query % parameters.H);
    kept = select(0.0, parameters.dropFactor, dropoutNumber(base, n - key / parameters.K) >= parameters.dropThreshold);
  }
  return vec2f(p * kept, p * (dP * kept - pairs_NH[query].y) * slope);
}`;
const inputs = {
  q_NQ: 'f32',
  k_NP: 'f32',
  v_NP: 'f32',
  dMix_NQ: 'f32',
  pairs_NH: 'vec2f',
  words: 'u32',
} as const;

/** Columns of a row that an invocation sums up, for any E up to this many workgroups' worth. */
type Columns = 1 | 2 | 4 | 8;
export const columnsOf = (E: number): Columns =>
  ([1, 2, 4, 8] as const).find((columns) => columns * WORKGROUP >= E) ?? 8;

/** dq of one row and head. */
export const queriesBackward = perChoice((columns: Columns) =>
  kernel({
    name: `attention, backward, queries, ${columns}`,
    workgroup: WORKGROUP,
    parameters: { ...parameters, adds: 'u32' },
    inputs,
    outputs: { dq_NQ: 'f32' },
    declarations: `${SHARE}
var<workgroup> shares: array<f32, ${WORKGROUP}>;`,
    body: `
  let n = group / H;
  let head = (group % H) * K / H;
  let table = tableAt + n * ${ROW_WORDS}u;
  let position = words[table + ${rowTable.position}u];
  let firstRow = words[table + ${rowTable.firstRow}u];
  let firstKey = select(0u, position + 1u - min(window, position + 1u), window != 0u);
${unrolled(columns, (c) => `  var sum${c} = 0.0;`)}
  for (var tile = firstKey; tile <= position; tile += ${WORKGROUP}u) {
    workgroupBarrier();
    if (tile + lane <= position) { shares[lane] = share(group, (firstRow + tile + lane) * K + head).y; }
    workgroupBarrier();
    for (var s = 0u; s < min(${WORKGROUP}u, position + 1u - tile); s++) {
      let key = ((firstRow + tile + s) * K + head) * E;
${unrolled(columns, (c) => `      if (lane + ${c * WORKGROUP}u < E) { sum${c} += shares[s] * k_NP[key + lane + ${c * WORKGROUP}u]; }`)}
    }
  }
${unrolled(
  columns,
  (c) => `  if (lane + ${c * WORKGROUP}u < E) {
    let at = group * E + lane + ${c * WORKGROUP}u;
    dq_NQ[at] = select(0.0, dq_NQ[at], adds != 0u) + sum${c};
  }`,
)}`,
  }),
);

/** dk and dv of one row and key head: over the queries behind it and the query heads that share it. */
export const keysBackward = perChoice((columns: Columns) =>
  kernel({
    name: `attention, backward, keys, ${columns}`,
    workgroup: WORKGROUP,
    parameters: { ...parameters, addsK: 'u32', addsV: 'u32' },
    inputs,
    outputs: { dk_NP: 'f32', dv_NP: 'f32' },
    declarations: `${SHARE}
var<workgroup> shares: array<vec2f, ${WORKGROUP}>;`,
    body: `
  let s = group / K;
  let head = group % K;
  let perKey = H / K;
  let end = words[tableAt + s * ${ROW_WORDS}u + ${rowTable.endRow}u];
  let last = select(end, min(end, s + window), window != 0u);
  let pairs = (last - s) * perKey;
${unrolled(columns, (c) => `  var key${c} = 0.0;\n  var value${c} = 0.0;`)}
  for (var tile = 0u; tile < pairs; tile += ${WORKGROUP}u) {
    workgroupBarrier();
    if (tile + lane < pairs) {
      let pair = tile + lane;
      shares[lane] = share((s + pair / perKey) * H + head * perKey + pair % perKey, group);
    }
    workgroupBarrier();
    for (var i = 0u; i < min(${WORKGROUP}u, pairs - tile); i++) {
      let pair = tile + i;
      let query = ((s + pair / perKey) * H + head * perKey + pair % perKey) * E;
${unrolled(
  columns,
  (c) => `      if (lane + ${c * WORKGROUP}u < E) {
        key${c} += shares[i].y * q_NQ[query + lane + ${c * WORKGROUP}u];
        value${c} += shares[i].x * dMix_NQ[query + lane + ${c * WORKGROUP}u];
      }`,
)}
    }
  }
${unrolled(
  columns,
  (c) => `  if (lane + ${c * WORKGROUP}u < E) {
    let at = group * E + lane + ${c * WORKGROUP}u;
    dk_NP[at] = select(0.0, dk_NP[at], addsK != 0u) + key${c};
    dv_NP[at] = select(0.0, dv_NP[at], addsV != 0u) + value${c};
  }`,
)}`,
  }),
);
