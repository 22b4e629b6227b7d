// Which kernel a training task's number means; kernels.assembly.ts hands on the numbers from FIRST_TRAINING_TASK.
import { activationBackward, activationForward, softcap, softcapBackward } from './activation/assembly';
import { adamW, sumSquares } from './adamw/assembly';
import { accumulate, addBias } from './add/backward.assembly';
import { attentionBackward, attentionForward } from './attention/training.assembly';
import { columnAffine, columnMoments } from './batch-norm/assembly';
import { crossEntropyRows } from './cross-entropy/assembly';
import { dropoutRows } from './dropout/assembly';
import { embedBackward } from './embed/backward.assembly';
import { gatherRows } from './embed/gather.assembly';
import { swigluBackward } from './gated/backward.assembly';
import { gemmPack } from './gemm/assembly';
import { gemmBlas } from './gemm/blas.assembly';
import { layerNorm, layerNormBackward } from './layer-norm/assembly';
import { blend } from './muon/assembly';
import { columnSums, rmsNormBackward } from './rms-norm/backward.assembly';
import { ropeBackward } from './rope/backward.assembly';
import {
  TASK_ACCUMULATE,
  TASK_ADAMW,
  TASK_ATTENTION_BACKWARD,
  TASK_ATTENTION_FORWARD,
  TASK_COLUMN_SUMS,
  TASK_CROSS_ENTROPY_ROWS,
  TASK_DROPOUT,
  TASK_EMBED_BACKWARD,
  TASK_GEMM_BLAS,
  TASK_GEMM_PACK,
  TASK_RMS_NORM_BACKWARD,
  TASK_ROPE_BACKWARD,
  TASK_SUM_SQUARES,
  TASK_SWIGLU_BACKWARD,
  TASK_ACTIVATION,
  TASK_ACTIVATION_BACKWARD,
  TASK_ADD_BIAS,
  TASK_BLEND,
  TASK_COLUMN_AFFINE,
  TASK_COLUMN_MOMENTS,
  TASK_GATHER_ROWS,
  TASK_LAYER_NORM,
  TASK_LAYER_NORM_BACKWARD,
  TASK_SOFTCAP,
  TASK_SOFTCAP_BACKWARD,
} from './training-tasks';

export { attentionBackwardBytes, attentionForwardBytes } from './attention/training.assembly';

export function performTraining(task: i32, first: i32, last: i32, thread: i32): void {
  switch (task) {
    case TASK_GEMM_PACK:
      return gemmPack(first, last);
    case TASK_GEMM_BLAS:
      return gemmBlas(first, last);
    case TASK_ATTENTION_FORWARD:
      return attentionForward(first, last, thread);
    case TASK_ATTENTION_BACKWARD:
      return attentionBackward(first, last, thread);
    case TASK_CROSS_ENTROPY_ROWS:
      return crossEntropyRows(first, last);
    case TASK_RMS_NORM_BACKWARD:
      return rmsNormBackward(first, last);
    case TASK_COLUMN_SUMS:
      return columnSums(first, last);
    case TASK_SWIGLU_BACKWARD:
      return swigluBackward(first, last);
    case TASK_ROPE_BACKWARD:
      return ropeBackward(first, last);
    case TASK_ACCUMULATE:
      return accumulate(first, last);
    case TASK_ADAMW:
      return adamW(first, last);
    case TASK_SUM_SQUARES:
      return sumSquares(first, last);
    case TASK_EMBED_BACKWARD:
      return embedBackward();
    case TASK_GATHER_ROWS:
      return gatherRows(first, last);
    case TASK_BLEND:
      return blend(first, last);
    case TASK_ACTIVATION:
      return activationForward(first, last);
    case TASK_ACTIVATION_BACKWARD:
      return activationBackward(first, last);
    case TASK_SOFTCAP:
      return softcap(first, last);
    case TASK_SOFTCAP_BACKWARD:
      return softcapBackward(first, last);
    case TASK_LAYER_NORM:
      return layerNorm(first, last);
    case TASK_LAYER_NORM_BACKWARD:
      return layerNormBackward(first, last);
    case TASK_COLUMN_MOMENTS:
      return columnMoments(first, last);
    case TASK_COLUMN_AFFINE:
      return columnAffine(first, last);
    case TASK_ADD_BIAS:
      return addBias(first, last);
    case TASK_DROPOUT:
      return dropoutRows(first, last);
    default:
      unreachable();
  }
}
