/** The kernels: which numbers tasks have, and the module of each. */
import { assert } from '../base/assert.ts';
import { activation, activationBackward, softcap, softcapBackward } from './activation/kernel.ts';
import { adamW, sumSquares } from './adamw/kernel.ts';
import { accumulate, addBias } from './add/backward.kernel.ts';
import { add } from './add/kernel.ts';
import { append } from './attention/cached/append.ts';
import { attention, attentionAltered, attentionCombine, attentionCombineAltered } from './attention/cached/kernel.ts';
import { attentionMaps } from './attention/maps/kernel.ts';
import { attentionBackward, attentionForward } from './attention/training/kernel.ts';
import { columnAffine, columnMoments } from './batch-norm/kernel.ts';
import { crossEntropy } from './cross-entropy/kernel.ts';
import { dropout } from './dropout/kernel.ts';
import { embedBackward, gatherRows } from './embed/gather.kernel.ts';
import { swigluBackward } from './gated/backward.kernel.ts';
import { swiglu } from './gated/kernel.ts';
import { gemmBlas } from './gemm/blas.kernel.ts';
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
import { CONSTANT_BYTES, CONTROL_CONSTANTS, MAXIMUM_TASKS } from './tasks.ts';
import { ConstantPool, type Target } from './writer/body.ts';
import { bodyOf, MEMORY, moduleOf } from './writer/module.ts';
import { print } from './writer/print.ts';
import type { KernelFunction } from './writer/statements.ts';
import type { Task } from './writer/task.ts';
import type { I32 } from './writer/values.ts';

const tasks: readonly Task[] = [
  add,
  swiglu,
  rmsNorm,
  rope,
  ...Object.values(attention),
  ...Object.values(attentionAltered),
  attentionCombine,
  attentionCombineAltered,
  attentionMaps,
  ...Object.values(append),
  ...Object.values(embed),
  quantizeRows,
  ...Object.values(unpackPanels),
  ...Object.values(pack),
  ...Object.values(linearBlas.f32),
  ...Object.values(linearBlas.bf16),
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

assert(tasks.length <= MAXIMUM_TASKS, `kernels: ${tasks.length} tasks, and room for ${MAXIMUM_TASKS}`);

const numbers = new Map<unknown, number>(tasks.map((it, i) => [it, i]));

/** By which number threads know the task. */
export function taskNumber(task: Pick<Task, 'name'>): number {
  const number = numbers.get(task);
  assert(number !== undefined, `kernels: task ${task.name} has no number`);
  return number;
}

/** perform(task, first, last, thread): as all tasks have it, so that they stand in one table. */
const performOf = ({ name, write }: Task): KernelFunction => ({
  name,
  takes: ['i32', 'i32', 'i32', 'i32'],
  gives: null,
  write(parameters) {
    const [, first, last, thread] = parameters as [I32, I32, I32, I32];
    write({ first, last, thread });
    return null;
  },
});

/** Where a task's constants go; tasks share a memory, so each has a place of its own. */
function constantsOf(task: number): ConstantPool {
  const start = CONTROL_CONSTANTS + task * CONSTANT_BYTES;
  return new ConstantPool(start, start + CONSTANT_BYTES);
}

/** The bytes of a task's module, which exports `perform` and imports the memory that it works in. */
export function writeModule(task: number, target: Target): Uint8Array<ArrayBuffer> {
  const it = tasks[task]!;
  return moduleOf({
    target,
    exports: { perform: performOf(it) },
    imports: it.imports,
    constants: constantsOf(task),
    memory: MEMORY,
  });
}

/** The tasks of this name as they are written for a target, for people. */
export function printKernels(name: string, target: Target): string[] {
  return tasks.flatMap((task, i) =>
    task.name.toLowerCase().includes(name.toLowerCase())
      ? [print(bodyOf(performOf(task), target, constantsOf(i)))]
      : [],
  );
}
