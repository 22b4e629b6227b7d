// Entry of the WASM build: which kernel a task number means. Every kernel works on units first … last − 1 of the running task, whose
// arguments lie in the control area (tasks.ts), so any thread can do any part of it.
import { kvAppend } from './attention/kv.assembly';
import { roundBf16 } from './gemm/round.assembly';
import { linearBlas } from './linear/blas.assembly';
import { pack } from './linear/pack.assembly';
import { quantizeRows } from './linear/quantize.assembly';
import { embed, unpackPanels } from './linear/unpack.assembly';
import { performTraining } from './training.assembly';
import {
  FIRST_WRITTEN_TASK,
  TASK_EMBED,
  TASK_KV_APPEND,
  TASK_LINEAR_BLAS,
  TASK_PACK,
  TASK_QUANTIZE_ROWS,
  TASK_ROUND_BF16,
  TASK_UNPACK,
} from './tasks';

export { limitF32, limitInt8, limitRead } from './limits/assembly';
export { panelBytes, matrixBytes } from './linear/layout.assembly';
export { attentionBackwardBytes, attentionForwardBytes } from './training.assembly';
export { close, describe, leave, open, prepareTeam, runAlone, runShared, serve, takePart } from './team/assembly';

/** First byte that the kernels' own constants leave free. */
export function heapStart(): usize {
  return __heap_base;
}

@external("env", "performWritten")
declare function performWritten(task: i32, first: i32, last: i32, thread: i32): void;

export function perform(task: i32, first: i32, last: i32, thread: i32): void {
  if (task >= FIRST_WRITTEN_TASK) return performWritten(task, first, last, thread);
  switch (task) {
    case TASK_QUANTIZE_ROWS:
      return quantizeRows(first, last);
    case TASK_LINEAR_BLAS:
      return linearBlas(first, last, thread);
    case TASK_PACK:
      return pack(first, last);
    case TASK_UNPACK:
      return unpackPanels(first, last);
    case TASK_EMBED:
      return embed(first, last);
    case TASK_KV_APPEND:
      return kvAppend(first, last);
    case TASK_ROUND_BF16:
      return roundBf16(first, last);
    default:
      performTraining(task, first, last, thread);
  }
}
