/** The bytes of a function. Source: WebAssembly core specification 3.0, §5.4 and §5.5.13 (code section). */
import type { Block, Body, Callable, Item } from './body.ts';
import { sized, type Type, typeCodes, unsigned } from './instructions.ts';
import { place } from './places.ts';

const EMPTY = 0x40;
const [BLOCK, LOOP, IF, ELSE, END, BR, BR_IF, BR_TABLE, RETURN, CALL, CALL_INDIRECT] = [
  0x02, 0x03, 0x04, 0x05, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11,
];
const [LOCAL_GET, LOCAL_SET, GLOBAL_GET, GLOBAL_SET] = [0x20, 0x21, 0x23, 0x24];
const I32_CONST = 0x41;
const I64_CONST = 0x42;
const F32_CONST = 0x43;
const F64_CONST = 0x44;
const MEMORY_COPY = [0xfc, 10, 0, 0];
const MEMORY_FILL = [0xfc, 11, 0];

/** Numbers of the module's functions and, of a signature, types. */
export interface Indices {
  of(callee: Callable): number;
  ofType(signature: Callable): number;
}

/** The function's entry in the code section. */
export function encode(body: Body, indices: Indices): Uint8Array {
  const encoder = new Encoder(body, indices);
  encoder.block(body.block);
  const locals = runs(encoder.locals.slice(body.parameterCount));
  const head = locals.flatMap(([count, type]) => [...unsigned(count), typeCodes[type]]);
  return sized([...unsigned(locals.length), ...head], encoder.out.bytes, [END]);
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

/** Bytes one after the other. */
class Output {
  #space = new Uint8Array(1024);
  #length = 0;
  readonly #numbers = new DataView(new ArrayBuffer(8));

  get bytes(): Uint8Array {
    return this.#space.subarray(0, this.#length);
  }
  byte(value: number): void {
    if (this.#length === this.#space.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#space);
      this.#space = larger;
    }
    this.#space[this.#length++] = value;
  }
  all(values: ArrayLike<number>): void {
    for (let i = 0; i < values.length; i++) this.byte(values[i]!);
  }
  /** LEB128, as in instructions.ts. */
  unsigned(value: number): void {
    let rest = value >>> 0;
    for (; rest > 127; rest >>>= 7) this.byte((rest & 127) | 128);
    this.byte(rest);
  }
  signed(value: number): void {
    let rest = value | 0;
    for (; rest < -64 || rest > 63; rest >>= 7) this.byte((rest & 127) | 128);
    this.byte(rest & 127);
  }
  float(value: number, size: 4 | 8): void {
    if (size === 4) this.#numbers.setFloat32(0, value, true);
    else this.#numbers.setFloat64(0, value, true);
    for (let i = 0; i < size; i++) this.byte(this.#numbers.getUint8(i));
  }
}

class Encoder {
  readonly out = new Output();
  readonly locals: Type[];
  /** Locals that kept an item and are free again. */
  readonly #free: Record<Type, number[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] };
  /** Blocks that enclose what is being written, the innermost last; null: a part of one that branches do not name. */
  readonly #around: (Block | null)[] = [];
  readonly #indices: Indices;

  constructor(body: Body, indices: Indices) {
    this.locals = [...body.locals];
    this.#indices = indices;
  }

  block(block: Block): void {
    const { items } = block;
    place(block);
    const ends: (Item[] | undefined)[] = new Array(items.length);
    for (let i = 0; i < items.length; i++) {
      const item = items[i]!;
      if (item.place === 'here') {
        this.#item(item);
        if (item.type !== null) {
          this.#keep(item, item.type);
          const ending = ends[item.last];
          if (ending) ending.push(item);
          else ends[item.last] = [item];
        }
      }
      const ended = ends[i];
      if (ended) for (const item of ended) this.#free[item.type!].push(item.local);
    }
  }

  #keep(item: Item, type: Type): void {
    item.local = this.#local(type);
    this.out.byte(LOCAL_SET);
    this.out.unsigned(item.local);
  }

  #local(type: Type): number {
    return this.#free[type].pop() ?? this.locals.push(type) - 1;
  }

  /** Leaves the value on the stack. */
  #value(item: Item): void {
    if (item.local < 0) this.#item(item);
    else this.#withNumber(LOCAL_GET, item.local);
  }

  #withNumber(opcode: number, number: number): void {
    this.out.byte(opcode);
    this.out.unsigned(number);
  }

  #item(item: Item): void {
    for (const operand of item.operands) this.#value(operand);
    const { out } = this;
    const { what } = item;
    switch (what.is) {
      case 'instruction': {
        const { code, align } = what.instruction;
        out.all(code);
        if (align === null) out.all(what.immediates);
        else this.#withNumber(align, what.immediates[0]!);
        break;
      }
      case 'constant':
        this.#constant(item.type!, what.number);
        break;
      case 'local':
      case 'get':
        this.#withNumber(LOCAL_GET, what.index);
        break;
      case 'set':
        this.#withNumber(LOCAL_SET, what.index);
        break;
      case 'recall':
        this.#withNumber(GLOBAL_GET, what.index);
        break;
      case 'keep':
        this.#withNumber(GLOBAL_SET, what.index);
        break;
      case 'call':
        this.#withNumber(CALL, this.#indices.of(what.callee));
        break;
      case 'callIn':
        this.#withNumber(CALL_INDIRECT, this.#indices.ofType(what.signature));
        out.byte(0);
        break;
      case 'fill':
        out.all(MEMORY_FILL);
        break;
      case 'copy':
        out.all(MEMORY_COPY);
        break;
      case 'stores':
        for (const offset of what.offsets.toReversed()) {
          out.all(what.instruction.code);
          this.#withNumber(what.instruction.align!, offset);
        }
        break;
      case 'return':
        out.byte(RETURN);
        break;
      case 'if':
        out.all([IF, EMPTY]);
        this.#inner(null, what.yes);
        if (what.no) {
          out.byte(ELSE);
          this.#inner(null, what.no);
        }
        out.byte(END);
        break;
      case 'loop':
      case 'scope':
        out.all([what.is === 'loop' ? LOOP : BLOCK, EMPTY]);
        this.#inner(what.body, what.body);
        out.byte(END);
        break;
      case 'branch':
        this.#withNumber(item.operands.length > 0 ? BR_IF : BR, this.#distance(what.to));
        break;
      case 'switch':
        this.#switch(what.cases);
        break;
    }
  }

  /** The operand, on the stack already, chooses; the local keeps it until the blocks that the cases end are open. */
  #switch(cases: readonly Block[]): void {
    const { out } = this;
    const index = this.#local('i32');
    this.#withNumber(LOCAL_SET, index);
    for (let i = 0; i <= cases.length; i++) {
      out.all([BLOCK, EMPTY]);
      this.#around.push(null);
    }
    this.#withNumber(LOCAL_GET, index);
    this.#withNumber(BR_TABLE, cases.length - 1);
    for (let i = 0; i < cases.length; i++) out.unsigned(i);
    cases.forEach((block, i) => {
      out.byte(END);
      this.#around.pop();
      this.block(block);
      if (i < cases.length - 1) this.#withNumber(BR, cases.length - 1 - i);
    });
    out.byte(END);
    this.#around.pop();
    this.#free.i32.push(index);
  }

  #inner(name: Block | null, block: Block): void {
    this.#around.push(name);
    this.block(block);
    this.#around.pop();
  }

  #distance(to: Block): number {
    return this.#around.length - 1 - this.#around.lastIndexOf(to);
  }

  #constant(type: Type, number: number): void {
    const { out } = this;
    if (type === 'i32' || type === 'i64') {
      out.byte(type === 'i32' ? I32_CONST : I64_CONST);
      out.signed(number);
    } else if (type === 'f32') {
      out.byte(F32_CONST);
      out.float(number, 4);
    } else {
      out.byte(F64_CONST);
      out.float(number, 8);
    }
  }
}
