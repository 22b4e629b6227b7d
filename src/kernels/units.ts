/** How kernels go through the units of their task. */
import { each } from './writer/statements.ts';
import type { Units } from './writer/task.ts';
import type { I32 } from './writer/values.ts';

/** Numbers that a unit of an element-wise task covers. */
export const UNIT_FLOATS = 1024;

/** Element by element: eight at a time, then what is left one by one. `at` is in bytes from the first element. */
export function elements(
  { first, last }: Units,
  count: I32,
  { eight, one }: { readonly eight: (at: I32) => void; readonly one: (at: I32) => void },
): void {
  const end = last.mul(UNIT_FLOATS).min(count);
  const whole = end.and(~7);
  const start = first.mul(UNIT_FLOATS);
  each(start, whole, 8, (i) => eight(i.mul(4)));
  each(whole, end, 1, (i) => one(i.mul(4)));
}
