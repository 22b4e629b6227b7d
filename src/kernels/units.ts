/** How kernels go through the units of their task. */
import { pair } from './lanes.ts';
import { each, store, storeVectors, when } from './writer/statements.ts';
import type { Units } from './writer/task.ts';
import { F32, F32x4, type I32 } from './writer/values.ts';

/** Numbers that a unit of an element-wise task covers. */
export const UNIT_FLOATS = 1024;

/** Units of an element-wise task. */
export const elementUnits = (count: number): number => Math.ceil(count / UNIT_FLOATS);

/**
 * Element by element: eight at a time, then what is left one by one or, without `one`, by eight more: buffers are then read and written
 * to a multiple of eight. `at` is in bytes from the first element.
 */
export function elements(
  { first, last }: Units,
  count: I32,
  { eight, one }: { readonly eight: (at: I32) => void; readonly one?: (at: I32) => void },
): void {
  const end = last.mul(UNIT_FLOATS).min(count);
  const whole = one ? end.and(~7) : end;
  const start = first.mul(UNIT_FLOATS);
  each(start, whole, 8, (i) => eight(i.mul(4)));
  if (one) each(whole, end, 1, (i) => one(i.mul(4)));
}

/** The numbers of a row: so many bytes of it by vectors, then one by one. `at` is in bytes from its start. */
export function columns(
  bytes: I32,
  step: 16 | 32,
  { wide, one }: { readonly wide: (at: I32) => void; readonly one: (at: I32) => void },
): void {
  const whole = bytes.and(~(step - 1));
  each(0, whole, step, wide);
  each(whole, bytes, 4, one);
}

/** Where results go. `at` is in bytes from its start. */
export interface Results {
  /**
   * Two neighbouring vectors. Each is said as one expression, from loads to store: what is kept in locals of a loop costs V8 too much to join
   * the pair.
   */
  pair(at: I32, value: (half: 0 | 1) => F32x4): void;
  vector(at: I32, value: F32x4): void;
  number(at: I32, value: F32): void;
}

/** In the place of what is there. */
export function into(place: I32): Results {
  return {
    pair: (at, value) => storeVectors(place.add(at), pair(value)),
    vector: (at, value) => store(place.add(at), value),
    number: (at, value) => store(place.add(at), value),
  };
}

/** Added to what is there. */
export function onto(place: I32): Results {
  const { pair, vector, number } = into(place);
  const before = (at: I32, half: number) => F32x4.load(place.add(at), 16 * half);
  return {
    pair: (at, value) => pair(at, (half) => value(half).add(before(at, half))),
    vector: (at, value) => vector(at, value.add(before(at, 0))),
    number: (at, value) => number(at, value.add(F32.load(place.add(at)))),
  };
}

/** What `write` says, twice: a loop that replaces, and one that adds. */
export function intoOrOnto(place: I32, adds: I32, write: (results: Results) => void): void {
  when(
    adds,
    () => write(onto(place)),
    () => write(into(place)),
  );
}

/** Decided at every result: added where `adds` is not 0, left out where the buffer's place is 0. `start`: from there to the first result. */
export function wanted(place: I32, adds: I32, start: I32 | number = 0): Results {
  const put = (write: (results: Results) => void) => when(place, () => intoOrOnto(place.add(start), adds, write));
  return {
    pair: (at, value) => put((results) => results.pair(at, value)),
    vector: (at, value) => put((results) => results.vector(at, value)),
    number: (at, value) => put((results) => results.number(at, value)),
  };
}
