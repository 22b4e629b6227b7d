/**
 * A kernel while it is written. Running the TypeScript function of a kernel records what it says, in order: an item for every operation,
 * in blocks that nest as loops and conditions do. A value is an item, computed once where it was said, however often it is used.
 * encode.ts makes bytes of it.
 */
import { type Instruction, instruction, type Type } from './instructions.ts';

export type What =
  | { readonly is: 'instruction'; readonly instruction: Instruction; readonly immediates: readonly number[] }
  | { readonly is: 'constant'; readonly number: number }
  /** A parameter, or a counter within its loop: never changes while it can be seen. */
  | { readonly is: 'local'; readonly index: number }
  | { readonly is: 'get' | 'set'; readonly index: number }
  /** Of a number that an instance keeps between calls. */
  | { readonly is: 'recall' | 'keep'; readonly index: number }
  | { readonly is: 'call'; readonly callee: Callable }
  | { readonly is: 'fill' | 'copy' | 'return' }
  | { readonly is: 'if'; readonly yes: Block; readonly no: Block | null }
  | { readonly is: 'loop' | 'scope'; readonly body: Block }
  /** To the end of a scope or, of a loop, to its start; with an operand, if that is not 0. */
  | { readonly is: 'branch'; readonly to: Block }
  | { readonly is: 'switch'; readonly cases: readonly Block[] };

export interface Item {
  readonly what: What;
  readonly operands: readonly Item[];
  readonly type: Type | null;
  readonly block: Block;
  readonly index: number;
  readonly users: Item[];
}

export class Block {
  readonly body: Body;
  readonly items: Item[] = [];
  /** Constants that this block loads, by their addresses. */
  readonly loaded = new Map<number, Item>();
  /** The item that this block is part of; null: the function's own block. */
  owner: Item | null = null;

  readonly #outer: Block | null;

  constructor(body: Body, outer: Block | null = null) {
    this.body = body;
    this.#outer = outer;
  }

  /** What this block, or one around it, has loaded from there. */
  find(address: number): Item | null {
    return this.loaded.get(address) ?? this.#outer?.find(address) ?? null;
  }
}

/** A function of the module that is written, as calls name it. */
export interface Callable {
  readonly name: string;
  readonly takes: readonly Type[];
  readonly gives: Type | null;
}

/** What a module is written for. */
export interface Target {
  /** Relaxed SIMD: fused multiply-add, swizzle, products of i8 in pairs. */
  readonly isRelaxed: boolean;
  /** … and the processor multiplies four i8 at a time with i32 sums. */
  readonly hasDot: boolean;
  readonly isShared: boolean;
}

export class Body {
  readonly name: string;
  readonly target: Target;
  readonly parameterCount: number;
  /** Types of all locals, the parameters first. */
  readonly locals: Type[];
  readonly block = new Block(this);
  readonly constants: ConstantPool;
  current = this.block;

  constructor(name: string, parameters: readonly Type[], target: Target, constants: ConstantPool) {
    this.name = name;
    this.parameterCount = parameters.length;
    this.locals = [...parameters];
    this.target = target;
    this.constants = constants;
  }

  add(what: What, operands: readonly Item[], type: Type | null): Item {
    const block = this.current;
    const item: Item = { what, operands, type, block, index: block.items.length, users: [] };
    for (const operand of operands) {
      if (operand.block.body !== this) {
        throw new Error(
          `kernel ${this.name}: a value of kernel ${operand.block.body.name} is used; pass it as an argument`,
        );
      }
      operand.users.push(item);
    }
    block.items.push(item);
    return item;
  }

  /** Records what `write` says into a block of its own. */
  nested(write: (block: Block) => void): Block {
    const outer = this.current;
    const block = new Block(this, outer);
    this.current = block;
    try {
      write(block);
    } finally {
      this.current = outer;
    }
    return block;
  }

  /** An item that is made of blocks. */
  compound(what: What, operands: readonly Item[], blocks: readonly Block[]): void {
    const item = this.add(what, operands, null);
    for (const block of blocks) block.owner = item;
  }

  local(type: Type): number {
    return this.locals.push(type) - 1;
  }
}

/** Whether it does something beside giving a value, so that it is done exactly where it is said. */
export function acts(what: What): boolean {
  return what.is === 'call' || what.is === 'recall' || (what.is === 'instruction' && what.instruction.acts);
}

/** Numbers that lie in memory for kernels to load: engines build a literal vector anew at every use, and a load costs a third of that. */
export class ConstantPool {
  readonly words: number[] = [];
  readonly #start: number;
  readonly #limit: number;
  readonly #bits = new DataView(new ArrayBuffer(4));

  constructor(start: number, limit: number) {
    this.#start = start;
    this.#limit = limit;
  }

  get start(): number {
    return this.#start;
  }

  /** Where these 32 bits lie. */
  place(word: number): number {
    let at = this.words.indexOf(word);
    if (at < 0) at = this.words.push(word) - 1;
    const address = this.#start + 4 * at;
    if (address >= this.#limit)
      throw new Error(`kernel writer: more than ${(this.#limit - this.#start) / 4} constants`);
    return address;
  }

  placeF32(value: number): number {
    this.#bits.setFloat32(0, value);
    return this.place(this.#bits.getInt32(0));
  }
}

let writing: Body | null = null;

/** The kernel that is being written. */
export function body(): Body {
  if (writing === null) throw new Error('kernel writer: this can be said only while a kernel is written');
  return writing;
}

/** Makes `it` the kernel that is being written while `write` runs. */
export function within(it: Body, write: () => void): void {
  const before = writing;
  writing = it;
  try {
    write();
  } finally {
    writing = before;
  }
}

export function say(name: string, operands: readonly Item[], immediates: readonly number[] = []): Item {
  const it = instruction(name);
  return body().add({ is: 'instruction', instruction: it, immediates }, operands, it.gives);
}

/** Of the select instruction alone the result has its operands' type. */
export function sayOf(type: Type, name: string, operands: readonly Item[], immediates: readonly number[] = []): Item {
  return body().add({ is: 'instruction', instruction: instruction(name), immediates }, operands, type);
}
