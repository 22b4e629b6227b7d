/**
 * Keys of an f16 cache and values of an f16, q8_0 or q4_0 one on their way to sums, in whole runs of 32 columns: what is stored becomes f32 in registers,
 * beside the multiply-adds, where ./widen.ts writes it to scratch first. Worth it where few rows read a block: each group of rows widens anew.
 */
import {
  at,
  type Code,
  type General,
  type Label,
  type Place,
  r9,
  r10,
  r11,
  r13,
  r14,
  r15,
  rax,
  rbp,
  rcx,
  rdi,
  rdx,
  rsi,
  type VectorRegister,
} from '../../../native/x64/code.ts';
import { countDown, type Frame } from '../../../native/x64/frame.ts';
import type { KvType } from '../../../ops.ts';
import { PANEL_POSITIONS } from '../layout.ts';
import { SCORE_BYTES } from '../products.ts';
import { LEVELS, LINE, W } from './registers.ts';

/** Columns that share a scale. */
export const RUN_COLUMNS = 32;
/** Rows of a tile at most. */
export const MOST_ROWS = 8;
/** Columns of keys at a time. */
const STEP = 2;
/** Of values; two of the second. */
const SCALES = 18;
const QUANTS = 23;

type Stored = Exclude<KvType, 'f32'>;
/** Of a column of a panel of keys. */
const KEY_COLUMN_BYTES = 2 * PANEL_POSITIONS;
/** Of 32 columns of a value row. */
const valueRunBytes: Readonly<Record<Stored, number>> = { f16: 64, q8_0: 32, q4_0: 16 };

/** The sums of `rows` rows, two vectors each, += the vectors W and W + 1 · each row's own number. */
type GrowAll = (rows: number, vectors: 2, number: (row: number) => Place) => void;

export class StoredPanels {
  readonly #code: Code;
  readonly #frame: Frame;
  readonly #type: Stored;
  readonly #growAll: GrowAll;

  constructor(code: Code, frame: Frame, type: Stored, growAll: GrowAll) {
    this.#code = code;
    this.#frame = frame;
    this.#type = type;
    this.#growAll = growAll;
  }

  /** Sums 0 … 2 · rows − 1, which are zero, += q · k of 32 positions of an f16 cache. Changes rax, rcx, rdx, rsi, rdi, rbp. */
  scores(queries: readonly General[]): void {
    const code = this.#code;
    const frame = this.#frame;
    // rsi: keys of the first panel; rdx, rdi: to the second and to the fourth; rbp: what is prefetched
    frame.get(rsi, 'chunk');
    frame.get(rbp, 'toNext');
    code.add(rbp, rsi);
    frame.get(rdx, 'keyPanelBytes');
    code.multiplyNumber(rdi, rdx, 3);
    code.moveNumber(rax, 0);
    frame.get(rcx, 'headSize');
    code.shiftRight(rcx, Math.log2(STEP));
    countDown(code, rcx, () => {
      for (let column = 0; column < STEP; column++) {
        code.prefetch(at(rbp, LINE * column));
        const place = at(rsi, column * KEY_COLUMN_BYTES);
        code.loadQuarters(W, place, { ...place, index: rdx });
        code.loadQuarters(W + 1, { ...place, index: rdx, times: 2 }, { ...place, index: rdi });
        for (const v of [W, W + 1]) code.two('widenHalves', v, v);
        this.#growAll(queries.length, 2, (row) => ({ ...at(queries[row]!, 4 * column), index: rax }));
      }
      code.addNumber(rsi, STEP * KEY_COLUMN_BYTES);
      code.addNumber(rbp, 4 * STEP * KEY_COLUMN_BYTES);
      code.addNumber(rax, 4 * STEP);
    });
  }

  /**
   * r10 = the first of the values that are seen, r14 its scale; both of the first run. Changes rax. `first`: which of the block's positions.
   */
  toValues(first: General): void {
    const code = this.#code;
    const frame = this.#frame;
    frame.get(r13, 'valueRowBytes');
    code.move(r10, first);
    code.multiply(r10, r13);
    frame.get(rax, 'chunkValues');
    code.add(r10, rax);
    frame.get(r14, 'valueScalesAt');
    code.add(r14, r10);
  }

  /**
   * Run after run of columns: sums are begun, grow by the values · shares of the positions that are seen, and are ended. After toValues;
   * r9: shares. Changes rax, rcx, rdx, rsi, r10, r11, r14, r15.
   */
  mix(rows: number, begin: () => void, end: () => void): void {
    const code = this.#code;
    const frame = this.#frame;
    frame.get(rcx, 'headSize');
    this.#runs(rcx, () => {
      begin();
      frame.get(r11, 'seen');
      frame.get(rcx, 'toNext');
      code.move(rsi, r9);
      code.move(rdx, r10);
      code.move(r15, r14);
      countDown(code, r11, () => {
        code.prefetch({ ...at(rdx), index: rcx });
        this.#values();
        this.#growAll(rows, 2, (row) => at(rsi, SCORE_BYTES * row));
        code.addNumber(rsi, 4);
        code.add(rdx, r13);
        code.add(r15, r13);
      });
      end();
      code.addNumber(r10, valueRunBytes[this.#type]);
      code.addNumber(r14, 2);
    });
  }

  /** W, W + 1 = 32 columns of a position. */
  #values(): void {
    const code = this.#code;
    const vectors: readonly VectorRegister[] = [0, 1];
    if (this.#type === 'f16') {
      for (const v of vectors) code.two('widenHalves', W + v, at(rdx, (LINE / 2) * v));
      return;
    }
    code.loadEachHalf(SCALES, at(r15));
    code.two('widenHalves', SCALES, SCALES);
    if (this.#type === 'q8_0') {
      for (const v of vectors) {
        code.two('bytesToIntsSigned', W + v, at(rdx, (LINE / 4) * v));
        code.two('toFloats', W + v, W + v);
      }
    } else {
      code.two('bytesToInts', QUANTS, at(rdx));
      code.shift('intsRight', QUANTS + 1, QUANTS, 4);
      for (const v of vectors) code.three('pickFloats', W + v, QUANTS + v, LEVELS);
    }
    for (const v of vectors) code.three('multiply', W + v, W + v, SCALES);
  }

  /** For every run of columns of what `columns` says; it is free within. */
  #runs(columns: General, write: () => void): void {
    const code = this.#code;
    const frame = this.#frame;
    frame.keep('columns', columns);
    const again: Label = { at: null };
    code.place(again);
    write();
    frame.get(columns, 'columns');
    code.addNumber(columns, -RUN_COLUMNS);
    frame.keep('columns', columns);
    code.jumpIf('notEqual', again);
  }
}
