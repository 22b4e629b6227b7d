import type { Floats } from '../../tensor/tensor.ts';

/** dx += factor · dy: both sides of a sum get the gradient as it is, a multiple gets it multiplied. */
export function accumulate(dx: Floats, dy: Floats, factor: number): void {
  for (let i = 0; i < dx.length; i++) dx[i]! += factor * dy[i]!;
}
