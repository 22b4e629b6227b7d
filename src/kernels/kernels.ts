/** The kernels that write themselves, as one module: which kernel a task is, and what the device finds of it by name. */
import { assert } from '../base/assert.ts';
import { add } from './add/kernel.ts';
import { attention, attentionAltered, attentionCombine } from './attention/cached/kernel.ts';
import { attentionMaps } from './attention/maps/kernel.ts';
import { swiglu } from './gated/kernel.ts';
import { gemm } from './gemm/kernel.ts';
import { linearFloats } from './linear/floats/kernel.ts';
import { linearMatrix, linearVector } from './linear/int8/kernel.ts';
import { rmsNorm } from './rms-norm/kernel.ts';
import { rope } from './rope/kernel.ts';
import { CONTROL_CONSTANTS, CONTROL_CONSTANTS_END, FIRST_WRITTEN_TASK } from './tasks.ts';
import { ConstantPool, type Target } from './writer/body.ts';
import { bodyOf, moduleOf } from './writer/module.ts';
import { print } from './writer/print.ts';
import { call, dispatch, type KernelFunction } from './writer/statements.ts';
import type { Task } from './writer/task.ts';
import type { I32 } from './writer/values.ts';

const tasks = [
  add,
  swiglu,
  rmsNorm,
  rope,
  ...Object.values(attention),
  ...Object.values(attentionAltered),
  attentionCombine,
  attentionMaps,
  gemm,
  ...Object.values(linearFloats),
  ...Object.values(linearVector),
  ...Object.values(linearMatrix),
];

const numbers = new Map<unknown, number>(tasks.map((it, i) => [it, FIRST_WRITTEN_TASK + i]));

/** By which number threads know the task. */
export function taskNumber(task: Pick<Task, 'name'>): number {
  const number = numbers.get(task);
  assert(number !== undefined, `kernels: task ${task.name} is not in the module`);
  return number;
}

/** One function a task, as engines compile and optimize small ones better, and only those that run. */
const functions = tasks.map(
  ({ name, write }): KernelFunction => ({
    name,
    takes: ['i32', 'i32', 'i32'],
    gives: null,
    write(parameters) {
      const [first, last, thread] = parameters as [I32, I32, I32];
      write({ first, last, thread });
      return null;
    },
  }),
);

/** perform(task, first, last, thread) */
const perform: KernelFunction = {
  name: 'perform',
  takes: ['i32', 'i32', 'i32', 'i32'],
  gives: null,
  write([task, ...units]) {
    dispatch(
      (task as I32).sub(FIRST_WRITTEN_TASK),
      functions.map((it) => () => void call(it, units)),
    );
    return null;
  },
};

const modules = new Map<string, Uint8Array<ArrayBuffer>>();

/** The bytes of the module for an engine, written once in a process; it imports the memory that it works in. */
export function kernelModule(target: Target): Uint8Array<ArrayBuffer> {
  const key = JSON.stringify(target);
  const bytes =
    modules.get(key) ??
    moduleOf({
      target,
      exports: { perform },
      constants: new ConstantPool(CONTROL_CONSTANTS, CONTROL_CONSTANTS_END),
      memory: { initial: 2, maximum: 65536 },
    });
  modules.set(key, bytes);
  return bytes;
}

/** The tasks of this name as they are written for a target, for people. */
export function printKernels(name: string, target: Target): string[] {
  const constants = new ConstantPool(CONTROL_CONSTANTS, CONTROL_CONSTANTS_END);
  return functions
    .filter((it) => it.name.toLowerCase().includes(name.toLowerCase()))
    .map((it) => print(bodyOf(it, target, constants)));
}
