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
  const { target, exports, imports = [], constants, memory, keptCount = 0 } = options;
  const functions = Object.values(exports);
  const indices = new Map<Callable, number>([...imports, ...functions].map((it, i) => [it, i]));
  const indexOf = (callee: Callable) => {
    const index = indices.get(callee) ?? imports.length + functions.push(callee as KernelFunction) - 1;
    indices.set(callee, index);
    return index;
  };
  const code: Uint8Array[] = [];
  for (let i = 0; i < functions.length; i++) code.push(encode(bodyOf(functions[i]!, target, constants), indexOf));

  const types = [...new Set([...imports, ...functions].map(signatureOf))];
  const typeOf = (it: Callable) => unsigned(types.indexOf(signatureOf(it)));
  const imported = imports.map((it) => [...text('env'), ...text(it.name), 0, ...typeOf(it)]);
  const named = Object.keys(exports).map((name, i) => [...text(name), 0, ...unsigned(imports.length + i)]);
  const limits = [target.isShared ? 3 : 1, ...unsigned(memory.initial), ...unsigned(memory.maximum)];
  const start = [0, 0x41, ...signed(constants.start), 0x0b];
  return joined(
    HEAD,
    ...section(
      1,
      types.map((type) => type.split(',').map(Number)),
    ),
    ...section(2, [...imported, [...text('env'), ...text('memory'), 2, ...limits]]),
    ...section(3, functions.map(typeOf)),
    ...section(6, new Array(keptCount).fill(ZERO_I32)),
    ...section(7, named),
    ...section(10, code),
    ...section(11, [joined(start, sized(new Uint8Array(Int32Array.from(constants.words).buffer)))]),
    ...nameSection([...imports, ...functions]),
  );
}

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
      return new classes[type]!(body.add({ is: 'local', index }, [], type));
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
