/** The bytes of a function. Source: WebAssembly core specification 3.0, §5.4 and §5.5.13 (code section). */
import type { Block, Body, Callable, Item } from './body.ts';
import { signed, sized, type Type, typeCodes, unsigned } from './instructions.ts';
import { type Placed, placesOf } from './places.ts';

const EMPTY = 0x40;
const [BLOCK, LOOP, IF, ELSE, END, BR, BR_IF, BR_TABLE, RETURN, CALL, LOCAL_GET, LOCAL_SET, GLOBAL_GET, GLOBAL_SET] = [
  0x02, 0x03, 0x04, 0x05, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x20, 0x21, 0x23, 0x24,
];
const I32_CONST = 0x41;
const I64_CONST = 0x42;
const F32_CONST = 0x43;
const F64_CONST = 0x44;
const MEMORY_COPY = [0xfc, 10, 0, 0];
const MEMORY_FILL = [0xfc, 11, 0];

/** The function's entry in the code section. */
export function encode(body: Body, indexOf: (callee: Callable) => number): Uint8Array {
  const encoder = new Encoder(body, indexOf);
  encoder.block(body.block);
  const locals = runs(encoder.locals.slice(body.parameterCount));
  const head = locals.flatMap(([count, type]) => [...unsigned(count), typeCodes[type]]);
  return sized([...unsigned(locals.length), ...head], encoder.bytes, [END]);
}

function runs(types: readonly Type[]): [number, Type][] {
  const found: [number, Type][] = [];
  for (const type of types) {
    const last = found.at(-1);
    if (last?.[1] === type) last[0]++;
    else found.push([1, type]);
  }
  return found;
}

class Encoder {
  readonly bytes: number[] = [];
  readonly locals: Type[];
  /** Locals of items, and those that are free again. */
  readonly #kept = new Map<Item, number>();
  readonly #free = new Map<Type, number[]>();
  readonly #placed = new Map<Block, readonly Placed[]>();
  /** Blocks that enclose what is being written, the innermost last; null: a part of one that branches do not name. */
  readonly #around: (Block | null)[] = [];
  readonly #indexOf: (callee: Callable) => number;

  constructor(body: Body, indexOf: (callee: Callable) => number) {
    this.locals = [...body.locals];
    this.#indexOf = indexOf;
  }

  block(block: Block): void {
    const places = placesOf(block);
    this.#placed.set(block, places);
    const ends = new Map<number, Item[]>();
    block.items.forEach((item, i) => {
      if (places[i]!.place === 'here') {
        this.#item(item);
        if (item.type !== null) this.#keep(item, places[i]!.last, ends);
      }
      for (const ended of ends.get(i) ?? []) this.#release(ended);
    });
  }

  #keep(item: Item, last: number, ends: Map<number, Item[]>): void {
    const type = item.type!;
    const local = this.#free.get(type)?.pop() ?? this.locals.push(type) - 1;
    this.#kept.set(item, local);
    this.bytes.push(LOCAL_SET, ...unsigned(local));
    const ending = ends.get(last);
    if (ending) ending.push(item);
    else ends.set(last, [item]);
  }

  #release(item: Item): void {
    const free = this.#free.get(item.type!) ?? [];
    free.push(this.#kept.get(item)!);
    this.#free.set(item.type!, free);
  }

  /** Leaves the value on the stack. */
  #value(item: Item): void {
    const kept = this.#kept.get(item);
    if (kept !== undefined) this.bytes.push(LOCAL_GET, ...unsigned(kept));
    else this.#item(item);
  }

  #item(item: Item): void {
    for (const operand of item.operands) this.#value(operand);
    const { bytes } = this;
    const { what } = item;
    switch (what.is) {
      case 'instruction': {
        const { code, align } = what.instruction;
        bytes.push(...code);
        if (align !== null) bytes.push(align, ...unsigned(what.immediates[0]!));
        else bytes.push(...what.immediates);
        break;
      }
      case 'constant':
        bytes.push(...constant(item.type!, what.number));
        break;
      case 'local':
      case 'get':
        bytes.push(LOCAL_GET, ...unsigned(what.index));
        break;
      case 'set':
        bytes.push(LOCAL_SET, ...unsigned(what.index));
        break;
      case 'recall':
      case 'keep':
        bytes.push(what.is === 'keep' ? GLOBAL_SET : GLOBAL_GET, ...unsigned(what.index));
        break;
      case 'call':
        bytes.push(CALL, ...unsigned(this.#indexOf(what.callee)));
        break;
      case 'fill':
        bytes.push(...MEMORY_FILL);
        break;
      case 'copy':
        bytes.push(...MEMORY_COPY);
        break;
      case 'return':
        bytes.push(RETURN);
        break;
      case 'if':
        bytes.push(IF, EMPTY);
        this.#inner(null, what.yes);
        if (what.no) {
          bytes.push(ELSE);
          this.#inner(null, what.no);
        }
        bytes.push(END);
        break;
      case 'loop':
      case 'scope':
        bytes.push(what.is === 'loop' ? LOOP : BLOCK, EMPTY);
        this.#inner(what.body, what.body);
        bytes.push(END);
        break;
      case 'branch':
        bytes.push(item.operands.length > 0 ? BR_IF : BR, ...unsigned(this.#distance(what.to)));
        break;
      case 'switch':
        this.#switch(what.cases);
        break;
    }
  }

  /** The operand, on the stack already, chooses; the local keeps it until the blocks that the cases end are open. */
  #switch(cases: readonly Block[]): void {
    const index = this.#free.get('i32')?.pop() ?? this.locals.push('i32') - 1;
    this.bytes.push(LOCAL_SET, ...unsigned(index), BLOCK, EMPTY);
    this.#around.push(null);
    for (const _ of cases) {
      this.bytes.push(BLOCK, EMPTY);
      this.#around.push(null);
    }
    const targets = cases.map((_, i) => i);
    this.bytes.push(LOCAL_GET, ...unsigned(index), BR_TABLE);
    this.bytes.push(...unsigned(cases.length - 1), ...targets.flatMap((target) => unsigned(target)));
    cases.forEach((block, i) => {
      this.bytes.push(END);
      this.#around.pop();
      this.block(block);
      if (i < cases.length - 1) this.bytes.push(BR, ...unsigned(cases.length - 1 - i));
    });
    this.bytes.push(END);
    this.#around.pop();
    const free = this.#free.get('i32') ?? [];
    this.#free.set('i32', [...free, index]);
  }

  #inner(name: Block | null, block: Block): void {
    this.#around.push(name);
    this.block(block);
    this.#around.pop();
  }

  #distance(to: Block): number {
    return this.#around.length - 1 - this.#around.lastIndexOf(to);
  }
}

function constant(type: Type, number: number): number[] {
  if (type === 'i32') return [I32_CONST, ...signed(number)];
  if (type === 'i64') return [I64_CONST, ...signed(number)];
  const isShort = type === 'f32';
  const view = new DataView(new ArrayBuffer(isShort ? 4 : 8));
  if (isShort) view.setFloat32(0, number, true);
  else view.setFloat64(0, number, true);
  return [isShort ? F32_CONST : F64_CONST, ...new Uint8Array(view.buffer)];
}
