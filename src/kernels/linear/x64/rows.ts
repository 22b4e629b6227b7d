/** What products do with the rows of the matrix that a register stands for, as many as the matrix has: two panels, 16 rows, or one of 8. */
import {
  at,
  type Code,
  type General,
  type Label,
  type Mask,
  rax,
  rcx,
  rdi,
  rdx,
  type VectorRegister,
} from '../../native/x64/code.ts';
import { atMostNumber, type Frame, unless } from '../../native/x64/frame.ts';

/** The mask of those of this pair of panels; to `nothing` if there are none. `first`: the group's first panel. Changes rax, rcx. */
export function rowsLeft(code: Code, frame: Frame, pair: number, nothing: Label, mask: Mask = 1): void {
  frame.get(rax, 'first');
  code.shiftLeft(rax, 3);
  code.addNumber(rax, 16 * pair);
  frame.get(rcx, 'rows');
  code.compare(rcx, rax);
  code.jumpIf('belowOrEqual', nothing);
  code.subtract(rcx, rax);
  maskOf(code, rcx, mask);
}

/** The mask of as many lanes as `count`, at most all; count is rcx. Changes rax, rcx. */
export function maskOf(code: Code, count: General, mask: Mask): void {
  code.compareNumber(count, 16);
  unless(code, 'belowOrEqual', () => code.moveNumber(count, 16));
  code.moveNumber(rax, 1);
  code.shiftLeftByRcx(rax);
  code.addNumber(rax, -1);
  code.mask(rax, mask);
}

/** y of this pair of panels = source + bias: rdi is where y's row begins, rdx where the bias does. Changes rax, rcx, `between`. */
export function storeRows(
  code: Code,
  frame: Frame,
  {
    source,
    pair,
    between,
  }: { readonly source: VectorRegister; readonly pair: number; readonly between: VectorRegister },
): void {
  const nothing: Label = { at: null };
  rowsLeft(code, frame, pair, nothing);
  frame.get(rax, 'first');
  code.shiftLeft(rax, 5);
  frame.get(rcx, 'hasBias');
  code.compareNumber(rcx, 0);
  unless(code, 'equal', () => {
    code.sum(rcx, rdx, rax);
    code.loadMasked(between, at(rcx, 64 * pair));
    code.three('addFloats', source, source, between);
  });
  code.add(rax, rdi);
  code.storeMasked(at(rax, 64 * pair), source);
  code.place(nothing);
}

/** … of this panel, with 256-bit vectors: which lanes they are goes to `lanes`. */
export function storePanel(
  code: Code,
  frame: Frame,
  {
    source,
    panel,
    lanes,
    between,
  }: { readonly [name in 'source' | 'lanes' | 'between']: VectorRegister } & { readonly panel: number },
): void {
  const nothing: Label = { at: null };
  frame.get(rax, 'first');
  code.addNumber(rax, panel);
  code.shiftLeft(rax, 3);
  frame.get(rcx, 'rows');
  code.compare(rcx, rax);
  code.jumpIf('belowOrEqual', nothing);
  code.subtract(rcx, rax);
  atMostNumber(code, rcx, 8);
  // a byte of ones for every lane
  code.multiplyNumber(rcx, rcx, -8);
  code.addNumber(rcx, 64);
  code.moveNumber(rax, 0);
  code.addNumber(rax, -1);
  code.shiftRightByRcx(rax);
  code.lanesOf(lanes, rax);
  frame.get(rax, 'first');
  code.shiftLeft(rax, 5);
  frame.get(rcx, 'hasBias');
  code.compareNumber(rcx, 0);
  unless(code, 'equal', () => {
    code.sum(rcx, rdx, rax);
    code.loadLanes(between, at(rcx, 32 * panel), lanes);
    code.three('addFloats', source, source, between);
  });
  code.add(rax, rdi);
  code.storeLanes(at(rax, 32 * panel), source, lanes);
  code.place(nothing);
}

/** Goes on to the next group of so many panels. */
export function nextGroup(code: Code, frame: Frame, panels: number): void {
  frame.get(rax, 'first');
  code.addNumber(rax, panels);
  frame.keep('first', rax);
}
