/**
 * Which dispatches become one. The queue holds calls back until something is read or a block of a model is over; then it is known which
 * of their results were released, and a result that is released and has one reader need not pass through memory. Where somebody looks at
 * a value between (a tape, a trace), it is not released, and the calls stay as they are.
 *
 * Of a block of LLaMA at decode seven or eight dispatches are left: norm + q; norm + k, v; rotations + cache; attention (two, where keys
 * are split); output + sum; norm + gate, up + SwiGLU; down + sum. No more buffers are bound than the eight that every adapter has.
 */
import { add } from '../../kernels/add/webgpu.ts';
import { appendKeyOf, ropeAndAppend } from '../../kernels/attention/append.webgpu.ts';
import { type GateForm, gateFormOf } from '../../kernels/gated/webgpu.ts';
import { type MatvecChoice, matvec, matvecChoiceOf, matvecGroupRows } from '../../kernels/gemm/matvec.webgpu.ts';
import { rmsNorm } from '../../kernels/rms-norm/webgpu.ts';
import { rope } from '../../kernels/rope/webgpu.ts';
import { ELEMENTS, type Kernel } from '../../kernels/wgsl.ts';
import type { Region } from './memory.ts';

/** What a call does: a kernel, what it is given, the bytes that it moves at least, and its arithmetic (queue.ts, KernelCount). */
export interface Dispatch {
  readonly kernel: Kernel;
  readonly buffers: Readonly<Record<string, Region>>;
  readonly parameters: Readonly<Record<string, number>>;
  readonly groups: number;
  readonly bytes: number;
  readonly flops: number;
}

/** A dispatch that is held back, and what it has to do with the others. */
export interface Call extends Dispatch {
  readonly uses: Uses;
  /** In the order of `uses`. */
  readonly regions: readonly Region[];
  /** In the same order: the call that wrote what this one finds there; null: none that is held back. */
  readonly sources: (Call | null)[];
  /** Later calls that find in their buffers what this one wrote. */
  readonly readers: Call[];
  /** What it wrote was released. */
  isDead: boolean;
}

/** The buffers of a kernel. */
interface Uses {
  readonly names: readonly string[];
  readonly isWritten: readonly boolean[];
}

/** Calls that become one in the place of the last of them. `read`: calls that stay, whose inputs it reads instead of their results. */
interface Join extends Dispatch {
  readonly members: readonly Call[];
  readonly read?: readonly Call[];
}

/** `last` is the call that stands last; null where it does not end this pattern. */
type Pattern = (last: Call, calls: readonly Call[]) => Join | null;

/** In this order: a product takes what stands behind it before the norm in front of it, which then has one reader less. */
const patterns: readonly Pattern[] = [
  ropesIntoAppend, // rope(q), rope(k), appendToCache
  linearIntoAdd, // linear, add
  linearsIntoGate, // linear, linear, gated
  neighbours, // linear, linear
  normIntoLinear, // rmsNorm, linear
];

const usesByKernel = new WeakMap<Kernel, Uses>();

function usesOf(kernel: Kernel): Uses {
  const known = usesByKernel.get(kernel);
  if (known) return known;
  const names = Object.keys(kernel.buffers);
  const made = { names, isWritten: names.map((name) => kernel.buffers[name]!.isWritten) };
  usesByKernel.set(kernel, made);
  return made;
}

function callOf(dispatch: Dispatch, isDead: boolean): Call {
  const { kernel, buffers, parameters, groups, bytes, flops } = dispatch;
  const uses = usesOf(kernel);
  const regions = uses.names.map((name) => buffers[name]!);
  const sources = regions.map(() => null);
  return { kernel, buffers, parameters, groups, bytes, flops, uses, regions, sources, readers: [], isDead };
}

/** Takes note of a call: what it reads of those before it, and that it is now the one who wrote its outputs. */
export function hold(dispatch: Dispatch): Call {
  const call = callOf(dispatch, false);
  const { regions, uses } = call;
  for (let i = 0; i < regions.length; i++) if (regions[i]!.writer) setSource(call, i, regions[i]!.writer!);
  for (let i = 0; i < regions.length; i++) if (uses.isWritten[i]) regions[i]!.writer = call;
  return call;
}

function setSource(call: Call, i: number, source: Call): void {
  call.sources[i] = source;
  if (!source.readers.includes(call)) source.readers.push(call);
}

const sourceOf = (call: Call, name: string): Call | null => call.sources[call.uses.names.indexOf(name)] ?? null;

