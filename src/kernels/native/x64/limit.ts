/** The most multiply-adds of int8 that the processor's 512-bit vectors do: what `cria bench --roofline` compares products with. */
import { type Code, rdi } from './code.ts';
import { countDown } from './frame.ts';

/** Sums that grow side by side: more than a processor has under way. */
const SUMS = 24;
const REPEATS = 8;

/** Multiply-adds of a round. */
export const LIMIT_ROUND = SUMS * REPEATS * 64;

/** A function of C: rounds, at least 1. The numbers are whatever the registers hold. */
export function writeInt8Limit(code: Code): void {
  countDown(code, rdi, () => {
    for (let i = 0; i < SUMS * REPEATS; i++) code.three('dotBytes', i % SUMS, 30, 31);
  });
  code.forgetUpperHalves();
  code.return();
}
