/** What kernels do beside computing: remember, store, repeat, decide, call. */
import { body, type Callable, type Item, KernelError, say } from './body.ts';
import { instruction, type Type } from './instructions.ts';
import { I32, split, type Value, type ValueClass, type Vector } from './values.ts';

/** A value that changes. */
export class Variable<V extends Value> {
  readonly #index: number;
  readonly #kind: ValueClass<V>;

  constructor(start: V) {
    this.#kind = start.constructor as ValueClass<V>;
    this.#index = body().local(start.item.type!);
    this.value = start;
  }
  get value(): V {
    return new this.#kind(body().add({ is: 'get', index: this.#index }, [], this.#kind.type));
  }
  set value(to: V) {
    const { type } = this.#kind;
    if (to.item.type !== type) throw new KernelError(`a variable of ${type} is set to ${to.item.type}`);
    body().add({ is: 'set', index: this.#index }, [to.item], null);
  }
}

export function variable<V extends Value>(start: V): Variable<V> {
  return new Variable(start);
}

const stores: Readonly<Record<Type, string>> = {
  i32: 'i32.store',
  i64: 'i64.store',
  f32: 'f32.store',
  f64: 'f64.store',
  v128: 'v128.store',
};

export function store(at: I32, value: Value, offset = 0): void {
  storeBy(stores[value.item.type!], at, value, offset);
}
/**
 * Vectors, one behind the other; all are computed before the first is stored. Where they are said behind the address, none needs a
 * local: what is kept in locals of a loop costs V8 too much to join the pair.
 */
export function storeVectors(at: I32, vectors: readonly Vector[], offset = 0): void {
  const [base, from] = split(at, offset);
  const offsets = vectors.map((_, i) => from + 16 * i);
  const operands = vectors.flatMap(({ item }) => [base.item, item]);
  body().add({ is: 'stores', instruction: instruction(stores.v128), offsets }, operands, null);
}
/** The low 16 bits. */
export function storeHalf(at: I32, value: I32, offset = 0): void {
  storeBy('i32.store16', at, value, offset);
}
/** The low 8 bits. */
export function storeByte(at: I32, value: I32, offset = 0): void {
  storeBy('i32.store8', at, value, offset);
}
function storeBy(name: string, at: I32, value: Value, offset: number): void {
  const [base, from] = split(at, offset);
  say(name, [base.item, value.item], [from]);
}

/** Zeros. */
export function clear(at: I32, bytes: I32 | number): void {
  body().add({ is: 'fill' }, [at.item, I32.of(0).item, I32.of(bytes).item], null);
}
export function copyBytes(to: I32, from: I32, bytes: I32 | number): void {
  body().add({ is: 'copy' }, [to.item, from.item, I32.of(bytes).item], null);
}

/** for (i = from; i < to; i += step), unsigned. */
export function each(from: I32 | number, to: I32 | number, step: I32 | number, write: (i: I32) => void): void {
  const it = body();
  const end = I32.of(to);
  const index = it.local('i32');
  const now = () => new I32(it.add({ is: 'get', index }, [], 'i32'));
  const set = (value: I32) => it.add({ is: 'set', index }, [value.item], null);
  const start = I32.of(from);
  set(start);
  when(start.lt(end), () => {
    repeat(() => {
      write(new I32(it.everywhere({ is: 'local', index }, 'i32')));
      set(now().add(step));
      return now().lt(end);
    });
  });
}

/** do … while what it returns is not 0 */
export function repeat(write: () => I32): void {
  const it = body();
  const block = it.nested((to) => {
    const again = write();
    it.add({ is: 'branch', to }, [again.item], null);
  });
  it.compound({ is: 'loop', body: block }, [], [block]);
}

/** What `leave` is called in, ends where it is called or, with a condition, where that holds. */
export function scope(write: (leave: (condition?: I32) => void) => void): void {
  const it = body();
  const block = it.nested((to) => {
    write((condition) => it.add({ is: 'branch', to }, condition ? [condition.item] : [], null));
  });
  it.compound({ is: 'scope', body: block }, [], [block]);
}

export function when(condition: I32, then: () => void, otherwise: (() => void) | null = null): void {
  const it = body();
  const thenBlock = it.nested(then);
  const otherBlock = otherwise && it.nested(otherwise);
  const blocks = otherBlock ? [thenBlock, otherBlock] : [thenBlock];
  it.compound({ is: 'if', yes: thenBlock, no: otherBlock }, [condition.item], blocks);
}

/** The case of this number; the last one too for all that have none. */
export function dispatch(index: I32, cases: readonly (() => void)[]): void {
  const it = body();
  const blocks = cases.map((write) => it.nested(write));
  it.compound({ is: 'switch', cases: blocks }, [index.item], blocks);
}

/** The values that a function takes or gives, by name. */
export type Signature = Readonly<Record<string, ValueClass<Value>>>;
export type Values<S extends Signature> = { readonly [Name in keyof S]: InstanceType<S[Name]> };

export interface KernelFunction extends Callable {
  readonly write: (parameters: readonly Value[]) => Value | null;
}

/** A function of its own in the module, for what is too long to be written at every place where it is needed. */
export function functionOf<S extends Signature, V extends Value = never>(
  name: string,
  takes: S,
  gives: ValueClass<V> | null,
  write: (values: Values<S>) => V | undefined,
): ((values: Values<S>) => V) & { readonly callee: KernelFunction } {
  const names = Object.keys(takes);
  const it: KernelFunction = {
    name,
    takes: names.map((each) => takes[each]!.type),
    gives: gives?.type ?? null,
    write: (parameters) =>
      write(Object.fromEntries(names.map((each, i) => [each, parameters[i]!])) as Values<S>) ?? null,
  };
  const calling = (values: Values<S>) => {
    const item = call(
      it,
      names.map((each) => values[each]!),
    );
    return gives ? new gives(item) : (undefined as unknown as V);
  };
  return Object.assign(calling, { callee: it });
}

export function call(it: Callable, operands: readonly Value[]): Item {
  return body().add(
    { is: 'call', callee: it },
    operands.map(({ item }) => item),
    it.gives,
  );
}

/** Calls the `index`th function of the module's table, which must have this signature. */
export function callIn(signature: Callable, index: I32, operands: readonly Value[]): Item {
  const items = [...operands, index].map(({ item }) => item);
  return body().add({ is: 'callIn', signature }, items, signature.gives);
}

/** A function that the module imports, for its `imports`, and how it is called. */
export function importOf<S extends Signature>(
  name: string,
  takes: S,
): { readonly callee: Callable; readonly call: (values: Values<S>) => void } {
  const names = Object.keys(takes);
  const callee = { name, takes: names.map((each) => takes[each]!.type), gives: null };
  return {
    callee,
    call: (values) =>
      void call(
        callee,
        names.map((each) => values[each]!),
      ),
  };
}

/** A whole number that an instance of the module keeps between calls: the `index`th of its keptCount. */
export class Kept {
  readonly #index: number;
  constructor(index: number) {
    this.#index = index;
  }
  get value(): I32 {
    return new I32(body().add({ is: 'recall', index: this.#index }, [], 'i32'));
  }
  set value(to: I32) {
    body().add({ is: 'keep', index: this.#index }, [to.item], null);
  }
}
