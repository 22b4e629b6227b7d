/** How the function of a task begins. */
import { CONTROL_ARGUMENTS } from '../../tasks.ts';
import { argumentOffset, type Task } from '../../writer/task.ts';
import { at, type Code, type General, rax, rbx, rcx, rdi, rdx, rsi } from './code.ts';
import { Frame } from './frame.ts';

/**
 * Keeps the arguments under their names, pointers as addresses; `scratch` is this thread's; `hasBias` is 0 where there is none.
 * A function of C: memory (then in rbx), first unit, unit after the last, thread.
 */
export function enter(code: Code, task: Task): Frame {
  const frame = new Frame(code);
  code.move(rbx, rdi);
  const argument = (name: string, register: General) => {
    code.load32(register, at(rbx, CONTROL_ARGUMENTS + argumentOffset(task, name)));
    if (task.takes[name] === 'pointer') code.add(register, rbx);
  };
  // the upper halves of whole numbers of 32 bits that C hands over may hold anything
  for (const [name, register] of [
    ['first', rsi],
    ['last', rdx],
  ] as const) {
    code.shiftLeft(register, 32);
    code.shiftRight(register, 32);
    frame.keep(name, register);
  }
  code.shiftLeft(rcx, 32);
  code.shiftRight(rcx, 32);
  argument('scratchBytes', rax);
  code.multiply(rcx, rax);
  argument('scratch', rax);
  code.add(rax, rcx);
  frame.keep('scratch', rax);
  for (const name of Object.keys(task.takes)) {
    if (name.startsWith('scratch')) continue;
    argument(name, rax);
    frame.keep(name, rax);
  }
  if ('bias' in task.takes) {
    code.load32(rax, at(rbx, CONTROL_ARGUMENTS + argumentOffset(task, 'bias')));
    frame.keep('hasBias', rax);
  }
  return frame;
}
