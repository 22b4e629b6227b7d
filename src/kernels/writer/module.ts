/** A module of kernels. Source: WebAssembly core specification 3.0, §5.5 (modules). */
import { Body, type Callable, type ConstantPool, type Target, within } from './body.ts';
import { encode } from './encode.ts';
import { joined, signed, sized, type Type, typeCodes, unsigned } from './instructions.ts';
import type { KernelFunction } from './statements.ts';
import { F32, F32x4, F64, I32, type Value } from './values.ts';

export interface ModuleOptions {
  readonly target: Target;
  /** By the names that the module exports them under. */
  readonly exports: Readonly<Record<string, KernelFunction>>;
  /** Functions that are imported as env.NAME. */
  readonly imports?: readonly Callable[];
  /** A table of functions of one signature, exported by its name; each entry is `first` until the host sets another. */
  readonly table?: { readonly name: string; readonly count: number; readonly first: Callable };
  /** Whole numbers that an instance keeps between calls, 0 at first (statements.ts: Kept). */
  readonly keptCount?: number;
  readonly constants: ConstantPool;
  /** Of the memory that is imported as env.memory, in pages of 64 KiB. */
  readonly memory: { readonly initial: number; readonly maximum: number };
}

/** A memory of any size that an engine takes. */
export const MEMORY = { initial: 2, maximum: 65536 } as const;

/** The bytes of the module: the exported functions and all that they call. */
export function moduleOf(options: ModuleOptions): Uint8Array<ArrayBuffer> {
  const { target, exports, imports = [], constants, memory, table, keptCount = 0 } = options;
  const functions = Object.values(exports);
  const numbers = new Map<Callable, number>([...imports, ...functions].map((it, i) => [it, i]));
  const indexOf = (callee: Callable) => {
    const index = numbers.get(callee) ?? imports.length + functions.push(callee as KernelFunction) - 1;
    numbers.set(callee, index);
    return index;
  };
  const types: string[] = [];
  const ofType = (it: Callable) => {
    const signature = signatureOf(it);
    const index = types.indexOf(signature);
    return index >= 0 ? index : types.push(signature) - 1;
  };
  const typeOf = (it: Callable) => unsigned(ofType(it));
  const indices = { of: indexOf, ofType };
  const code: Uint8Array[] = [];
  for (let i = 0; i < functions.length; i++) code.push(encode(bodyOf(functions[i]!, target, constants), indices));

  const imported = imports.map((it) => [...text('env'), ...text(it.name), 0, ...typeOf(it)]);
  const declared = functions.map(typeOf);
  // Those that others call too, by their numbers, so that a host can have each optimized.
  const names = Object.keys(exports);
  const named = functions.map((_, i) => [...text(names[i] ?? String(i)), 0, ...unsigned(imports.length + i)]);
  const limits = [target.isShared ? 3 : 1, ...unsigned(memory.initial), ...unsigned(memory.maximum)];
  const words = Int32Array.from(constants.words);
  const start = [0, 0x41, ...signed(constants.start), 0x0b];
  return joined(
    HEAD,
    ...section(
      1,
      types.map((type) => type.split(',').map(Number)),
    ),
    ...section(2, [...imported, [...text('env'), ...text('memory'), 2, ...limits]]),
    ...section(3, declared),
    ...(table ? section(4, [[FUNCREF, 1, ...unsigned(table.count), ...unsigned(table.count)]]) : []),
    ...section(6, new Array(keptCount).fill(ZERO_I32)),
    ...section(7, table ? [...named, [...text(table.name), 1, 0]] : named),
    ...(table ? section(9, [entriesOf(table.count, indexOf(table.first))]) : []),
    ...section(10, code),
    ...section(11, words.length > 0 ? [joined(start, sized(new Uint8Array(words.buffer)))] : []),
    ...nameSection([...imports, ...functions]),
  );
}

const FUNCREF = 0x70;

/** Elements of table 0 from 0 on: as many times the same function. */
const entriesOf = (count: number, index: number): number[] => [
  ...[0, 0x41, 0, 0x0b, ...unsigned(count)],
  ...new Array(count).fill(unsigned(index)).flat(),
];

/** A global: i32, mutable, i32.const 0, end. */
const ZERO_I32 = [0x7f, 1, 0x41, 0, 0x0b];

/** "\0asm", version 1. */
const HEAD = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

function section(id: number, entries: readonly ArrayLike<number>[]): ArrayLike<number>[] {
  return [[id], sized(unsigned(entries.length), ...entries)];
}

const classes: Partial<Record<Type, new (item: Value['item']) => Value>> = {
  i32: I32,
  f32: F32,
  f64: F64,
  v128: F32x4,
};

/** Runs what the function says. */
export function bodyOf(it: KernelFunction, target: Target, constants: ConstantPool): Body {
  const body = new Body(it.name, it.takes, target, constants);
  within(body, () => {
    const parameters = it.takes.map((type, index) => {
      return new classes[type]!(body.everywhere({ is: 'local', index }, type));
    });
    const result = it.write(parameters);
    if (result) body.add({ is: 'return' }, [result.item], null);
  });
  return body;
}

function signatureOf({ takes, gives }: Callable): string {
  const inputs = takes.map((type) => typeCodes[type]);
  return [0x60, inputs.length, ...inputs, ...(gives ? [1, typeCodes[gives]] : [0])].join(',');
}

/** What profilers and traces call the functions. Source: WebAssembly core specification 3.0, appendix, name section. */
function nameSection(functions: readonly Callable[]): ArrayLike<number>[] {
  const names = functions.map(({ name }, i) => [...unsigned(i), ...text(name)]);
  return [[0], sized(text('name'), [1], sized(unsigned(names.length), ...names))];
}

function text(value: string): number[] {
  const bytes = [...new TextEncoder().encode(value)];
  return [...unsigned(bytes.length), ...bytes];
}