/** The same work in fewer dispatches. The calls are held no more. */
export function joined(held: readonly Call[]): Dispatch[] {
  const calls = held.slice();
  for (const { regions } of held) for (const region of regions) region.writer = null;
  for (const pattern of patterns) {
    for (let i = 0; i < calls.length; i++) {
      const join = pattern(calls[i]!, calls);
      if (!join || !isAllowed(join, calls, i)) continue;
      calls[i] = replace(join);
      for (const member of join.members.slice(0, -1)) {
        calls.splice(calls.indexOf(member), 1);
        i--;
      }
    }
  }
  return calls.filter((call) => !(call.kernel === rmsNorm && call.isDead && call.readers.length === 0));
}

/** Whether nothing between the first and the last of a join meets its buffers otherwise than before, and none is read and written. */
function isAllowed({ members, read = [], buffers, kernel }: Join, calls: readonly Call[], to: number): boolean {
  for (const early of members) if (!mayMove(early, true, members, calls, to)) return false;
  for (const early of read) if (!mayMove(early, false, members, calls, to)) return false;
  const { names, isWritten } = usesOf(kernel);
  return names.every(
    (name, i) => !isWritten[i] || names.every((other) => other === name || buffers[other] !== buffers[name]),
  );
}

/** Whether a call, or its reading alone, may happen as late as the call `to`. */
function mayMove(
  early: Call,
  withWrites: boolean,
  members: readonly Call[],
  calls: readonly Call[],
  to: number,
): boolean {
  for (let i = calls.indexOf(early) + 1; i < to; i++) {
    const later = calls[i]!;
    if (members.includes(later)) continue;
    for (let a = 0; a < early.regions.length; a++) {
      const isWritten = withWrites && early.uses.isWritten[a]!;
      const b = later.regions.indexOf(early.regions[a]!);
      if (b < 0) continue;
      if (isWritten || later.uses.isWritten[b] || later.uses.isWritten[later.regions.lastIndexOf(early.regions[a]!)])
        return false;
    }
  }
  return true;
}

function replace(join: Join): Call {
  const { members, read = [] } = join;
  const made = callOf(join, members.at(-1)!.isDead);
  for (const member of members) {
    for (const source of member.sources) {
      const at = source ? source.readers.indexOf(member) : -1;
      if (at >= 0) source!.readers.splice(at, 1);
    }
  }
  for (const member of [...members, ...read]) {
    for (let i = 0; i < member.sources.length; i++) {
      const source = member.sources[i];
      const own = made.regions.indexOf(member.regions[i]!);
      if (source && own >= 0 && !members.includes(source) && !read.includes(source)) setSource(made, own, source);
    }
  }
  for (const member of members) {
    for (const reader of member.readers) {
      if (members.includes(reader)) continue;
      for (let i = 0; i < reader.sources.length; i++) if (reader.sources[i] === member) setSource(reader, i, made);
    }
  }
  return made;
}

/** Its result is released, and nobody but this reader has seen it. */
const isOnlyFor = (reader: Call, call: Call | null): call is Call =>
  call?.isDead === true && call.readers.length === 1 && call.readers[0] === reader;

/** The choice of a product that has nothing around it and makes whole rows of its output. */
function plainProduct(call: Call | null): MatvecChoice | null {
  const choice = call ? matvecChoiceOf(call.kernel) : null;
  if (!call || !choice || choice.norm || choice.second || choice.end) return null;
  return call.parameters.pieceRows === call.parameters.O ? choice : null;
}

const FLOAT = 4;
const inputBytes = ({ parameters: { N, I } }: Call) => N! * I! * FLOAT;
const outputBytes = ({ parameters: { N, O } }: Call) => N! * O! * FLOAT;

function ropesIntoAppend(append: Call, calls: readonly Call[]): Join | null {
  const key = appendKeyOf(append.kernel);
  const keys = sourceOf(append, 'k_NP');
  if (!key || !keys || !isRope(keys) || !isOnlyFor(append, keys)) return null;
  const { x_NQ: k_NP, rotation_NE } = keys.buffers;
  const queries = calls.findLast(
    (call) =>
      call !== keys && isRope(call) && call.buffers.rotation_NE === rotation_NE && isBefore(call, append, calls),
  );
  if (!queries) return null;
  const queryPairs = queries.parameters.count!;
  const count = queryPairs + append.parameters.count!;
  return {
    members: [queries, keys, append],
    kernel: ropeAndAppend(key),
    buffers: {
      ...append.buffers,
      q_NQ: queries.buffers.x_NQ!,
      k_NP: k_NP!,
      rotation_NE: rotation_NE!,
      y_NQ: queries.buffers.y_NQ!,
    },
    parameters: { ...append.parameters, Q: queries.parameters.Q!, queryPairs, count },
    groups: Math.ceil(count / ELEMENTS),
    bytes: queries.bytes + append.bytes,
    flops: 0,
  };
}

