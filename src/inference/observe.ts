/**
 * What a model computes on the way, as plain numbers: the logits of every position, and any activation by its name. Whole sequences,
 * without the cache.
 */
import { assert } from '../base/assert.ts';
import { ArgumentError } from '../base/errors.ts';
import { nearestNames } from '../base/nearest.ts';
import type { Device } from '../devices/device.ts';
import { batchOfSequences } from '../kernels/batch.ts';
import type { Ops } from '../kernels/ops.ts';
import { softmax } from '../kernels/softmax/reference.ts';
import { isGated, type LlamaConfig } from '../model/config.ts';
import { hidden, keepOutputs } from '../model/llama.ts';
import type { Model } from '../model/model.ts';
import { columnCount, type Floats, rowCount, type Tensor } from '../tensor/tensor.ts';
import { attentionMaps, headParts } from './reading/attention-maps.ts';
import { type Change, changedOps } from './reading/changes.ts';

export interface Trace {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** What to trace beside the names. A part of the activations: of every one these rows (places in the sequence), of those with heads these heads. Absent: all. */
export interface TraceSlice extends Change {
  readonly rows?: readonly number[] | undefined;
  readonly heads?: readonly number[] | undefined;
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
  const names = ['embedding', 'hidden.0', 'hidden.0.logits'];
  if (config.positions === 'rope')
    names.push('rotation', ...(config.slidingTheta === null ? [] : ['rotation.sliding']));
  for (let i = 0; i < config.blockCount; i++) {
    const inBlock = (...parts: string[]) => names.push(...parts.map((part) => `blocks.${i}.${part}`));
    inBlock('attention.input', 'attention.queriesPlain', 'attention.queries', 'attention.keysPlain', 'attention.keys');
    inBlock('attention.values', 'attention.scores', 'attention.probabilities', 'attention.mix', 'attention.heads');
    inBlock('attention.output', 'afterAttention', 'feedForward.input');
    if (isGated(config.activation) || config.experts) inBlock('feedForward.gate');
    inBlock('feedForward.up', 'feedForward.hidden', 'feedForward.output', 'output');
    names.push(`hidden.${i + 1}`, `hidden.${i + 1}.logits`);
  }
  names.push('norm', 'hidden.norm', 'logits', 'probabilities');
  return names;
}

/**
 * The activations of these names for one sequence. `*` stands for any part of a name between dots: `blocks.*.output`.
 *
 * `hidden.0` is the embedding, `hidden.i` the output of block i − 1, `hidden.norm` the state that the output layer reads;
 * `queriesPlain` and `keysPlain` are not rotated yet; `attention.output` and `feedForward.output` are what is added to the stream.
 *
 * Made from these: `attention.scores` (H × N × N, −∞ where a query may not look) and their softmax `attention.probabilities`, which fast
 * attention never holds; `attention.heads` (H × N × D), each head's part of what the output matrix makes of the mix; `hidden.i.logits`,
 * the logits if the model ended there; `probabilities`, the softmax of `logits`.
 *
 * A block's activations are forgotten when it is done: memory grows with what is asked for, not with the number of blocks.
 * Throws ArgumentError `trace.names`, with the nearest names; `trace.slice`; `trace.context` for more tokens than the model was made for.
 */
export async function trace(
  device: Device,
  model: Model,
  ids_N: Uint32Array,
  names: readonly string[],
  { ops: usualOps = device.ops, rows, heads, ...change }: TraceSlice & { readonly ops?: Ops } = {},
): Promise<Map<string, Trace>> {
  checkContext('trace', ids_N.length, model.config);
  const wanted = expandNames(names, traceNames(model.config));
  const N = ids_N.length;
  const reader = new Reader(device, model, N, {
    rows_R: indices('rows', rows, N),
    heads: indices('heads', heads, model.config.headCount),
    wanted: new Set(wanted),
  });
  const mark = device.mark();
  try {
    const { ops, tap: tapChanged } = changedOps(device, usualOps, model.config, change);
    const tap = (name: string, tensor: Tensor) => {
      tapChanged(name, tensor);
      reader.see(name, tensor);
    };
    const x_ND = hidden(model, ops, batchOfSequences([ids_N]), { tap, segment: keepOutputs(device) });
    reader.logits('logits', 'probabilities', (rows_R) => model.logits(ops, ops.selectRows(x_ND, rows_R)));
  } finally {
    device.release(mark);
  }
  const found = await reader.found();
  return new Map(wanted.map((name) => [name, found.get(name)!]));
}

/** Checked places of a slice, all of them where none are named. Throws ArgumentError `trace.slice`. */
function indices(what: string, given: readonly number[] | undefined, count: number): Uint32Array {
  if (given === undefined) return Uint32Array.from({ length: count }, (_, i) => i);
  const wrong = Array.from(given).find((index) => !(Number.isInteger(index) && index >= 0 && index < count));
  if (wrong === undefined) return Uint32Array.from(given);
  throw new ArgumentError(
    'trace.slice',
    `trace: ${what} holds ${String(wrong)}, expected whole numbers from 0 to ${count - 1}. Leave ${what} out for all of them.`,
  );
}

interface Wanted {
  readonly rows_R: Uint32Array;
  readonly heads: Uint32Array;
  readonly wanted: ReadonlySet<string>;
}

/** Copies what is wanted out of the device while the model is being computed. Nothing that it makes stays in the arena. */
class Reader {
  private readonly device: Device;
  private readonly model: Model;
  private readonly N: number;
  private readonly slice: Wanted;
  private readonly readings = new Map<string, Promise<Trace>>();
  /** The rotated queries of the block that is being computed, until its keys come. */
  private queries_NQ: Tensor | null = null;

