/**
 * The part of Python's pickle that tensors need. A pickle is a program for a stack machine that may call any function; this
 * one calls only the functions it is given, and refuses every other opcode and name. Nothing is executed.
 *
 * Source  CPython Lib/pickletools.py (opcodes of the protocols 0 to 5).
 */
import { FormatError } from '../../base/errors.ts';
import type { Cursor } from '../cursor.ts';
import { show } from '../json.ts';

/** A name that the pickle asked for and that is allowed. */
export class PickleGlobal {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}
export class PickleTuple {
  readonly items: readonly PickleValue[];
  constructor(items: readonly PickleValue[]) {
    this.items = items;
  }
}
export class PickleList {
  readonly items: PickleValue[] = [];
}
export class PickleDict {
  readonly entries = new Map<PickleValue, PickleValue>();
}
/** What an allowed function returned: a tensor, a storage. */
export interface PickleObject {
  readonly pickled: string;
}
// biome-ignore format: a list
export type PickleValue =
  | null | boolean | number | bigint | string | Uint8Array
  | PickleGlobal | PickleTuple | PickleList | PickleDict | PickleObject;

/** What the machine may do. Both throw FormatError through `fail`. */
export interface PickleHost {
  /** Names `module name` that may be loaded. */
  readonly globals: ReadonlySet<string>;
  call(name: string, args: readonly PickleValue[], fail: Fail): PickleValue;
  persistent(id: PickleValue, fail: Fail): PickleValue;
}
export type Fail = (what: string, problem: string, advice?: string) => FormatError;

const LIMITS = { steps: 10_000_000, integerBytes: 64, textBytes: 1 << 24, items: 4_000_000 } as const;
const MARK = Symbol('mark');
type Slot = PickleValue | typeof MARK;

/** Runs one pickle from the cursor to its STOP, and leaves the cursor after it. Throws FormatError pickle.* */
export function readPickle(cursor: Cursor, host: PickleHost): PickleValue {
  return new Machine(cursor, host).run();
}

class Machine {
  private readonly cursor: Cursor;
  private readonly host: PickleHost;
  private readonly stack: Slot[] = [];
  private readonly memo = new Map<number, PickleValue>();
  private at = 0;
  private items = 0;

  constructor(cursor: Cursor, host: PickleHost) {
    this.cursor = cursor;
    this.host = host;
  }

  private readonly fail: Fail = (what, problem, advice = 'The file is damaged, or no checkpoint of tensors.') =>
    new FormatError(
      { code: `pickle.${what}`, file: this.cursor.source.name, where: `byte ${this.at}` },
      problem,
      advice,
    );

  run(): PickleValue {
    for (let step = 0; step < LIMITS.steps; step++) {
      this.at = this.cursor.offset;
      const opcode = this.cursor.u8();
      if (opcode === 0x2e) {
        const result = this.pop();
        if (this.stack.length > 0)
          throw this.fail('stack', `expected an empty stack at the end, found ${this.stack.length} values on it`);
        return result;
      }
      const operation = operations[opcode];
      if (operation === undefined) {
        const name = refusedOpcodes[opcode] ?? 'no opcode';
        throw this.fail(
          'opcode',
          `expected an opcode that tensors need, found 0x${opcode.toString(16).padStart(2, '0')} (${name})`,
          'Save the weights alone, as safetensors or with torch.save(model.state_dict(), …).',
        );
      }
      operation(this);
    }
    throw this.fail('steps', `expected the end within ${LIMITS.steps} steps, found none`);
  }

  // What the operations are made of.

  readonly u8 = () => this.cursor.u8();
  readonly u16 = () => this.cursor.u16();
  readonly u32 = () => this.cursor.u32();
  readonly u64 = () => this.cursor.u64();
  readonly i32 = () => this.cursor.i32();
  readonly f64 = () => this.cursor.f64BigEndian();

  push(value: Slot): void {
    if (++this.items > LIMITS.items) throw this.fail('items', `expected at most ${LIMITS.items} values, found more`);
    this.stack.push(value);
  }

  pop(): PickleValue {
    const value = this.stack.pop();
    if (value === undefined) throw this.fail('stack', 'expected a value on the stack, found it empty');
    if (value === MARK) throw this.fail('stack', 'expected a value on the stack, found a mark');
    return value;
  }

