/**
 * New keys and values into the cache, as they are; or keys that are rotated on the way, and with them the queries of the same rows. What
 * it computes: kernels/rope/reference.ts; how the cache lies: webgpu.ts beside this file.
 */
import { KV_BLOCK_TOKENS, type KvType } from '../ops.ts';
import { elementwise, type Kernel, perChoice } from '../wgsl.ts';
import { kvElements, ROW_WORDS, rowTable, scaleGroups } from './webgpu.ts';

/** `${type of the cache}, ${head size}` */
export type AppendKey = `${KvType}, ${number}`;

const plain = new WeakMap<Kernel, AppendKey>();

export const appendToCache = perChoice((key: AppendKey) => {
  const { E, parameters, outputs, functions, body } = textOf(key);
  const made = elementwise({
    name: `appendToCache, ${key}`,
    parameters,
    inputs: { k_NP: 'f32', v_NP: 'f32', words: 'u32' },
    outputs,
    declarations: `
fn keyNumber(row: u32, e: u32) -> f32 { return k_NP[row * ${E}u + e]; }
${functions}`,
    body,
  });
  plain.set(made, key);
  return made;
});

/** The key of a kernel that appends keys as they are; null: it is none of these. */
export const appendKeyOf = (kernel: Kernel): AppendKey | null => plain.get(kernel) ?? null;

/** The first invocations turn a pair of the queries each, `queryPairs` in all; the others append. */
export const ropeAndAppend = perChoice((key: AppendKey) => {
  const { E, parameters, outputs, functions, body } = textOf(key);
  return elementwise({
    name: `rope and appendToCache, ${key}`,
    parameters: { ...parameters, Q: 'u32', queryPairs: 'u32' },
    inputs: { q_NQ: 'f32', k_NP: 'f32', v_NP: 'f32', rotation_NE: 'f32', words: 'u32' },
    outputs: { y_NQ: 'f32', ...outputs },
    declarations: `
fn keyNumber(row: u32, e: u32) -> f32 {
  let angle = (row / parameters.K) * ${E}u + (e & ~1u);
  let at = row * ${E}u + (e & ~1u);
  let cosine = rotation_NE[angle];
  let sine = rotation_NE[angle + 1u];
  if ((e & 1u) == 0u) { return k_NP[at] * cosine - k_NP[at + 1u] * sine; }
  return k_NP[at] * sine + k_NP[at + 1u] * cosine;
}
${functions}`,
    body: `
  if (i < queryPairs) {
    let angle = (2u * i / Q) * ${E}u + 2u * i % ${E}u;
    let cosine = rotation_NE[angle];
    let sine = rotation_NE[angle + 1u];
    let a = q_NQ[2u * i];
    let b = q_NQ[2u * i + 1u];
    y_NQ[2u * i] = a * cosine - b * sine;
    y_NQ[2u * i + 1u] = a * sine + b * cosine;
    return;
  }
${body.replace('let at = i;', 'let at = i - queryPairs;')}`,
  });
});

/** Whether an invocation appends a group of 32 that share a scale, or four numbers. */
export const inGroups = (type: KvType): boolean => type === 'q8_0' || type === 'q4_0';

