/**
 * What a model computes on the way, as plain numbers: the logits of every position, and any activation by its name. Whole sequences,
 * without the cache.
 */
import { assert } from '../base/assert.ts';
import { ArgumentError } from '../base/errors.ts';
import { nearestNames } from '../base/nearest.ts';
import type { Device } from '../devices/device.ts';
import { attendOne } from '../kernels/attention/reference.ts';
import { batchOfSequences } from '../kernels/batch.ts';
import type { AttentionOptions, Ops } from '../kernels/ops.ts';
import type { LlamaConfig } from '../model/config.ts';
import { forward, hidden, keepOutputs } from '../model/llama.ts';
import type { Model } from '../model/model.ts';
import { columnCount, type Floats, type Tensor } from '../tensor/tensor.ts';

export interface Trace {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Rows of logits that are made at once, so that a long text of a large vocabulary needs no giant arena. */
const LOGIT_ROWS = 256;

/** logits_NV of all positions of one sequence. Throws ArgumentError `logits.context` for more tokens than the model was made for. */
export async function logitsOf(
  device: Device,
  model: Model,
  ids_N: Uint32Array,
  ops: Ops = device.ops,
): Promise<Float32Array> {
  checkContext('logits', ids_N.length, model.config);
  const V = model.config.vocabSize;
  const logits_NV = new Float32Array(ids_N.length * V);
  const readings: Promise<Floats>[] = [];
  const mark = device.mark();
  try {
    const x_ND = hidden(model, ops, batchOfSequences([ids_N]), { segment: keepOutputs(device) });
    for (let first = 0; first < ids_N.length; first += LOGIT_ROWS) {
      const rows = Math.min(LOGIT_ROWS, ids_N.length - first);
      const chunk = device.mark();
      const rows_R = Uint32Array.from({ length: rows }, (_, i) => first + i);
      readings.push(device.read(model.logits(ops, ops.selectRows(x_ND, rows_R))));
      device.release(chunk);
    }
  } finally {
    device.release(mark);
  }
  for (const [i, reading] of readings.entries()) logits_NV.set(await reading, i * LOGIT_ROWS * V);
  return logits_NV;
}

/** Positions beyond the model's context give numbers that mean nothing; they are refused, as they are in generation. */
export function checkContext(where: string, count: number, { contextLength }: LlamaConfig): void {
  if (count <= contextLength) return;
  throw new ArgumentError(
    `${where}.context`,
    `${where}: ${count} tokens, expected at most the model's context of ${contextLength}. Shorten the text, or take it in windows.`,
  );
}

/** Every name that trace() knows, in the order of computation. */
export function traceNames(config: LlamaConfig): string[] {
  const names = ['embedding', 'hidden.0'];
  for (let i = 0; i < config.blockCount; i++) {
    const inBlock = (...parts: string[]) => names.push(...parts.map((part) => `blocks.${i}.${part}`));
    inBlock('attention.input', 'attention.queries', 'attention.keys', 'attention.values', 'attention.probabilities');
    inBlock('attention.mix', 'afterAttention', 'feedForward.input', 'feedForward.hidden', 'output');
    names.push(`hidden.${i + 1}`);
  }
  names.push('norm', 'hidden.norm', 'logits');
  return names;
}

/**
 * The activations of these names for one sequence. `*` stands for any part of a name between dots: `blocks.*.output`.
 *
 * `hidden.0` is the embedding, `hidden.i` the output of block i − 1, `hidden.norm` the state that the output layer reads.
 * `blocks.i.attention.probabilities` is H × N × N: fast attention never holds it, so it is computed from the rotated queries and keys.
 * Throws ArgumentError `trace.names`, with the nearest names; `trace.context` for more tokens than the model was made for.
 */
export async function trace(
  device: Device,
  model: Model,
  ids_N: Uint32Array,
  names: readonly string[],
  ops: Ops = device.ops,
): Promise<Map<string, Trace>> {
  checkContext('trace', ids_N.length, model.config);
  const wanted = expandNames(names, traceNames(model.config));
  const taps = new Set(wanted.flatMap((name) => tapsFor(name)));
  const seen = new Map<string, Tensor>();
  let found: Promise<readonly [string, Trace]>[];
  const mark = device.mark();
  try {
    const tap = (name: string, tensor: Tensor) => {
      if (taps.has(name)) seen.set(name, tensor);
    };
    forward(model, ops, batchOfSequences([ids_N]), { tap });
    found = wanted.map(async (name) => [name, await read(device, model, seen, name, ids_N.length)] as const);
  } finally {
    device.release(mark);
  }
  return new Map(await Promise.all(found));
}

/** Patterns to names, in the order of computation, each once. */
function expandNames(patterns: readonly string[], available: readonly string[]): string[] {
  const wanted = new Set<string>();
  const problems: string[] = [];
  for (const pattern of patterns) {
    const parts = String(pattern)
      .split('*')
      .map((part) => part.replace(/[.\\^$+?()[\]{}|]/g, '\\$&'));
    const matcher = new RegExp(`^${parts.join('[^.]+')}$`);
    const found = available.filter((name) => matcher.test(name));
    for (const name of found) wanted.add(name);
    if (found.length > 0) continue;
    const near = nearestNames(String(pattern), available);
    problems.push(`${JSON.stringify(pattern)} names nothing${near.length > 0 ? ` (near: ${near.join(', ')})` : ''}`);
  }
  if (problems.length > 0) {
    const some = available.filter((name) => !/^(?:blocks|hidden)\.[1-9]/.test(name));
    throw new ArgumentError(
      'trace.names',
      `trace: ${problems.join('; ')}. The names are ${some.join(', ')}, and so on for every block.`,
    );
  }
  return available.filter((name) => wanted.has(name));
}

/** The activations of `forward` that a name is made of. */
function tapsFor(name: string): string[] {
  const block = /^(blocks\.\d+\.attention)\.probabilities$/.exec(name)?.[1];
  if (block !== undefined) return [`${block}.queries`, `${block}.keys`];
  return [tapOf(name)];
}

function tapOf(name: string): string {
  if (name === 'hidden.0') return 'embedding';
  if (name === 'hidden.norm') return 'norm';
  const after = /^hidden\.(\d+)$/.exec(name)?.[1];
  return after === undefined ? name : `blocks.${Number(after) - 1}.output`;
}

async function read(
  device: Device,
  model: Model,
  seen: ReadonlyMap<string, Tensor>,
  name: string,
  N: number,
): Promise<Trace> {
  const tensors = tapsFor(name).map((tap) => {
    const tensor = seen.get(tap);
    assert(tensor !== undefined, `trace: forward has no activation ${tap} (for ${name})`);
    return tensor;
  });
  if (tensors.length === 1) {
    return { shape: [N, columnCount(tensors[0]!.shape)], data: Float32Array.from(await device.read(tensors[0]!)) };
  }
  const [q_NQ, k_NP] = (await Promise.all(tensors.map((tensor) => device.read(tensor)))) as [Floats, Floats];
  const { options } = model.blocks[Number(/^blocks\.(\d+)/.exec(name)![1])]!.attention;
  return {
    shape: [model.config.headCount, N, N],
    data: attentionProbabilities(model.config, options, q_NQ, k_NP, N),
  };
}

/** p_HNN: how much each query looks at each key; zero where it may not. */
function attentionProbabilities(
  config: LlamaConfig,
  options: AttentionOptions,
  q_NQ: Floats,
  k_NP: Floats,
  N: number,
): Float32Array {
  const { headCount: H, kvHeadCount: K } = config;
  const { headSize: E, sinks_H: _, ...rest } = options;
  const Q = H * E;
  const p_HNN = new Float32Array(H * N * N);
  const mix_Q = new Float64Array(Q);
  for (let n = 0; n < N; n++) {
    const p_HS = new Float64Array(H * (n + 1));
    attendOne(mix_Q, q_NQ.subarray(n * Q, (n + 1) * Q), k_NP, k_NP, (s) => s, n, { H, K, E, ...rest }, p_HS);
    for (let h = 0; h < H; h++) p_HNN.set(p_HS.subarray(h * (n + 1), (h + 1) * (n + 1)), (h * N + n) * N);
  }
  return p_HNN;
}
