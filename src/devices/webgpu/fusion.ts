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
  /** By buffer: the call that wrote what this one finds there. */
  readonly sources: Map<string, Call>;
  /** Later calls that find in their buffers what this one wrote. */
  readonly readers: Set<Call>;
  /** What it wrote was released. */
  isDead: boolean;
}

/** Calls that become one in the place of the last of them. `read`: calls that stay, whose inputs it reads instead of their results. */
interface Join extends Dispatch {
  readonly members: readonly Call[];
  readonly read?: readonly Call[];
}

/** `last` is the call that stands last; null where it does not end this pattern. */
type Pattern = (last: Call, calls: readonly Call[]) => Join | null;

/** In this order: a product takes what stands behind it before the norm in front of it, which then has one reader less. */
const patterns: { readonly [name: string]: Pattern } = {
  'rope(q), rope(k), appendToCache': ropesIntoAppend,
  'linear, add': linearIntoAdd,
  'linear, linear, gated': linearsIntoGate,
  'linear, linear': neighbours,
  'rmsNorm, linear': normIntoLinear,
};

/** Takes note of a call: what it reads of those before it, and that it is now the one who wrote its outputs. */
export function hold(dispatch: Dispatch): Call {
  const call: Call = { ...dispatch, sources: new Map(), readers: new Set(), isDead: false };
  const { buffers, kernel } = dispatch;
  for (const name in buffers) {
    const source = buffers[name]!.writer;
    if (!source) continue;
    call.sources.set(name, source);
    source.readers.add(call);
  }
  for (const name in buffers) if (kernel.buffers[name]!.isWritten) buffers[name]!.writer = call;
  return call;
}

/** The same work in fewer dispatches. The calls are held no more. */
export function joined(held: readonly Call[]): Dispatch[] {
  let calls = [...held];
  for (const { buffers } of held) for (const name in buffers) buffers[name]!.writer = null;
  for (const name in patterns) {
    for (let i = 0; i < calls.length; i++) {
      const join = patterns[name]!(calls[i]!, calls);
      if (!join || !isAllowed(join, calls)) continue;
      const made = replace(join);
      calls = calls.flatMap((call) =>
        call === join.members.at(-1) ? [made] : join.members.includes(call) ? [] : [call],
      );
      i = calls.indexOf(made);
    }
  }
  return calls.filter((call) => !(call.kernel === rmsNorm && call.isDead && call.readers.size === 0));
}

/** Whether nothing between the first and the last of a join meets its buffers otherwise than before, and none is read and written. */
function isAllowed({ members, read = [], buffers, kernel }: Join, calls: readonly Call[]): boolean {
  const to = calls.indexOf(members.at(-1)!);
  for (const early of [...members, ...read]) {
    for (let i = calls.indexOf(early) + 1; i < to; i++) {
      const between = calls[i]!;
      if (!members.includes(between) && meets(early, between, !read.includes(early))) return false;
    }
  }
  for (const name in buffers) {
    if (!kernel.buffers[name]!.isWritten) continue;
    for (const other in buffers) if (other !== name && buffers[other] === buffers[name]) return false;
  }
  return true;
}

/** Whether it matters in which order two calls come: one writes what the other reads or, where the first moves, writes. */
function meets(early: Call, later: Call, moves: boolean): boolean {
  for (const name in early.buffers) {
    const isWritten = moves && early.kernel.buffers[name]!.isWritten;
    for (const other in later.buffers) {
      if (early.buffers[name] !== later.buffers[other]) continue;
      if (isWritten || later.kernel.buffers[other]!.isWritten) return true;
    }
  }
  return false;
}

function replace({ members, read = [], ...dispatch }: Join): Call {
  const last = members.at(-1)!;
  const made: Call = { ...dispatch, sources: new Map(), readers: new Set(), isDead: last.isDead };
  for (const member of [...members, ...read]) {
    for (const [name, source] of member.sources) {
      if (members.includes(source) || read.includes(source)) continue;
      const inMade = Object.keys(dispatch.buffers).find((own) => dispatch.buffers[own] === member.buffers[name]);
      if (inMade) made.sources.set(inMade, source);
    }
  }
  for (const member of members) {
    for (const source of member.sources.values()) source.readers.delete(member);
    for (const reader of member.readers) {
      if (members.includes(reader)) continue;
      for (const [name, source] of reader.sources) if (source === member) reader.sources.set(name, made);
      made.readers.add(reader);
    }
  }
  for (const source of made.sources.values()) source.readers.add(made);
  return made;
}

/** Its result is released, and nobody but this reader has seen it. */
const isOnlyFor = (reader: Call, call: Call | undefined): call is Call =>
  call?.isDead === true && call.readers.size === 1 && call.readers.has(reader);

/** The choice of a product that has nothing around it and makes whole rows of its output. */
function plainProduct(call: Call | undefined): MatvecChoice | null {
  const choice = call ? matvecChoiceOf(call.kernel) : null;
  if (!call || !choice || choice.norm || choice.second || choice.end) return null;
  return call.parameters.pieceRows === call.parameters.O ? choice : null;
}

const FLOAT = 4;
const inputBytes = ({ parameters: { N, I } }: Call) => N! * I! * FLOAT;
const outputBytes = ({ parameters: { N, O } }: Call) => N! * O! * FLOAT;

function ropesIntoAppend(append: Call, calls: readonly Call[]): Join | null {
  const key = appendKeyOf(append.kernel);
  const keys = append.sources.get('k_NP');
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
  const [product, added] = isOnlyFor(sum, sum.sources.get('y_ND'))
    ? [sum.sources.get('y_ND')!, x_ND!]
    : [sum.sources.get('x_ND'), y_ND!];
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
function twins(first: Call | undefined, second: Call | undefined, end?: GateForm) {
  const [choice, other] = [plainProduct(first), plainProduct(second)];
  if (!first || !second || !choice || !other) return null;
  const [a, b] = [first.parameters, second.parameters];
  if (first.buffers.x_NI !== second.buffers.x_NI || first.sources.get('x_NI') !== second.sources.get('x_NI'))
    return null;
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
  const [first, second] = [gate.sources.get('gate_NF'), gate.sources.get('up_NF')];
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
  const norm = linear.sources.get('x_NI');
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
