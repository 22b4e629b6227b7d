/** Random zeros by counters, an invocation a number. What it computes: reference.ts. */
import { elementwise } from '../wgsl.ts';
import { DROPOUT_HEAD_STRIDE, DROPOUT_STRIDE, type Dropout, dropoutThreshold } from './reference.ts';

/** dropoutRow and dropoutNumber of reference.ts. */
export const dropoutFunctions = `
fn mix32(value: u32) -> u32 {
  var x = value;
  x = (x ^ (x >> 16u)) * 0x21f0aaadu;
  x = (x ^ (x >> 15u)) * 0x735a2d97u;
  return x ^ (x >> 15u);
}
fn dropoutRow(key: u32, token: u32, head: u32) -> u32 {
  return mix32(mix32(key + token * ${DROPOUT_STRIDE}u) + head * ${DROPOUT_HEAD_STRIDE}u);
}
fn dropoutNumber(base: u32, at: u32) -> u32 { return mix32(base + at * ${DROPOUT_STRIDE}u); }`;

export const dropoutParameters = {
  dropKey: 'u32',
  dropFirst: 'u32',
  dropThreshold: 'u32',
  dropFactor: 'f32',
} as const;

/** Their values; threshold 0: nothing is dropped. */
export function dropoutValues(dropout: Dropout | undefined) {
  if (dropout === undefined) return { dropKey: 0, dropFirst: 0, dropThreshold: 0, dropFactor: 1 };
  const { rate, key, firstToken } = dropout;
  return { dropKey: key, dropFirst: firstToken, dropThreshold: dropoutThreshold(rate), dropFactor: 1 / (1 - rate) };
}

/** y (+)= dropout(x) */
export const dropout = elementwise({
  name: 'dropout',
  parameters: { ...dropoutParameters, D: 'u32', adds: 'u32' },
  inputs: { x_ND: 'f32' },
  outputs: { y_ND: 'f32' },
  declarations: dropoutFunctions,
  body: `
  let stays = dropoutNumber(dropoutRow(dropKey, dropFirst + i / D, 0u), i % D) >= dropThreshold;
  y_ND[i] = select(0.0, y_ND[i], adds != 0u) + select(0.0, dropFactor * x_ND[i], stays);`,
});
