/**
 * The k largest numbers of rows: a workgroup finds those of its part of a row, one after another; then the same is done with what the
 * parts of a row have left, until there is one part. What it computes: reference.ts.
 *
 * Numbers  They are compared as whole numbers made of their bits, which are in the same order.
 */
import { kernel, perChoice, unrolled } from '../wgsl.ts';

/** The most that may be asked for. */
export const MOST_LARGEST = 128;
const WORKGROUP = 256;
const PER_INVOCATION = 8;
/** Numbers of a part. Two parts together must leave less than they have. */
export const LARGEST_PART = WORKGROUP * PER_INVOCATION;

/** The first pass reads numbers, whose places are their ids; the others pairs of a number and its id, −1 for none. */
export const largest = perChoice((pass: 'first' | 'next') =>
  kernel({
    name: `largest, ${pass} pass`,
    workgroup: WORKGROUP,
    parameters: { V: 'u32', k: 'u32', parts: 'u32' },
    inputs: { x_RV: pass === 'first' ? 'f32' : 'vec2f' },
    outputs: { y_RK: 'vec2f' },
    declarations: `
var<workgroup> bestKeys: array<u32, ${WORKGROUP}>;
var<workgroup> bestPlaces: array<u32, ${WORKGROUP}>;
fn keyOf(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return 0xffffffffu; }
  if (bits == 0x80000000u) { return 0x80000000u; }
  return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}
fn keyAt(i: u32) -> u32 {
  ${
    pass === 'first'
      ? 'return keyOf(x_RV[i]);'
      : `let pair = x_RV[i];
  if (pair.y < 0.0) { return 0u; }
  return keyOf(pair.x);`
  }
}`,
    body: `
  let row = group / parts;
  let begin = (group % parts) * ${LARGEST_PART}u;
${unrolled(
  PER_INVOCATION,
  (j) => `  var key${j} = 0u;
  if (begin + ${j * WORKGROUP}u + lane < V) { key${j} = keyAt(row * V + begin + ${j * WORKGROUP}u + lane); }`,
)}
  for (var i = 0u; i < k; i++) {
    var best = key0;
    var place = lane;
${unrolled(
  PER_INVOCATION - 1,
  (j) => `    if (key${j + 1} > best) { best = key${j + 1}; place = ${(j + 1) * WORKGROUP}u + lane; }`,
)}
    bestKeys[lane] = best;
    bestPlaces[lane] = place;
    for (var half = ${WORKGROUP / 2}u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane < half) {
        let other = bestKeys[lane + half];
        let otherPlace = bestPlaces[lane + half];
        if (other > bestKeys[lane] || (other == bestKeys[lane] && otherPlace < bestPlaces[lane])) {
          bestKeys[lane] = other;
          bestPlaces[lane] = otherPlace;
        }
      }
    }
    workgroupBarrier();
    let found = bestPlaces[0];
    let isFound = bestKeys[0] != 0u;
    if (lane == 0u) {
      var pair = vec2f(0.0, -1.0);
      if (isFound) { pair = ${pass === 'first' ? 'vec2f(x_RV[row * V + begin + found], f32(begin + found))' : 'x_RV[row * V + begin + found]'}; }
      y_RK[group * k + i] = pair;
    }
    if (found % ${WORKGROUP}u == lane) {
${unrolled(PER_INVOCATION, (j) => `      if (found == ${j * WORKGROUP}u + lane) { key${j} = 0u; }`)}
    }
    workgroupBarrier();
  }`,
  }),
);
