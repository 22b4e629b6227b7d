/** The kernels that write themselves, as one module: which kernel a task is, and what the device finds of it by name. */
import { assert } from '../base/assert.ts';
import { add } from './add/kernel.ts';
import { swiglu } from './gated/kernel.ts';
import { linearMatrix, linearVector } from './linear/int8/kernel.ts';
import { rmsNorm } from './rms-norm/kernel.ts';
import { rope } from './rope/kernel.ts';
import { CONTROL_CONSTANTS, CONTROL_CONSTANTS_END, FIRST_WRITTEN_TASK } from './tasks.ts';
import { ConstantPool, type Target } from './writer/body.ts';
import { bodyOf, moduleOf } from './writer/module.ts';
import { print } from './writer/print.ts';
import { dispatch, functionOf, type KernelFunction } from './writer/statements.ts';
import type { Task } from './writer/task.ts';
import { I32 } from './writer/values.ts';

const tasks = [add, swiglu, rmsNorm, rope, ...Object.values(linearVector), ...Object.values(linearMatrix)];

const numbers = new Map<unknown, number>(tasks.map((it, i) => [it, FIRST_WRITTEN_TASK + i]));

/** By which number threads know the task. */
export function taskNumber(task: Pick<Task, 'name'>): number {
  const number = numbers.get(task);
  assert(number !== undefined, `kernels: task ${task.name} is not in the module`);
  return number;
}

const units = { first: I32, last: I32, thread: I32 };

/** perform(task, first, last, thread): one function a task, as engines compile and optimize small ones better, and only those that run. */
const functions = tasks.map((it) => functionOf(it.name, units, null, (of) => void it.write(of)));
const perform: KernelFunction = {
  name: 'perform',
  takes: ['i32', 'i32', 'i32', 'i32'],
  gives: null,
  write([task, first, last, thread]) {
    const of = { first, last, thread } as { readonly first: I32; readonly last: I32; readonly thread: I32 };
    dispatch(
      (task as I32).sub(FIRST_WRITTEN_TASK),
      functions.map((call) => () => void call(of)),
    );
    return null;
  },
};

/** The bytes of the module for an engine; it imports the memory that it works in. */
export function kernelModule(target: Target): Uint8Array<ArrayBuffer> {
  return moduleOf({
    target,
    exports: { perform },
    constants: new ConstantPool(CONTROL_CONSTANTS, CONTROL_CONSTANTS_END),
    memory: { initial: 2, maximum: 65536 },
  });
}

/** The tasks of this name as they are written for a target, for people. */
export function printKernels(name: string, target: Target): string[] {
  const constants = new ConstantPool(CONTROL_CONSTANTS, CONTROL_CONSTANTS_END);
  return tasks
    .filter((it) => it.name.toLowerCase().includes(name.toLowerCase()))
    .map((it) => {
      const write: KernelFunction['write'] = ([first, last, thread]) => {
        it.write({ first, last, thread } as { readonly first: I32; readonly last: I32; readonly thread: I32 });
        return null;
      };
      return print(bodyOf({ name: it.name, takes: ['i32', 'i32', 'i32'], gives: null, write }, target, constants));
    });
}
