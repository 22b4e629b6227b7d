/**
 * Scores by 8-bit queries (../integers.ts): keys of a q8_0 or q4_0 cache as they are stored, four columns of a position at a time. Sums of
 * a run of 32 columns are exact, so that it matters to no bit that WebAssembly makes them in f32.
 */
import {
  at,
  type Code,
  type General,
  type Place,
  r8,
  r9,
  r10,
  r11,
  r12,
  r13,
  r14,
  r15,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rdx,
  rsi,
  type VectorRegister,
} from '../../../native/x64/code.ts';
import { countDown, type Frame } from '../../../native/x64/frame.ts';
import type { KvType } from '../../../ops.ts';
import { RUN_BYTES, RUN_COLUMNS, RUN_SCALE_AT, RUN_SUMS_AT } from '../integers.ts';
import { PANEL_POSITIONS } from '../layout.ts';
import { LINE } from './registers.ts';
import type { Rows } from './rows.ts';

/** Vector registers beside the sums: two of each of the first three. */
const KEYS = 16;
const HIGH = 18;
const SCALES = 20;
const ORDER = 23;
const PICK = 24;
const BITS = 25;
const X: readonly VectorRegister[] = [26, 27, 28, 29];
const FACTOR = 30;

/** Four columns of 8 positions, and of 8 others, are quads of positions of each column; they become all columns of four positions, … */
const order = [0, 2, 4, 6, 1, 3, 5, 7];
/** … and these four bytes for every position. */
const pick = [0x0c080400, 0x0d090501, 0x0e0a0602, 0x0f0b0703];
/** Bytes of a panel that are turned so. */
const TURNED_BYTES = 4 * PANEL_POSITIONS;

const queryRegisters = [r8, r9, r10, r11, r12, r13, r14, r15];

export class Dots {
  readonly #code: Code;
  readonly #frame: Frame;
  readonly #type: 'q8_0' | 'q4_0';
  readonly #rows: Rows;

  constructor(code: Code, frame: Frame, type: 'q8_0' | 'q4_0', rows: Rows) {
    this.#code = code;
    this.#frame = frame;
    this.#type = type;
    this.#rows = rows;
  }

  static for(code: Code, frame: Frame, type: KvType, rows: Rows): Dots | null {
    return type === 'q8_0' || type === 'q4_0' ? new Dots(code, frame, type, rows) : null;
  }

  /** At `patterns` two vectors, which stay. Changes rax, rsi. */
  constants(): void {
    const code = this.#code;
    const frame = this.#frame;
    frame.get(rsi, 'patterns');
    const words = [...order, ...order.map((lane) => lane + order.length), ...pick, ...pick, ...pick, ...pick];
    words.forEach((word, i) => {
      code.moveNumber(rax, word);
      code.store32(at(rsi, 4 * i), rax);
    });
    const isBytes = this.#type === 'q8_0';
    frame.keepNumber('bits', isBytes ? 0x80808080 : 0x0f0f0f0f);
    // what is added to keys, to make them unsigned, comes off again: of two sums of 16 columns each
    const offset = -(isBytes ? 128 : 8) & 0xffff;
    frame.keepNumber('offsets', offset | (offset << 16));
  }

  /** 32 scores of each of so many rows from `r` on. */
  scores(rows: number): void {
    const code = this.#code;
    const frame = this.#frame;
    const queries = queryRegisters.slice(0, rows);
    this.#rows.toScores(rcx, rdx);
    frame.keep('scoresAt', rcx);
    code.three('xor', 0, 0, 0);
    for (let sum = 0; sum < 2 * rows; sum++) code.storeVector(at(rcx, LINE * sum), 0);
    this.#toQueries(queries);
    frame.get(rsi, 'patterns');
    code.loadVector(ORDER, at(rsi));
    code.loadVector(PICK, at(rsi, LINE));
    code.loadEach(BITS, frame.each('bits'));
    code.loadEach(FACTOR, frame.each('offsets'));
    // rsi: keys, rbp: their scales, both of the first panel; rdx, rdi: to the second and to the fourth; rax: in the queries
    frame.get(rbp, 'chunk');
    frame.get(rsi, 'keyQuantsAt');
    code.add(rsi, rbp);
    frame.get(rdx, 'keyPanelBytes');
    code.multiplyNumber(rdi, rdx, 3);
    code.moveNumber(rax, 0);
    frame.get(rcx, 'toNext');
    code.add(rcx, rbp);
    frame.keep('next', rcx);
    frame.get(rcx, 'queryRuns');
    countDown(code, rcx, () => {
      frame.keep('runsLeft', rcx);
      this.#run(queries);
      frame.get(rcx, 'runsLeft');
    });
  }