  top(): PickleValue {
    const value = this.pop();
    this.stack.push(value);
    return value;
  }

  /** The values above the topmost mark. */
  popToMark(): PickleValue[] {
    const mark = this.stack.lastIndexOf(MARK);
    if (mark < 0) throw this.fail('stack', 'expected a mark on the stack, found none');
    return this.stack.splice(mark).slice(1) as PickleValue[];
  }

  mark(): void {
    this.push(MARK);
  }

  /** POP removes whatever is there, a mark too. */
  drop(): void {
    if (this.stack.pop() === undefined) throw this.fail('stack', 'expected a value on the stack, found it empty');
  }

  store(key: number): void {
    this.memo.set(key, this.top());
  }

  storeNext(): void {
    this.store(this.memo.size);
  }

  recall(key: number): void {
    const value = this.memo.get(key);
    if (value === undefined) throw this.fail('memo', `expected memo entry ${key} to be set, found it empty`);
    this.push(value);
  }

  bytes(count: number): Uint8Array {
    if (!(count <= LIMITS.textBytes))
      throw this.fail('length', `expected at most ${LIMITS.textBytes} bytes, found length ${count}`);
    return this.cursor.bytes(count);
  }

  text(count: number): string {
    if (!(count <= LIMITS.textBytes))
      throw this.fail('length', `expected at most ${LIMITS.textBytes} bytes, found length ${count}`);
    return this.cursor.text(count, 'a text');
  }

