import { at, type Code, type General, type Label, x0, x8, x9, x11, x12 } from '../../../native/arm64/code.ts';
import { countDown, type Frame, unless } from '../../../native/arm64/frame.ts';

interface Panel {
  /** Of the group that `first` is in. */
  readonly panel: number;
  /** The group's sums, 8 floats a panel. */
  readonly from: General;
  /** Where the row of y begins. */
  readonly y: General;
}

const [ROWS, BIAS, TO, HAS_BIAS] = [x9, x8, x11, x0];
const [SUM, BETWEEN] = [0, 1];

/** y = sums + bias, of as many of the panel's rows as the matrix has. Changes x0, x8, x9, x11, x12, v0, v1. */
export function storePanel(code: Code, frame: Frame, { panel, from, y }: Panel): void {
  const [some, done]: [Label, Label] = [{ at: null }, { at: null }];
  frame.get(x8, 'first');
  code.addNumber(x8, x8, panel);
  code.shiftLeft(x8, x8, 3);
  frame.get(ROWS, 'rows');
  code.compare(ROWS, x8);
  code.jumpIf('belowOrEqual', done);
  code.subtract(ROWS, ROWS, x8);
  code.shiftLeft(x8, x8, 2);
  code.add(TO, y, x8);
  frame.get(x12, 'bias');
  code.add(BIAS, x12, x8);
  frame.get(HAS_BIAS, 'hasBias');
  const store = (
    load: 'loadVector' | 'loadQuarter',
    save: 'storeVector' | 'storeQuarter',
    source: General,
    offset: number,
    more: number,
  ) => {
    code.moveBytes(load, SUM, at(source, offset + more));
    code.compareNumber(HAS_BIAS, 0);
    unless(code, 'equal', () => {
      code.moveBytes(load, BETWEEN, at(BIAS, more));
      code.three('addFloats', SUM, SUM, BETWEEN);
    });
    code.moveBytes(save, SUM, at(TO, more));
  };
  code.compareNumber(ROWS, 8);
  code.jumpIf('below', some);
  for (const more of [0, 16]) store('loadVector', 'storeVector', from, 32 * panel, more);
  code.jump(done);
  code.place(some);
  code.addNumber(x12, from, 32 * panel);
  countDown(code, ROWS, () => {
    store('loadQuarter', 'storeQuarter', x12, 0, 0);
    for (const register of [x12, BIAS, TO]) code.addNumber(register, register, 4);
  });
  code.place(done);
}
