/**
 * Matrix-vector products of floats with 256-bit vectors (AVX2, FMA, F16C): the task floatVector (../kernel.ts), with the same bits, as every
 * sum takes the same steps, column after column. A panel is a register, and a group's sums are eight.
 */
import { at, type Code, r8, r13, r15, rax, rcx, rdi, rdx, rsi, type VectorRegister } from '../../../native/x64/code.ts';
import { countDown, eachBelow } from '../../../native/x64/frame.ts';
import { enter } from '../../../native/x64/task.ts';
import { FLOAT_GROUP_PANELS } from '../../../tasks.ts';
import type { Task } from '../../../writer/task.ts';
import { nextGroup, storePanel } from '../../x64/rows.ts';
import { columnBytes, type FloatPacking, POWER_BYTES, powersBytes, rowBytes } from '../packing.ts';
import { AHEAD, F16_EXPONENT, LINE } from './products.ts';

/** Registers 0…7 are the sums of the panels; two for weights take turns. */
const W: readonly VectorRegister[] = [8, 9];
const X = 10;
const EXPONENT = 11;
const [LANES, BETWEEN] = [12, 13];

const panels = Array.from({ length: FLOAT_GROUP_PANELS }, (_, panel) => panel);

/** `isFused`: multiply-adds round once, as in the relaxed builds. */
export function writeFloatVector256(code: Code, packing: FloatPacking, task: Task, isFused: boolean): void {
  const { type } = packing;
  const frame = enter(code, task);
  if (type === 'f16') {
    code.moveNumber(rax, F16_EXPONENT);
    code.fill(EXPONENT, rax);
  }
  frame.get(r15, 'scratch');

  /** sum += the panel's weights of the column at rsi · X */
  const grow = (panel: number) => {
    const w = W[panel % 2]!;
    const place = at(rsi, panel * rowBytes(packing));
    if (type === 'bf16') {
      code.two('widenWords', w, place);
      code.shift('intsLeft', w, w, 16);
    }
    if (type === 'f16') {
      code.two('widenHalves', w, place);
      code.three('multiply', w, w, at(r15, 32 * panel));
    }
    const weights = type === 'f32' ? place : w;
    if (isFused) code.three('multiplyAdd', panel, X, weights);
    else {
      code.three('multiply', w, X, weights);
      code.three('addFloats', panel, panel, w);
    }
  };

  eachBelow(code, frame, 'first', 'last', () => {
    // the group at rsi; in the scratch what every panel's f16 are multiplied by
    frame.get(r13, 'columns');
    code.multiplyNumber(rax, r13, columnBytes(packing));
    code.move(rcx, rax);
    code.addNumber(rcx, powersBytes(packing));
    frame.get(rsi, 'first');
    code.shiftRight(rsi, Math.log2(FLOAT_GROUP_PANELS));
    code.multiply(rsi, rcx);
    frame.get(rcx, 'w');
    code.add(rsi, rcx);
    code.sum(r8, rsi, rax);
    for (const panel of panels) {
      code.three('xor', panel, panel, panel);
      if (type !== 'f16') continue;
      code.loadEach(X, at(r8, panel * POWER_BYTES));
      code.three('multiply', X, X, EXPONENT);
      code.storeVector(at(r15, 32 * panel), X);
    }
    frame.get(rdi, 'x');
    countDown(code, r13, () => {
      for (let line = 0; line < columnBytes(packing); line += LINE) code.prefetch(at(rsi, AHEAD + line));
      code.loadEach(X, at(rdi));
      for (const panel of panels) grow(panel);
      code.addNumber(rsi, columnBytes(packing));
      code.addNumber(rdi, 4);
    });
    frame.get(rdi, 'y');
    frame.get(rdx, 'bias');
    for (const panel of panels) storePanel(code, frame, { source: panel, panel, lanes: LANES, between: BETWEEN });
    nextGroup(code, frame, FLOAT_GROUP_PANELS);
  });
  frame.leave();
}