  /** A two's complement integer of any length. */
  integer(count: number): number | bigint {
    if (!(count <= LIMITS.integerBytes))
      throw this.fail('length', `expected an integer of at most ${LIMITS.integerBytes} bytes, found ${count}`);
    const bytes = this.cursor.bytes(count);
    let value = 0n;
    for (let i = count - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
    const signed = BigInt.asIntN(8 * count, value);
    const number = Number(signed);
    return Number.isSafeInteger(number) ? number : signed;
  }

  line(): string {
    let text = '';
    for (let length = 0; length < 256; length++) {
      const byte = this.cursor.u8();
      if (byte === 10) return text;
      text += String.fromCharCode(byte);
    }
    throw this.fail('line', 'expected a line of at most 256 characters, found a longer one');
  }

  global(module: string, name: string): void {
    const full = `${module} ${name}`;
    if (!this.host.globals.has(full)) {
      throw this.fail(
        'global',
        `expected a name that tensors need, found ${show(`${module}.${name}`)}`,
        'Nothing in this file was executed. Save the weights alone, as safetensors or with torch.save(model.state_dict(), …).',
      );
    }
    this.push(new PickleGlobal(full));
  }

  reduce(): void {
    const args = this.pop();
    const callable = this.pop();
    if (!(callable instanceof PickleGlobal))
      throw this.fail('call', 'expected a function to call, found another value');
    if (!(args instanceof PickleTuple))
      throw this.fail('call', `expected a tuple of arguments for ${callable.name}, found another value`);
    this.push(this.host.call(callable.name, args.items, this.fail));
  }

  /** Attributes of a dict (state_dict's _metadata) say nothing about tensors; no other object takes a state. */
  build(): void {
    this.pop();
    if (!(this.top() instanceof PickleDict))
      throw this.fail('build', 'expected only dictionaries to be given attributes, found another object');
  }

  persistent(): void {
    this.push(this.host.persistent(this.pop(), this.fail));
  }

  append(items: readonly PickleValue[]): void {
    const list = this.top();
    if (!(list instanceof PickleList)) throw this.fail('append', 'expected a list to append to, found another value');
    for (const item of items) list.items.push(item);
  }

  setItems(items: readonly PickleValue[]): void {
    const dict = this.top();
    if (!(dict instanceof PickleDict))
      throw this.fail('set-item', 'expected a dictionary to fill, found another value');
    this.fill(dict, items);
  }

  dict(items: readonly PickleValue[]): void {
    const dict = new PickleDict();
    this.fill(dict, items);
    this.push(dict);
  }

  list(items: readonly PickleValue[]): void {
    const list = new PickleList();
    for (const item of items) list.items.push(item);
    this.push(list);
  }

  tuple(count: number): void {
    const items = Array.from({ length: count }, () => this.pop()).reverse();
    this.push(new PickleTuple(items));
  }

  private fill(dict: PickleDict, items: readonly PickleValue[]): void {
    if (items.length % 2 !== 0) throw this.fail('set-item', `expected keys and values, found ${items.length} values`);
    for (let i = 0; i < items.length; i += 2) dict.entries.set(items[i]!, items[i + 1]!);
  }
}

type Operation = (m: Machine) => void;

/** The opcodes that tensors need, by number. */
const operations: Readonly<Record<number, Operation>> = {
  128: (m) => m.u8(), // PROTO
  149: (m) => m.u64(), // FRAME
  40: (m) => m.mark(),
  48: (m) => m.drop(), // POP
  49: (m) => m.popToMark(), // POP_MARK
  50: (m) => m.push(m.top()), // DUP
  78: (m) => m.push(null),
  136: (m) => m.push(true),
  137: (m) => m.push(false),
  74: (m) => m.push(m.i32()), // BININT
  75: (m) => m.push(m.u8()), // BININT1
  77: (m) => m.push(m.u16()), // BININT2
  138: (m) => m.push(m.integer(m.u8())), // LONG1
  139: (m) => m.push(m.integer(m.u32())), // LONG4
  71: (m) => m.push(m.f64()), // BINFLOAT
  85: (m) => m.push(m.text(m.u8())), // SHORT_BINSTRING
  84: (m) => m.push(m.text(m.u32())), // BINSTRING
  140: (m) => m.push(m.text(m.u8())), // SHORT_BINUNICODE
  88: (m) => m.push(m.text(m.u32())), // BINUNICODE
  141: (m) => m.push(m.text(m.u64())), // BINUNICODE8
  67: (m) => m.push(m.bytes(m.u8())), // SHORT_BINBYTES
  66: (m) => m.push(m.bytes(m.u32())), // BINBYTES
  93: (m) => m.list([]), // EMPTY_LIST
  108: (m) => m.list(m.popToMark()), // LIST
  97: (m) => m.append([m.pop()]), // APPEND
  101: (m) => m.append(m.popToMark()), // APPENDS
  125: (m) => m.dict([]), // EMPTY_DICT
  100: (m) => m.dict(m.popToMark()), // DICT
  115: (m) => m.setItems([m.pop(), m.pop()].reverse()), // SETITEM
  117: (m) => m.setItems(m.popToMark()), // SETITEMS
  41: (m) => m.tuple(0),
  133: (m) => m.tuple(1),
  134: (m) => m.tuple(2),
  135: (m) => m.tuple(3),
  116: (m) => m.push(new PickleTuple(m.popToMark())), // TUPLE
  113: (m) => m.store(m.u8()), // BINPUT
  114: (m) => m.store(m.u32()), // LONG_BINPUT
  148: (m) => m.storeNext(), // MEMOIZE
  104: (m) => m.recall(m.u8()), // BINGET
  106: (m) => m.recall(m.u32()), // LONG_BINGET
  99: (m) => m.global(m.line(), m.line()), // GLOBAL
  147: (m) => {
    const [name, module] = [m.pop(), m.pop()]; // STACK_GLOBAL
    m.global(String(module), String(name));
  },
  82: (m) => m.reduce(),
  98: (m) => m.build(),
  81: (m) => m.persistent(), // BINPERSID
};

/** Opcodes that exist and are refused, for the message. */
// biome-ignore format: a table
const refusedOpcodes: Readonly<Record<number, string>> = {
  70: 'FLOAT', 73: 'INT', 76: 'LONG', 80: 'PERSID', 83: 'STRING', 86: 'UNICODE', 103: 'GET', 112: 'PUT',
  105: 'INST', 111: 'OBJ', 129: 'NEWOBJ', 146: 'NEWOBJ_EX', 130: 'EXT1', 131: 'EXT2', 132: 'EXT4', 142: 'BINBYTES8',
  143: 'EMPTY_SET', 144: 'ADDITEMS', 145: 'FROZENSET', 150: 'BYTEARRAY8', 151: 'NEXT_BUFFER', 152: 'READONLY_BUFFER',
};
