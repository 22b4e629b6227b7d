/** The kernels, as one module: which kernel a task is, and what the device finds of it by name. */
import { assert } from '../base/assert.ts';
import { activation, activationBackward, softcap, softcapBackward } from './activation/kernel.ts';
import { adamW, sumSquares } from './adamw/kernel.ts';
import { accumulate, addBias } from './add/backward.kernel.ts';
import { add } from './add/kernel.ts';
import { append } from './attention/cached/append.ts';
import { attention, attentionAltered, attentionCombine } from './attention/cached/kernel.ts';
import { attentionMaps } from './attention/maps/kernel.ts';
import { attentionBackward, attentionForward } from './attention/training/kernel.ts';
import { columnAffine, columnMoments } from './batch-norm/kernel.ts';
import { crossEntropy } from './cross-entropy/kernel.ts';
import { dropout } from './dropout/kernel.ts';
import { embedBackward, gatherRows } from './embed/gather.kernel.ts';
import { swigluBackward } from './gated/backward.kernel.ts';
import { swiglu } from './gated/kernel.ts';
import { blasImports, gemmBlas } from './gemm/blas.kernel.ts';
import { gemm } from './gemm/kernel.ts';
import { gemmPack } from './gemm/pack.kernel.ts';
import { roundBf16 } from './gemm/round.kernel.ts';
import { layerNorm, layerNormBackward } from './layer-norm/kernel.ts';
import { linearBlas } from './linear/blas.kernel.ts';
import { linearFloats } from './linear/floats/kernel.ts';
import { linearMatrix, linearVector } from './linear/int8/kernel.ts';
import { pack } from './linear/pack.kernel.ts';
import { quantizeRows } from './linear/quantize.kernel.ts';
import { embed, unpackPanels } from './linear/unpack.kernel.ts';
import { blend } from './muon/kernel.ts';
import { columnSums, rmsNormBackward } from './rms-norm/backward.kernel.ts';
import { rmsNorm } from './rms-norm/kernel.ts';
import { rope, ropeBackward } from './rope/kernel.ts';
import { CONTROL_CONSTANTS, CONTROL_CONSTANTS_END } from './tasks.ts';
import { ConstantPool, type Target } from './writer/body.ts';
import { bodyOf, MEMORY, moduleOf } from './writer/module.ts';
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
  ...Object.values(append),
  embed,
  quantizeRows,
  unpackPanels,
  ...Object.values(pack),
  ...Object.values(linearBlas),
  gemm,
  ...Object.values(gemmPack),
  ...Object.values(gemmBlas),
  attentionForward,
  attentionBackward,
  gatherRows,
  embedBackward,
  accumulate,
  addBias,
  blend,
  roundBf16,
  swigluBackward,
  ropeBackward,
  rmsNormBackward,
  columnSums,
  crossEntropy,
  adamW,
  sumSquares,
  dropout,
  softcap,
  softcapBackward,
  ...Object.values(activation),
  ...Object.values(activationBackward),
  layerNorm,
  layerNormBackward,
  columnMoments,
  columnAffine,
  ...Object.values(linearFloats),
  ...Object.values(linearVector),
  ...Object.values(linearMatrix),
];

const numbers = new Map<unknown, number>(tasks.map((it, i) => [it, i]));

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
      task as I32,
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
      imports: blasImports,
      constants: new ConstantPool(CONTROL_CONSTANTS, CONTROL_CONSTANTS_END),
      memory: MEMORY,
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
