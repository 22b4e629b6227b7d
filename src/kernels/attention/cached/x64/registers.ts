/** Mask registers that keep what they name: the first lane, and the lower half. 1 and 2 are for what is at hand. */
export const ONE = 7;
export const HALF = 6;
/** Bytes of a vector. */
export const LINE = 64;
/** Numbers of a vector. */
export const FLOATS = 16;
