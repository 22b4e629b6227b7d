/** Mask registers that keep what they name: the first lane, and the lower half. 1 and 2 are for what is at hand. */
export const ONE = 7;
export const HALF = 6;
/** Bytes of a vector. */
export const LINE = 64;
/** Numbers of a vector. */
export const FLOATS = 16;
/** From here on, what each row's sums grow by. */
export const W = 16;
/** −8 … 7 as f32, for q4_0: stays from the start of the function to its end. */
export const LEVELS = 22;
