/** What functions are made of: what they keep on the stack, loops and conditions. */
import { assert } from '../../../base/assert.ts';
import {
  at,
  type Code,
  type General,
  type Label,
  type Place,
  r12,
  r13,
  r14,
  r15,
  rax,
  rbp,
  rbx,
  rcx,
  rsp,
} from './code.ts';

/** What a function keeps of its own on the stack, by name. */
export class Frame {
  readonly #code: Code;
  readonly #names: string[] = [];
  readonly #kept: readonly General[] = [rbx, rbp, r12, r13, r14, r15];
  readonly #bytes = 768;

  constructor(code: Code) {
    this.#code = code;
    for (const register of this.#kept) code.push(register);
    code.addNumber(rsp, -this.#bytes);
  }
  #at(name: string) {
    if (!this.#names.includes(name)) this.#names.push(name);
    assert(8 * this.#names.length <= this.#bytes, 'machine code: too much is kept on the stack');
    return at(rsp, 8 * this.#names.indexOf(name));
  }
  keep(name: string, register: General): void {
    this.#code.store(this.#at(name), register);
  }
  get(register: General, name: string): void {
    this.#code.load(register, this.#at(name));
  }
  /** A number of 32 bits that stays. Changes rax. */
  keepNumber(name: string, bits: number): void {
    this.#code.moveNumber(rax, bits);
    this.keep(name, rax);
  }
  /** The low 32 bits in all lanes. */
  each(name: string): Place {
    return { ...this.#at(name), each: true };
  }
  leave(): void {
    this.#code.forgetUpperHalves();
    this.#code.addNumber(rsp, this.#bytes);
    for (const register of [...this.#kept].reverse()) this.#code.pop(register);
    this.#code.return();
  }
}

/** Repeats what `write` says until `counter`, which is above 0 at first, has gone down to 0. */
export function countDown(code: Code, counter: General, write: () => void): void {
  const again: Label = { at: null };
  code.place(again);
  write();
  code.addNumber(counter, -1);
  code.jumpIf('notEqual', again);
}

/** What `write` says, unless the two compare so. */
export function unless(code: Code, condition: Parameters<Code['jumpIf']>[0], write: () => void): void {
  const after: Label = { at: null };
  code.jumpIf(condition, after);
  write();
  code.place(after);
}

/** While `register` (kept as `name`) is below what is kept as `end`. */
export function eachBelow(code: Code, frame: Frame, name: string, end: string, write: () => void): void {
  const [again, out]: [Label, Label] = [{ at: null }, { at: null }];
  code.place(again);
  frame.get(rax, name);
  frame.get(rcx, end);
  code.compare(rax, rcx);
  code.jumpIf('aboveOrEqual', out);
  write();
  code.jump(again);
  code.place(out);
}

/** target = the larger of both, unsigned. */
export function atLeast(code: Code, target: General, other: General): void {
  code.compare(target, other);
  unless(code, 'aboveOrEqual', () => code.move(target, other));
}
/** target = the smaller of both, unsigned. */
export function atMost(code: Code, target: General, other: General): void {
  code.compare(target, other);
  unless(code, 'belowOrEqual', () => code.move(target, other));
}
export function atMostNumber(code: Code, target: General, number: number): void {
  code.compareNumber(target, number);
  unless(code, 'belowOrEqual', () => code.moveNumber(target, number));
}
/** name = name + number. Changes rax. */
export function increase(code: Code, frame: Frame, name: string, number: number): void {
  frame.get(rax, name);
  code.addNumber(rax, number);
  frame.keep(name, rax);
}