/** An invocation four numbers, or a group of 32 that share a scale (q8_0, q4_0). The text needs keyNumber(row, e). */
function textOf(key: AppendKey) {
  const [type, size] = key.split(', ') as [KvType, string];
  const E = Number(size);
  const fours = Math.ceil(E / 4);
  const element = kvElements[type].type;
  const place = `
  let at = i;
  let perRow = ${inGroups(type) ? scaleGroups(E) : fours}u;
  let part = at % perRow;
  let head = (at / perRow) % K;
  let n = (at / (perRow * K)) % N;
  let isValue = at >= perRow * K * N;
  let table = tableAt + n * ${ROW_WORDS}u;
  let position = words[table + ${rowTable.position}u];
  let block = words[tableAt + words[table + ${rowTable.blocksAt}u] + position / ${KV_BLOCK_TOKENS}u];
  let row = (block * K + head) * ${KV_BLOCK_TOKENS}u + position % ${KV_BLOCK_TOKENS}u;`;
  const asItIs = `
  let x = four(isValue, n * K + head, part);
  let stored = ${type === 'f32' ? 'x' : 'vec2u(pack2x16float(x.xy), pack2x16float(x.zw))'};
  if (isValue) { values[row * ${fours}u + part] = stored; } else { keys[row * ${fours}u + part] = stored; }`;
  const bytes = `
  for (var v = first; v < last; v++) {
    var q = vec4f();
    if (scale > 0.0) { q = clamp(floor(four(isValue, n * K + head, v) / scale + 0.5), vec4f(-127.0), vec4f(127.0)); }
    let b = bitcast<vec4u>(vec4i(q)) & vec4u(255u);
    let word = b.x | (b.y << 8u) | (b.z << 16u) | (b.w << 24u);
    if (isValue) { values[row * ${fours}u + v] = word; } else { keys[row * ${fours}u + v] = word; }
  }`;
  const eights = Math.ceil(E / 8);
  const nibbles = `
  for (var v = first; v < last; v += 2u) {
    var word = 0x88888888u;
    if (scale != 0.0) {
      let low = vec4u(clamp(floor(four(isValue, n * K + head, v) / scale + 8.5), vec4f(0.0), vec4f(15.0)));
      let high = vec4u(clamp(floor(four(isValue, n * K + head, v + 1u) / scale + 8.5), vec4f(0.0), vec4f(15.0)));
      word = low.x | (low.y << 4u) | (low.z << 8u) | (low.w << 12u) | (high.x << 16u) | (high.y << 20u) | (high.z << 24u) | (high.w << 28u);
    }
    if (isValue) { values[row * ${eights}u + v / 2u] = word; } else { keys[row * ${eights}u + v / 2u] = word; }
  }`;
  const quantized = `
  let first = part * 8u;
  let last = min(first + 8u, ${fours}u);
  var least = 0.0;
  var most = 0.0;
  for (var v = first; v < last; v++) {
    let x = four(isValue, n * K + head, v);
    least = min(least, min(min(x.x, x.y), min(x.z, x.w)));
    most = max(most, max(max(x.x, x.y), max(x.z, x.w)));
  }
  let wide = ${type === 'q4_0' ? 'select(-least, -most, most >= -least) / 8.0' : 'max(most, -least) / 127.0'};
  // Rounded to f16 by its bits: drivers leave out what is packed and unpacked.
  let bits = bitcast<u32>(wide);
  let even = bitcast<f32>((bits + 0xfffu + ((bits >> 13u) & 1u)) & 0xffffe000u);
  let scale = select(even, round(wide * 16777216.0) / 16777216.0, abs(wide) < 0.00006103515625);${type === 'q4_0' ? nibbles : bytes}
  let scaleAt = scalesAt + row * perRow + part;
  if (isValue) { values[scaleAt] = bitcast<u32>(scale); } else { keys[scaleAt] = bitcast<u32>(scale); }`;
  return {
    E,
    parameters: { N: 'u32', K: 'u32', tableAt: 'u32', scalesAt: 'u32' },
    outputs: { keys: element, values: element },
    functions: `
fn number(isValue: bool, row: u32, e: u32) -> f32 {
  if (e >= ${E}u) { return 0.0; }
  if (isValue) { return v_NP[row * ${E}u + e]; }
  return keyNumber(row, e);
}
fn four(isValue: bool, row: u32, v: u32) -> vec4f {
  return vec4f(number(isValue, row, v * 4u), number(isValue, row, v * 4u + 1u), number(isValue, row, v * 4u + 2u), number(isValue, row, v * 4u + 3u));
}`,
    body: `${place}${inGroups(type) ? quantized : asItIs}`,
  } as const;
}
