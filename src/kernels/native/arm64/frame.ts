/** What functions are made of: what they keep on the stack, how the function of a task begins, loops and conditions. */
import { assert } from '../../../base/assert.ts';
import { CONTROL_ARGUMENTS } from '../../tasks.ts';
import { argumentOffset, type Task } from '../../writer/task.ts';
import { at, type Code, type Condition, type General, type Label, sp, x0, x1, x2, x3, x8, x9 } from './code.ts';

/** Vector registers whose lower halves belong to the caller. */
const KEPT = [8, 9, 10, 11, 12, 13, 14, 15] as const;

/** What a function keeps of its own on the stack, by name. */
export class Frame {
  readonly #code: Code;
  readonly #names: string[] = [];
  readonly #bytes = 256;

  constructor(code: Code) {
    this.#code = code;
    code.addNumber(sp, sp, -this.#bytes);
    for (const register of KEPT) code.moveBytes('storeLowerHalf', register, this.#at(`v${register}`));
  }
  #at(name: string) {
    if (!this.#names.includes(name)) this.#names.push(name);
    assert(8 * this.#names.length <= this.#bytes, 'machine code: too much is kept on the stack');
    return at(sp, 8 * this.#names.indexOf(name));
  }
  keep(name: string, register: General): void {
    this.#code.moveBytes('store', register, this.#at(name));
  }
  get(register: General, name: string): void {
    this.#code.moveBytes('load', register, this.#at(name));
  }
  leave(): void {
    for (const register of KEPT) this.#code.moveBytes('loadLowerHalf', register, this.#at(`v${register}`));
    this.#code.addNumber(sp, sp, this.#bytes);
    this.#code.return();
  }
}

/**
 * Keeps the arguments under their names, pointers as addresses; `scratch` is this thread's; `hasBias` is 0 where there is none.
 * A function of C: memory, first unit, unit after the last, thread. Changes x0 … x9.
 */
export function enter(code: Code, task: Task): Frame {
  const frame = new Frame(code);
  const argument = (name: string, register: General) => {
    code.moveBytes('load32', register, at(x0, CONTROL_ARGUMENTS + argumentOffset(task, name)));
    if (task.takes[name] === 'pointer') code.add(register, register, x0);
  };
  // the upper halves of whole numbers of 32 bits that C hands over may hold anything
  for (const register of [x1, x2, x3]) code.lowBits(register, register, 32);
  frame.keep('first', x1);
  frame.keep('last', x2);
  argument('scratchBytes', x8);
  code.multiply(x3, x3, x8);
  argument('scratch', x8);
  code.add(x8, x8, x3);
  frame.keep('scratch', x8);
  for (const name of Object.keys(task.takes)) {
    if (name.startsWith('scratch')) continue;
    argument(name, x8);
    frame.keep(name, x8);
  }
  if ('bias' in task.takes) {
    code.moveBytes('load32', x9, at(x0, CONTROL_ARGUMENTS + argumentOffset(task, 'bias')));
    frame.keep('hasBias', x9);
  }
  return frame;
}

/** Repeats what `write` says until `counter`, which is above 0 at first, has gone down to 0. */
export function countDown(code: Code, counter: General, write: () => void): void {
  const again: Label = { at: null };
  code.place(again);
  write();
  code.addNumber(counter, counter, -1);
  code.jumpUnlessZero(counter, again);
}

/** What `write` says, unless the two compare so. */
export function unless(code: Code, condition: Condition, write: () => void): void {
  const after: Label = { at: null };
  code.jumpIf(condition, after);
  write();
  code.place(after);
}

/** While what is kept as `name` (then in x8) is below what is kept as `end` (x9). `write` has to raise it, by `increase`. */
export function eachBelow(code: Code, frame: Frame, name: string, end: string, write: () => void): void {
  const [again, out]: [Label, Label] = [{ at: null }, { at: null }];
  code.place(again);
  frame.get(x8, name);
  frame.get(x9, end);
  code.compare(x8, x9);
  code.jumpIf('aboveOrEqual', out);
  write();
  code.jump(again);
  code.place(out);
}

/** What is kept under the name grows by the number. Changes x8. */
export function increase(code: Code, frame: Frame, name: string, number: number): void {
  frame.get(x8, name);
  code.addNumber(x8, x8, number);
  frame.keep(name, x8);
}