  constructor(device: Device, model: Model, N: number, slice: Wanted) {
    this.device = device;
    this.model = model;
    this.N = N;
    this.slice = slice;
  }

  see(name: string, tensor: Tensor): void {
    const { wanted, rows_R } = this.slice;
    const mark = this.device.mark();
    const state = /^blocks\.(\d+)\.output$/.exec(name)?.[1];
    const names = [name];
    if (name === 'embedding') names.push('hidden.0');
    else if (name === 'norm') names.push('hidden.norm');
    else if (state !== undefined) names.push(`hidden.${Number(state) + 1}`);
    for (const each of names) {
      if (wanted.has(each)) this.readings.set(each, readRows(this.device, tensor, this.N, rows_R));
      this.logits(`${each}.logits`, null, (rows) => {
        const { ops } = this.device;
        return this.model.logits(ops, this.model.norm(ops, ops.selectRows(tensor, rows)));
      });
    }
    const [, block, part] = /^blocks\.(\d+)\.attention\.(\w+)$/.exec(name) ?? [];
    if (part === 'queries') this.queries_NQ = tensor;
    else if (part === 'keys') this.maps(Number(block), this.queries_NQ!, tensor);
    else if (part === 'mix') this.heads(Number(block), tensor);
    this.device.release(mark);
  }

  /** Logits of the wanted rows, by chunks; under the second name their softmax. */
  logits(name: string, softmaxName: string | null, compute: (rows_R: Uint32Array) => Tensor): void {
    const { wanted, rows_R } = this.slice;
    if (!wanted.has(name) && !(softmaxName !== null && wanted.has(softmaxName))) return;
    const V = this.model.config.vocabSize;
    const chunks: Promise<Floats>[] = [];
    for (let first = 0; first < rows_R.length; first += LOGIT_ROWS) {
      const mark = this.device.mark();
      chunks.push(this.device.read(compute(rows_R.subarray(first, first + LOGIT_ROWS))));
      this.device.release(mark);
    }
    const logits = join(chunks, [rows_R.length, V]);
    this.readings.set(name, logits);
    if (softmaxName !== null) this.readings.set(softmaxName, logits.then(softmaxOfRows));
  }

  private maps(block: number, q_NQ: Tensor, k_NP: Tensor): void {
    const { wanted, rows_R, heads } = this.slice;
    const nameOf = (part: string) => `blocks.${block}.attention.${part}`;
    const parts = (['scores', 'probabilities'] as const).filter((part) => wanted.has(nameOf(part)));
    if (parts.length === 0) return;
    const { options, reach } = this.model.blocks[block]!.attention;
    const N = rowCount(k_NP.shape);
    const { spans } = reach(batchOfSequences([new Uint32Array(N)]));
    const slice = { rows_R, heads, wanted: new Set(parts) };
    const readings = attentionMaps(this.device, { q_NQ, k_NP, options, spans, ...slice });
    for (const part of parts) {
      this.readings.set(nameOf(part), join(readings[part], [heads.length, rows_R.length, N]));
    }
  }

  private heads(block: number, mix_NQ: Tensor): void {
    const { wanted, rows_R, heads } = this.slice;
    const name = `blocks.${block}.attention.heads`;
    if (!wanted.has(name)) return;
    const { wo_DQ } = this.model.blocks[block]!;
    const E = this.model.config.headSize;
    this.readings.set(
      name,
      join(headParts(this.device, { mix_NQ, wo_DQ, E, rows_R, heads }), [
        heads.length,
        rows_R.length,
        this.model.config.width,
      ]),
    );
  }

  async found(): Promise<Map<string, Trace>> {
    const names = [...this.readings.keys()];
    const traces = await Promise.all(this.readings.values());
    return new Map(names.map((name, i) => [name, traces[i]!]));
  }
}

/** These rows of an activation, neighbours in one reading. An expert layer's activations hold several rows for each of the sequence. */
function readRows(device: Device, tensor: Tensor, N: number, rows_R: Uint32Array): Promise<Trace> {
  const each = (rowCount(tensor.shape) / N) * columnCount(tensor.shape);
  const parts: Promise<Floats>[] = [];
  for (let r = 0; r < rows_R.length; ) {
    let end = r + 1;
    while (end < rows_R.length && rows_R[end] === rows_R[end - 1]! + 1) end++;
    parts.push(device.read(tensor, rows_R[r]! * each, (end - r) * each));
    r = end;
  }
  return join(parts, [(rows_R.length * rowCount(tensor.shape)) / N, columnCount(tensor.shape)]);
}

async function join(parts: readonly Promise<Floats>[], shape: readonly number[]): Promise<Trace> {
  const read = await Promise.all(parts);
  const [only] = read;
  if (read.length === 1 && only instanceof Float32Array) return { shape, data: only };
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  let at = 0;
  for (const part of read) {
    data.set(part, at);
    at += part.length;
  }
  assert(at === data.length, `trace: read ${at} numbers, expected ${data.length}`);
  return { shape, data };
}

function softmaxOfRows({ shape, data }: Trace): Trace {
  const p_RV = new Float32Array(data.length);
  const V = columnCount(shape);
  const row = new Float64Array(V);
  for (let from = 0; from < data.length; from += V) {
    softmax(row, data.subarray(from, from + V));
    p_RV.set(row, from);
  }
  return { shape, data: p_RV };
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
