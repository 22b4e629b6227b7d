import type { ActivationArena } from './activation-arena.ts';
import type { Segment } from './segment.ts';
import type { Streams } from './streams.ts';
import type { Team } from './team.ts';
import { numbersOf, type WasmTensor } from './tensors.ts';

/** What operations share: memory, threads, and moving operands between segments. */
export interface OpContext {
  readonly arena: ActivationArena;
  readonly team: Team;
  /** Where tensors go that belong to no layer, and all that is trained. */
  readonly home: Segment;
  /** Activation rows from which the BLAS multiplies, by how a matrix is kept (PACK_… of kernels/tasks.ts); infinite without one. */
  readonly blasRows: readonly number[];
  /** The BLAS has products of bf16 for quantized matrices. */
  readonly hasHalf: boolean;
  /** How matrix-vector products read quantized weights. */
  readonly streams: Streams;
}

/** The tensor, or its copy in another segment; the copy is remembered. */
export function inSegment(context: OpContext, tensor: WasmTensor, segment: Segment): WasmTensor {
  if (tensor.segment === segment) return tensor;
  if (tensor.mirror?.segment === segment) return tensor.mirror;
  const copy = context.arena.like(segment, tensor);
  numbersOf(copy).set(numbersOf(tensor));
  copy.owner = tensor;
  tensor.mirror = copy;
  return copy;
}