  /** Where the rows' integers are. Changes rax, rcx, rdx. */
  #toQueries(queries: readonly General[]): void {
    const code = this.#code;
    const frame = this.#frame;
    frame.get(rax, 'r');
    code.shiftLeft(rax, 2);
    frame.get(rcx, 'queries');
    code.add(rax, rcx);
    frame.get(rcx, 'q');
    code.subtract(rcx, rbx);
    frame.get(rdx, 'quants');
    queries.forEach((query, i) => {
      code.load32(query, at(rax, 4 * i));
      code.subtract(query, rcx);
      // a run is 128 bytes of f32
      code.shiftRight(query, 4);
      code.multiplyNumber(query, query, (16 * RUN_BYTES) / (4 * RUN_COLUMNS));
      code.add(query, rdx);
    });
  }

  #panels(base: General, offset: number): readonly [Place, Place, Place, Place] {
    return [
      at(base, offset),
      { ...at(base, offset), index: rdx },
      { ...at(base, offset), index: rdx, times: 2 },
      { ...at(base, offset), index: rdi },
    ];
  }

  /** A run of columns: what comes to the scores. Changes rcx; rax, rsi and rbp move on. */
  #run(queries: readonly General[]): void {
    const code = this.#code;
    const halves = [0, 1] as const;
    const own = (row: number, offset: number): Place => ({ ...at(queries[row]!, offset), index: rax });
    const scales = this.#panels(rbp, 0);
    for (const v of halves) {
      code.loadQuarters(SCALES + v, scales[2 * v]!, scales[2 * v + 1]!);
      code.two('widenHalves', SCALES + v, SCALES + v);
    }
    queries.forEach((_, row) => {
      code.three('xor', 2 * row, 2 * row, 2 * row);
      code.three('dotPairs', 2 * row, FACTOR, { ...own(row, RUN_SUMS_AT), each: true });
      code.moveVector(2 * row + 1, 2 * row);
    });
    const dots = (keys: VectorRegister, column: number) => {
      queries.forEach((_, row) => {
        const x = X[row % X.length]!;
        code.loadEach(x, own(row, column));
        for (const v of halves) code.three('dotBytes', 2 * row + v, keys + v, x);
      });
    };
    const columns = this.#type === 'q8_0' ? 4 : 8;
    // as much of the next chunk as four panels have of a run
    const lines = (4 * (2 * PANEL_POSITIONS + (RUN_COLUMNS / columns) * TURNED_BYTES)) / LINE;
    let asked = 0;
    this.#frame.get(rcx, 'next');
    for (let column = 0; column < RUN_COLUMNS; column += columns) {
      const panels = this.#panels(rsi, (column / columns) * TURNED_BYTES);
      for (const v of halves) {
        code.loadHalves(KEYS + v, panels[2 * v]!, panels[2 * v + 1]!);
        code.three('pickFloats', KEYS + v, ORDER, KEYS + v);
        code.three('pick', KEYS + v, KEYS + v, PICK);
        if (this.#type === 'q8_0') code.three('xor', KEYS + v, KEYS + v, BITS);
        else {
          code.shift('wordsRight', HIGH + v, KEYS + v, 4);
          for (const it of [KEYS + v, HIGH + v]) code.three('and', it, it, BITS);
        }
      }
      for (; asked < lines * ((column + columns) / RUN_COLUMNS); asked++) code.prefetch(at(rcx, LINE * asked));
      dots(KEYS, column);
      if (this.#type === 'q4_0') dots(HIGH, column + 4);
    }
    code.addNumber(rcx, LINE * lines);
    this.#frame.keep('next', rcx);
    this.#frame.get(rcx, 'scoresAt');
    queries.forEach((_, row) => {
      for (const v of halves) {
        const sum = 2 * row + v;
        code.two('toFloats', sum, sum);
        code.three('multiply', sum, sum, SCALES + v);
        code.three('multiply', sum, sum, { ...own(row, RUN_SCALE_AT), each: true });
        code.three('addFloats', sum, sum, at(rcx, LINE * sum));
        code.storeVector(at(rcx, LINE * sum), sum);
      }
    });
    code.addNumber(rax, RUN_BYTES);
    code.addNumber(rsi, (RUN_COLUMNS / columns) * TURNED_BYTES);
    code.addNumber(rbp, 2 * PANEL_POSITIONS);
  }
}