const isRope = ({ kernel, parameters }: Call) => kernel === rope && parameters.sign === 1 && parameters.adds === 0;
const isBefore = (a: Call, b: Call, calls: readonly Call[]) => calls.indexOf(a) < calls.indexOf(b);

function linearIntoAdd(sum: Call): Join | null {
  if (sum.kernel !== add) return null;
  const { x_ND, y_ND, z_ND } = sum.buffers;
  if (x_ND === y_ND) return null;
  const [product, added] = isOnlyFor(sum, sourceOf(sum, 'y_ND'))
    ? [sourceOf(sum, 'y_ND')!, x_ND!]
    : [sourceOf(sum, 'x_ND'), y_ND!];
  const choice = plainProduct(product);
  if (!choice || !isOnlyFor(sum, product)) return null;
  return {
    ...product,
    members: [product, sum],
    kernel: matvec({ ...choice, end: 'add' }),
    buffers: { ...product.buffers, added_NO: added, y_NO: z_ND! },
    bytes: product.bytes + outputBytes(product),
  };
}

/** Two products that may be one: of the same rows, with matrices of one shape, without a bias. */
function twins(first: Call | null, second: Call | null, end?: GateForm) {
  const [choice, other] = [plainProduct(first), plainProduct(second)];
  if (!first || !second || !choice || !other) return null;
  const [a, b] = [first.parameters, second.parameters];
  if (first.buffers.x_NI !== second.buffers.x_NI || sourceOf(first, 'x_NI') !== sourceOf(second, 'x_NI')) return null;
  if (a.N !== b.N || a.I !== b.I || a.O !== b.O || a.hasBias || b.hasBias) return null;
  const both = { ...choice, second: other.type, ...(end && { end }) };
  const { x_NI, quants, rest, y_NO } = first.buffers;
  const buffers = { x_NI: x_NI!, quants: quants!, rest: rest!, y_NO: y_NO! };
  return {
    kernel: matvec(both),
    buffers: { ...buffers, quantsOfSecond: second.buffers.quants!, restOfSecond: second.buffers.rest! },
    parameters: a,
    groups: Math.ceil(a.O! / matvecGroupRows(both)),
    bytes: first.bytes + second.bytes - inputBytes(first),
    flops: first.flops + second.flops,
  };
}

function linearsIntoGate(gate: Call): Join | null {
  const form = gateFormOf(gate.kernel);
  const [first, second] = [sourceOf(gate, 'gate_NF'), sourceOf(gate, 'up_NF')];
  if (!form || !isOnlyFor(gate, first) || !isOnlyFor(gate, second)) return null;
  const both = twins(first, second, form);
  if (!both) return null;
  return {
    ...both,
    members: [first, second, gate],
    buffers: { ...both.buffers, y_NO: gate.buffers.y_NF! },
    parameters: { ...both.parameters, limit: gate.parameters.limit! },
    bytes: both.bytes - outputBytes(first),
  };
}

function neighbours(second: Call, calls: readonly Call[]): Join | null {
  if (!plainProduct(second)) return null;
  for (const first of calls) {
    if (first === second) return null;
    const both = twins(first, second);
    if (both) {
      const buffers = { ...both.buffers, second_NO: second.buffers.y_NO! };
      return { ...both, members: [first, second], buffers };
    }
  }
  return null;
}

function normIntoLinear(linear: Call): Join | null {
  const choice = matvecChoiceOf(linear.kernel);
  const norm = sourceOf(linear, 'x_NI');
  if (!choice || choice.norm || !norm || norm.kernel !== rmsNorm || !norm.isDead) return null;
  if (norm.parameters.D !== linear.parameters.I) return null;
  for (const reader of norm.readers) if (!matvecChoiceOf(reader.kernel)) return null;
  const { x_ND, gain_D } = norm.buffers as { readonly x_ND: Region; readonly gain_D: Region };
  const buffers = { ...linear.buffers, x_NI: x_ND, gain_I: gain_D };
  // What stands in the place of a bias that there is not.
  if (linear.parameters.hasBias === 0 && 'bias_O' in buffers) buffers.bias_O = x_ND;
  return {
    ...linear,
    members: [linear],
    read: [norm],
    kernel: matvec({ ...choice, norm: true }),
    buffers,
    parameters: { ...linear.parameters, eps: norm.parameters.eps! },
    bytes: linear.bytes + linear.parameters.I! * FLOAT,
  };
}
