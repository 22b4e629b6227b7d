/**
 * A task: a kernel over units that threads share out among themselves in any way. Its arguments have names and types, from which both
 * sides come: the device writes them by name into the control area of the memory, the kernel reads them by name.
 */
import { assert } from '../../base/assert.ts';
import { CONTROL_ARGUMENTS } from '../tasks.ts';
import type { Callable } from './body.ts';
import { F32, I32 } from './values.ts';

/** pointer: bytes from the start of the memory; count: a whole number ≥ 0; real: f32. */
export type ArgumentKind = 'pointer' | 'count' | 'real';
export type Arguments = Readonly<Record<string, ArgumentKind>>;
export type ArgumentValues<A extends Arguments> = { readonly [Name in keyof A]: A[Name] extends 'real' ? F32 : I32 };
export type ArgumentNumbers<A extends Arguments> = { readonly [Name in keyof A]: number };

/** Units `first` to `last` − 1; `thread` numbers the thread that does them. */
export interface Units {
  readonly first: I32;
  readonly last: I32;
  readonly thread: I32;
}

export interface Task<A extends Arguments = Arguments> {
  readonly name: string;
  readonly takes: A;
  readonly write: (units: Units) => void;
  /** Functions of the host that it calls. */
  readonly imports: readonly Callable[];
}

export function task<A extends Arguments>(
  name: string,
  takes: A,
  write: (values: ArgumentValues<A>, units: Units) => void,
  imports: readonly Callable[] = [],
): Task<A> {
  return { name, takes, write: (units) => write(valuesOf(takes), units), imports };
}

/** Words of the control area, in the order of the record. */
function valuesOf<A extends Arguments>(takes: A): ArgumentValues<A> {
  const at = I32.of(CONTROL_ARGUMENTS);
  const values = Object.entries(takes).map(([name, kind], i) => {
    const value = kind === 'real' ? F32.load(at, 4 * i) : I32.load(at, 4 * i);
    value.item.name = name;
    return [name, value];
  });
  return Object.fromEntries(values) as ArgumentValues<A>;
}

/** Writes the arguments where the kernel reads them: `ints` and `floats` are the same words. */
export function writeArguments<A extends Arguments>(
  { takes }: Task<A>,
  numbers: ArgumentNumbers<A>,
  ints: Int32Array,
  floats: Float32Array,
): void {
  let i = 0;
  for (const name in takes) {
    if (takes[name] === 'real') floats[i] = numbers[name];
    else ints[i] = numbers[name];
    i++;
  }
}

/** Bytes from the start of the arguments to the one of this name. */
export function argumentOffset({ name: task, takes }: Pick<Task, 'name' | 'takes'>, name: string): number {
  const index = Object.keys(takes).indexOf(name);
  assert(index >= 0, `kernels: task ${task} has no argument ${name}`);
  return 4 * index;
}
