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
  /** Of a function out of the module's table; the last operand says which. */
  | { readonly is: 'callIn'; readonly signature: Callable }
  | { readonly is: 'fill' | 'copy' | 'return' }
  /** Operands: an address and a value for each offset. All are on the stack before the last is stored, then the one before … */
  | { readonly is: 'stores'; readonly instruction: Instruction; readonly offsets: readonly number[] }
  | { readonly is: 'if'; readonly yes: Block; readonly no: Block | null }
  | { readonly is: 'loop' | 'scope'; readonly body: Block }
  /** To the end of a scope or, of a loop, to its start; with an operand, if that is not 0. */
  | { readonly is: 'branch'; readonly to: Block }
  | { readonly is: 'switch'; readonly cases: readonly Block[] };

export class Item {
  readonly what: What;
  readonly operands: readonly Item[];
  readonly type: Type | null;
  readonly block: Block;
  /** In its block; −1: in none, as it is written again wherever it is used. */
  readonly index: number;
  /** Items that take it as an operand; null while there is none. */
  users: Item[] | null = null;

  /** Where it is computed, and at which index of its block; the index of the last item there that needs it (places.ts). */
  place: 'here' | 'inside' | 'nowhere' = 'here';
  root: number;
  last: number;
  /** Of arguments and parameters, for people. */
  name: string | null = null;
  /** The local that keeps it, while encode.ts writes what is between it and its last use; −1: none. */
  local = -1;

  constructor(what: What, operands: readonly Item[], type: Type | null, block: Block, index: number) {
    this.what = what;
    this.operands = operands;
    this.type = type;
    this.block = block;
    this.index = this.root = this.last = index;
  }
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

  /** Whether it is a part of another one. */
  isWithin(other: Block): boolean {
    let block = this.#outer;
    while (block && block !== other) block = block.#outer;
    return block !== null;
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
    const item = new Item(what, operands, type, block, block.items.length);
    for (const operand of operands) {
      if (operand.block !== block && !block.isWithin(operand.block)) this.#refuse(operand);
      if (operand.index < 0) continue;
      if (operand.users) operand.users.push(item);
      else operand.users = [item];
    }
    block.items.push(item);
    return item;
  }

  /** A constant, a parameter, or a counter: what costs nothing to write again at every use. */
  everywhere(what: What, type: Type): Item {
    return new Item(what, NONE, type, this.current, -1);
  }

  #refuse({ block: { body } }: Item): never {
    throw new KernelError(
      body === this
        ? 'a value is used that is computed in a block which has ended; keep it in a variable'
        : `a value of kernel ${body.name} is used; pass it as an argument`,
    );
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
  return (
    what.is === 'call' ||
    what.is === 'callIn' ||
    what.is === 'recall' ||
    (what.is === 'instruction' && what.instruction.acts)
  );
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
    if (address >= this.#limit) throw new KernelError(`more than ${(this.#limit - this.#start) / 4} constants`);
    return address;
  }

  placeF32(value: number): number {
    this.#bits.setFloat32(0, value);
    return this.place(this.#bits.getInt32(0));
  }
}

let writing: Body | null = null;

/** A kernel that cannot be written; `within` says which, and at which line. */
export class KernelError extends Error {}

const NONE: readonly never[] = [];

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
  } catch (error) {
    if (error instanceof Error && before === null) {
      error.message = `kernel ${it.name}${lineOf(error)}: ${error.message}`;
    }
    throw error;
  } finally {
    writing = before;
  }
}

/** Where the kernel says what went wrong: the innermost line that is not the writer's own. */
function lineOf({ stack = '' }: Error): string {
  const lines = stack
    .split('\n')
    .filter((line) => /:\d+:\d+\)?$/.test(line) && !/kernels.writer.[a-z]+\.[jt]s:/.test(line));
  const place = lines[0]?.match(/([^/\\(]+:\d+):\d+\)?$/)?.[1];
  return place ? ` (${place})` : '';
}

const withoutImmediates = new Map<Instruction, What>();

/** An instruction that takes no immediates, the same for all items. */
function plain(it: Instruction): What {
  const found = withoutImmediates.get(it) ?? { is: 'instruction', instruction: it, immediates: NONE };
  withoutImmediates.set(it, found);
  return found;
}

export function say(name: string, operands: readonly Item[], immediates: readonly number[] = NONE): Item {
  const it = instruction(name);
  for (let i = 0; i < it.takes.length; i++) if (operands[i]?.type !== it.takes[i]) refuseOperands(it, operands);
  const what: What = immediates === NONE ? plain(it) : { is: 'instruction', instruction: it, immediates };
  return body().add(what, operands, it.gives);
}

function refuseOperands({ name, takes }: Instruction, operands: readonly Item[]): never {
  const found = operands.map((it) => it?.type ?? 'nothing').join(', ');
  throw new KernelError(`${name} takes ${takes.join(', ')}, found ${found}`);
}

/** Of the select instruction alone the result has its operands' type. */
export function sayOf(type: Type, name: string, operands: readonly Item[], immediates: readonly number[] = []): Item {
  return body().add({ is: 'instruction', instruction: instruction(name), immediates }, operands, type);
}
