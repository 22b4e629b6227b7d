import type { BackwardOps, TrainingOps } from '../kernels/backward-ops.ts';
import type { MuonStep } from '../kernels/muon/reference.ts';
import type { Floats, Tensor } from '../tensor/tensor.ts';
import type { DeviceKind } from './device.ts';

/**
 * A device for training: operations with their gradients, over plain f32 parameters that may be written.
 * Parameters, gradients and moments live until close(); activations live in an arena that is released by marks, last in, first out.
 */
export interface TrainingDevice {
  readonly kind: DeviceKind;
  /** One line for people: what runs and how. */
  readonly description: string;
  readonly ops: TrainingOps;
  readonly backward: BackwardOps;

  /** A tensor of zeros that lives until close(). */
  allocate(shape: readonly number[]): Tensor;
  /** A tensor in the arena; its numbers are not set. */
  scratch(shape: readonly number[]): Tensor;
  /** The numbers of a tensor in place: what is written here is what the operations see. Ask again after every allocation. */
  view(tensor: Tensor): Floats;

  mark(): number;
  release(mark: number): void;
  /** Releases the arena to `mark` but for these tensors; returns them in their new places. Their old handles are void. */
  keep(mark: number, tensors: readonly Tensor[]): Tensor[];

  /** Σ x², in f64. */
  sumSquares(tensor: Tensor): number;
  /** One AdamW step on the elements [from, from + m's length) of a parameter. */
  adamW(parameter: Tensor, gradient: Tensor, moments: Moments, from: number, step: AdamWStep): void;

  /** One Muon step on a whole matrix; `m` is its momentum. */
  muon(parameter: Tensor, gradient: Tensor, m: Tensor, step: MuonStep): void;

  /** Bytes held: what lives until close(), and the most that the arena has held. */
  memory(): { readonly persistent: number; readonly arenaPeak: number };
  close(): void;
}

/** Running mean of the gradient and of its square. */
export interface Moments {
  readonly m: Tensor;
  readonly v: Tensor;
}

export interface AdamWStep {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** 0 where the parameter does not decay. */
  readonly weightDecay: number;
  /** Factor on the gradient: gradient clipping. */
  readonly gradientScale: number;
  /** 1 at the first step. */
  readonly step: number;
}
