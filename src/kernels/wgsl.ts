/**
 * How the rooms write their kernels for WebGPU: a kernel is a small WGSL body and the names of what it reads, writes and is told.
 * This file adds what all of them need around it.
 *
 * Names    A body sees its parameters and its buffers by name, `group` (the number of its workgroup) and `lane` (its invocation's
 *          number in it). More than one dimension of workgroups is only ever used to go beyond a dimension's limit.
 * Numbers  f32. What is NaN or infinite may come out otherwise than on a CPU: WGSL allows it. Kernels never rely on the initial value of
 *          workgroup memory.
 * Source   W3C, WebGPU Shading Language, §4.4 (uniformity: barriers in loops need bounds from uniforms or read-only buffers), §14.
 */

export type ParameterType = 'u32' | 'i32' | 'f32';
/** What an array in a buffer holds; a kernel with vec4h enables f16. */
export type ElementType = 'f32' | 'vec2f' | 'vec4f' | 'vec4h' | 'u32' | 'vec2u' | 'vec4u';

export interface Kernel<Parameter extends string = string, Buffer extends string = string> {
  readonly name: string;
  readonly parameters: Readonly<Record<Parameter, ParameterType>>;
  readonly buffers: Readonly<Record<Buffer, BufferUse>>;
  readonly code: string;
}

export interface BufferUse {
  readonly type: ElementType;
  readonly isWritten: boolean;
}

export interface KernelText<Parameter extends string, Input extends string, Output extends string> {
  readonly name: string;
  readonly workgroup: number;
  readonly parameters?: Readonly<Record<Parameter, ParameterType>>;
  /** Read-only buffers. */
  readonly inputs: Readonly<Record<Input, ElementType>>;
  /** Buffers that are written, and may be read. */
  readonly outputs: Readonly<Record<Output, ElementType>>;
  /** The body may join the lanes of a subgroup: `subgroup`, its number, `subgroupLane` and `subgroupSize`; lanes are numbered by them. */
  readonly subgroups?: boolean;
  /** Directives for what of the language not everybody has: `requires …;`, `enable …;`. */
  readonly requires?: string;
  /** Workgroup memory and functions. */
  readonly declarations?: string;
  readonly body: string;
}

/** The parameter that every kernel has first: how many workgroups have work. */
const GROUPS = 'groups';

export function kernel<Parameter extends string, Input extends string, Output extends string>(
  text: KernelText<Parameter, Input, Output>,
): Kernel<Parameter, Input | Output> {
  const { name, workgroup, inputs, outputs, subgroups = false, requires = '', declarations = '', body } = text;
  const parameters = (text.parameters ?? {}) as Readonly<Record<Parameter, ParameterType>>;
  const buffers = Object.fromEntries([
    ...Object.entries<ElementType>(inputs).map(([key, type]) => [key, { type, isWritten: false }]),
    ...Object.entries<ElementType>(outputs).map(([key, type]) => [key, { type, isWritten: true }]),
  ]) as Record<Input | Output, BufferUse>;
  const members = [[GROUPS, 'u32'], ...Object.entries<ParameterType>(parameters)];
  const code = `${subgroups ? 'enable subgroups;\nrequires subgroup_id;' : ''}${requires}
struct Parameters {
${members.map(([key, type]) => `  ${key}: ${type},`).join('\n')}
}
@group(0) @binding(0) var<uniform> parameters: Parameters;
${Object.entries<BufferUse>(buffers)
  .map(([key, { type, isWritten }], i) => {
    const access = isWritten ? 'read_write' : 'read';
    return `@group(0) @binding(${i + 1}) var<storage, ${access}> ${key}: array<${type}>;`;
  })
  .join('\n')}
${declarations}
@compute @workgroup_size(${workgroup})
fn main(
  @builtin(workgroup_id) workgroupId: vec3u,
  @builtin(num_workgroups) workgroupCounts: vec3u,
${
  subgroups
    ? `  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) subgroupLane: u32,
  @builtin(subgroup_size) subgroupSize: u32,`
    : '  @builtin(local_invocation_index) lane: u32,'
}
) {
${subgroups ? '  let lane = subgroup * subgroupSize + subgroupLane;' : ''}
  let group = workgroupId.x + workgroupId.y * workgroupCounts.x;
  if (group >= parameters.groups) { return; }
${Object.keys(parameters)
  .map((key) => `  let ${key} = parameters.${key};`)
  .join('\n')}
${body}
}
`;
  return { name, parameters, buffers, code };
}

/** Elements of a workgroup of the kernels that go element by element. */
export const ELEMENTS = 256;

/** A kernel of one invocation an element `i` of `count`. */
export function elementwise<Parameter extends string, Input extends string, Output extends string>(
  text: Omit<KernelText<Parameter, Input, Output>, 'workgroup'>,
): Kernel<Parameter | 'count', Input | Output> {
  const parameters = { count: 'u32', ...text.parameters } as Record<Parameter | 'count', ParameterType>;
  const body = `  let i = group * ${ELEMENTS}u + lane;
  if (i >= count) { return; }
${text.body}`;
  return kernel({ ...text, parameters, workgroup: ELEMENTS, body });
}

/** The same text for ever: a kernel per choice, written once. */
export function perChoice<Choice extends string | number, K>(write: (choice: Choice) => K): (choice: Choice) => K {
  const written = new Map<Choice, K>();
  return (choice) => {
    let found = written.get(choice);
    if (!found) {
      found = write(choice);
      written.set(choice, found);
    }
    return found;
  };
}

/**
 * `NAME(value, lane)`: what `join` makes of the values of a workgroup's invocations, in pairs, in a fixed order; every invocation gets
 * it. All of them must call it.
 */
export function joinGroup(name: string, workgroup: number, join: (a: string, b: string) => string): string {
  return `
var<workgroup> ${name}Values: array<f32, ${workgroup}>;
fn ${name}(value: f32, lane: u32) -> f32 {
  workgroupBarrier();
  ${name}Values[lane] = value;
  for (var half = ${workgroup / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { ${name}Values[lane] = ${join(`${name}Values[lane]`, `${name}Values[lane + half]`)}; }
  }
  workgroupBarrier();
  return ${name}Values[0];
}`;
}

export const sumGroup = (workgroup: number) => joinGroup('sumGroup', workgroup, (a, b) => `${a} + ${b}`);
export const maxGroup = (workgroup: number) => joinGroup('maxGroup', workgroup, (a, b) => `max(${a}, ${b})`);

/** A line for each number from 0 on. */
export function unrolled(count: number, line: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => line(i)).join('\n');
}

/** Lines for eight numbers `v`: written out where speed counts, as a loop where a short text does. */
export function eightTimes(isWrittenOut: boolean, line: (v: string) => string): string {
  if (isWrittenOut) return unrolled(8, (v) => line(`${v}u`));
  return `for (var v = 0u; v < 8u; v++) {
${line('v')}
}`;
}

/** Below every score that can be met; an infinity that is written out does not compile. */
export const LOWEST = '-3.4e38';
