/**
 * The same products as machine code of x86-64 with 512-bit vectors (AVX-512): the tasks of ../kernel.ts, with the same bits, as every sum
 * takes the same steps, column after column.
 *
 * Up to FEW activation rows go side by side through a group as it lies in memory. More of them take turns at a block of the group's
 * columns, which is widened to f32 once; the sums wait in y from block to block. There a tile is half a group (32 rows) × up to 12
 * activation rows: 24 sums in registers.
 */
import {
  at,
  type Code,
  type General,
  type Label,
  type Mask,
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
  rcx,
  rdi,
  rdx,
  rsi,
  type VectorRegister,
} from '../../../native/x64/code.ts';
import { countDown, eachBelow, type Frame, unless } from '../../../native/x64/frame.ts';
import { enter } from '../../../native/x64/task.ts';
import { FLOAT_GROUP_PANELS } from '../../../tasks.ts';
import type { Task } from '../../../writer/task.ts';
import { maskOf, nextGroup } from '../../x64/rows.ts';
import { WIDE_COLUMNS } from '../kernel.ts';
import { columnBytes, type FloatPacking, POWER_BYTES, powersBytes, rowBytes } from '../packing.ts';

/** Registers of a column of the group: 16 rows each. */
const VECTORS = FLOAT_GROUP_PANELS / 2;
const FEW = 6;
const HALF_VECTORS = VECTORS / 2;
/** Activation rows of a tile, the most first. */
const TILES = [12, 8, 6, 4, 3, 2, 1];

const W = 24;
const X: readonly VectorRegister[] = [28, 29];
/** Of the rows of a column's registers. */
const MASKS: readonly Mask[] = [1, 2, 6, 7];
const BETWEEN = 30;
const EXPONENT = 31;
/** 2⁻¹¹², the difference of the exponents' biases: the instruction widens f16 with its exponent moved. */
const F16_EXPONENT = 0x07800000;

/** In the scratch: powers of two of each 16 rows, then the two halves of a block as f32. */
const POWERS_BYTES = VECTORS * 64;
const HALF_COLUMN = HALF_VECTORS * 64;
const HALF_BYTES = WIDE_COLUMNS * HALF_COLUMN;

/** How far ahead of its use a weight of either stream is asked for, in bytes. */
const AHEAD = 4096;
const LINE = 64;

/** `isFused`: multiply-adds round once, as in the relaxed builds. */
export function writeFloats(code: Code, packing: FloatPacking, task: Task, isFused: boolean): void {
  new Writer(code, packing, enter(code, task), isFused).write();
}

class Writer {
  readonly #code: Code;
  readonly #packing: FloatPacking;
  readonly #frame: Frame;
  readonly #isFused: boolean;

  constructor(code: Code, packing: FloatPacking, frame: Frame, isFused: boolean) {
    this.#code = code;
    this.#packing = packing;
    this.#frame = frame;
    this.#isFused = isFused;
  }

  write(): void {
    const code = this.#code;
    const frame = this.#frame;
    if (this.#packing.type === 'f16') {
      code.moveNumber(rax, F16_EXPONENT);
      code.fill(EXPONENT, rax);
    }
    frame.get(r15, 'scratch');
    eachBelow(code, frame, 'first', 'last', () => {
      this.#toGroup();
      const [many, done]: [Label, Label] = [{ at: null }, { at: null }];
      frame.get(rax, 'N');
      code.compareNumber(rax, FEW + 1);
      code.jumpIf('aboveOrEqual', many);
      for (let rows = 1; rows <= FEW; rows++) {
        code.compareNumber(rax, rows);
        unless(code, 'notEqual', () => {
          this.#few(rows);
          code.jump(done);
        });
      }
      code.place(many);
      this.#blocks();
      code.place(done);
      nextGroup(code, frame, FLOAT_GROUP_PANELS);
    });
    frame.leave();
  }

  /** The group of the panel in `first`, at rsi, its powers of two in the scratch; a group's bytes in r13. Changes rax, rcx, k1. */
  #toGroup(): void {
    const code = this.#code;
    const frame = this.#frame;
    frame.get(rcx, 'columns');
    code.multiplyNumber(rax, rcx, columnBytes(this.#packing));
    code.move(r13, rax);
    code.addNumber(r13, powersBytes(this.#packing));
    frame.get(rsi, 'first');
    code.shiftRight(rsi, Math.log2(FLOAT_GROUP_PANELS));
    code.multiply(rsi, r13);
    frame.get(rcx, 'w');
    code.add(rsi, rcx);
    code.sum(rcx, rsi, rax);
    this.#powers(0);
  }

  /** Of 16 rows each, to so many bytes behind the scratch's beginning: rcx is where the group has them. Changes rax, k1. */
  #powers(offset: number): void {
    const code = this.#code;
    if (this.#packing.type !== 'f16') return;
    code.moveNumber(rax, 0xff00);
    code.mask(rax);
    for (let v = 0; v < VECTORS; v++) {
      code.loadEach(W, at(rcx, 2 * v * POWER_BYTES));
      code.loadEach(W, at(rcx, (2 * v + 1) * POWER_BYTES), 1);
      code.three('multiply', W, W, EXPONENT);
      code.storeVector(at(r15, offset + 64 * v), W);
    }
  }

  /** 16 rows of the column at `base`, as f32. */
  #load(target: VectorRegister, base: General, v: number, powers = 0): void {
    const code = this.#code;
    const place = at(base, 2 * v * rowBytes(this.#packing));
    const { type } = this.#packing;
    if (type === 'f32') code.loadVector(target, place);
    if (type === 'bf16') {
      code.two('widenWords', target, place);
      code.shift('intsLeft', target, target, 16);
    }
    if (type === 'f16') {
      code.two('widenHalves', target, place);
      code.three('multiply', target, target, at(r15, powers + 64 * v));
    }
  }

  #ahead(w: General): void {
    for (let line = 0; line < columnBytes(this.#packing); line += LINE) this.#code.prefetch(at(w, AHEAD + line));
  }

  /** sum += w · x */
  #grow(sum: VectorRegister, w: VectorRegister, x: VectorRegister): void {
    const code = this.#code;
    if (this.#isFused) code.three('multiplyAdd', sum, w, x);
    else {
      code.three('multiply', BETWEEN, w, x);
      code.three('addFloats', sum, sum, BETWEEN);
    }
  }

  /** Sums of `rows` activation rows, from register `sums` on, += `vectors` registers of weights × their activations, which `x` says where to find. */
  #column(rows: number, vectors: number, x: (row: number) => Place, sums = 0): void {
    for (let row = 0; row < rows; row++) {
      const register = X[row % X.length]!;
      this.#code.loadEach(register, x(row));
      for (let v = 0; v < vectors; v++) this.#grow(sums + row * vectors + v, W + v, register);
    }
  }

  /** Rows of x, three to a register: rdi is the first one's place. Changes those registers. */
  #rowsOfX(rows: number): (row: number, offset: number) => Place {
    const code = this.#code;
    const starts = [rdi, r10, r11, r12];
    this.#frame.get(r8, 'columns');
    code.shiftLeft(r8, 2);
    for (let i = 1; 3 * i < rows; i++) {
      code.sum(starts[i]!, starts[i - 1]!, r8);
      code.add(starts[i]!, r8);
      code.add(starts[i]!, r8);
    }
    return (row, offset) => {
      const place = at(starts[Math.floor(row / 3)]!, offset);
      const times = (row % 3) as 0 | 1 | 2;
      return times === 0 ? place : { ...place, index: r8, times };
    };
  }
  /** … so many columns on. */
  #nextOfX(rows: number, columns: number): void {
    for (const start of [rdi, r10, r11, r12].slice(0, Math.ceil(rows / 3))) this.#code.addNumber(start, 4 * columns);
  }

  /** The whole group × all activation rows; of one such row two groups side by side, as memory gives more to two streams than to one. */
  #few(rows: number): void {
    const code = this.#code;
    const frame = this.#frame;
    const groups = rows === 1 ? [rsi, r14] : [rsi];
    if (groups.length === 2) this.#toSecond();
    const sums = rows * VECTORS;
    for (let sum = 0; sum < groups.length * sums; sum++) code.three('xor', sum, sum, sum);
    frame.get(rdi, 'x');
    const x = this.#rowsOfX(rows);
    frame.get(r13, 'columns');
    countDown(code, r13, () => {
      groups.forEach((w, group) => {
        this.#ahead(w);
        for (let v = 0; v < VECTORS; v++) this.#load(W + v, w, v, group * POWERS_BYTES);
        this.#column(rows, VECTORS, (row) => x(row, 0), group * sums);
        code.addNumber(w, columnBytes(this.#packing));
      });
      this.#nextOfX(rows, 1);
    });
    const stored: Label = { at: null };
    groups.forEach((_, group) => {
      if (group > 0) {
        nextGroup(code, frame, FLOAT_GROUP_PANELS);
        frame.get(rcx, 'last');
        code.compare(rax, rcx);
        code.jumpIf('aboveOrEqual', stored);
      }
      this.#store(group * sums, rows);
    });
    code.place(stored);
  }

  /** y = the sums from this register on, + bias: of `rows` activation rows and the group that `first` is in. */
  #store(sums: VectorRegister, rows: number): void {
    const code = this.#code;
    const frame = this.#frame;
    // rdi: y of the group's rows, r8: from one activation row's to the next; rdx: how many rows there are
    frame.get(rdi, 'first');
    code.shiftLeft(rdi, 3);
    frame.get(r8, 'rows');
    code.move(rdx, r8);
    code.subtract(rdx, rdi);
    code.shiftLeft(rdi, 2);
    code.shiftLeft(r8, 2);
    MASKS.forEach((mask, v) => {
      code.move(rcx, rdx);
      code.compareNumber(rcx, 16 * v);
      unless(code, 'aboveOrEqual', () => code.moveNumber(rcx, 16 * v));
      code.addNumber(rcx, -16 * v);
      maskOf(code, rcx, mask);
    });
    frame.get(rax, 'hasBias');
    code.compareNumber(rax, 0);
    unless(code, 'equal', () => {
      frame.get(rax, 'bias');
      code.add(rax, rdi);
      MASKS.forEach((mask, v) => {
        code.loadMasked(W + v, at(rax, 64 * v), mask);
        for (let sum = sums + v; sum < sums + rows * VECTORS; sum += VECTORS) code.three('addFloats', sum, sum, W + v);
      });
    });
    frame.get(rax, 'y');
    code.add(rdi, rax);
    for (let row = 0; row < rows; row++) {
      if (row > 0) code.add(rdi, r8);
      MASKS.forEach((mask, v) => {
        code.storeMasked(at(rdi, 64 * v), sums + row * VECTORS + v, mask);
      });
    }
  }

  /** The group after the one at rsi, at r14; where there is none, that one again, of which nothing is stored. Changes rax, rcx, r13, k1. */
  #toSecond(): void {
    const code = this.#code;
    this.#frame.get(rax, 'first');
    code.addNumber(rax, FLOAT_GROUP_PANELS);
    this.#frame.get(rcx, 'last');
    code.compare(rax, rcx);
    unless(code, 'below', () => code.moveNumber(r13, 0));
    code.sum(r14, rsi, r13);
    this.#frame.get(rcx, 'columns');
    code.multiplyNumber(rcx, rcx, columnBytes(this.#packing));
    code.add(rcx, r14);
    this.#powers(POWERS_BYTES);
  }

  /** The whole group × all activation rows, block after block. */
  #blocks(): void {
    const code = this.#code;
    const frame = this.#frame;
    frame.keep('group', rsi);
    code.moveNumber(rax, 0);
    frame.keep('block', rax);
    eachBelow(code, frame, 'block', 'columns', () => {
      this.#widen();
      code.moveNumber(rax, 0);
      frame.keep('half', rax);
      code.moveNumber(rcx, 2);
      frame.keep('halves', rcx);
      eachBelow(code, frame, 'half', 'halves', () => {
        const nothing: Label = { at: null };
        this.#rowsOfHalf(nothing);
        this.#tiles();
        code.place(nothing);
        frame.get(rax, 'half');
        code.addNumber(rax, 1);
        frame.keep('half', rax);
      });
      frame.get(rax, 'block');
      code.addNumber(rax, WIDE_COLUMNS);
      frame.keep('block', rax);
    });
  }

  /** The block as f32; `count`: its columns; `addsBias`: not 0 where it is the last and there is a bias. `block` is in rax, `columns` in rcx. */
  #widen(): void {
    const code = this.#code;
    const frame = this.#frame;
    code.subtract(rcx, rax);
    frame.get(r10, 'hasBias');
    code.compareNumber(rcx, WIDE_COLUMNS);
    unless(code, 'belowOrEqual', () => {
      code.moveNumber(rcx, WIDE_COLUMNS);
      code.moveNumber(r10, 0);
    });
    frame.keep('count', rcx);
    frame.keep('addsBias', r10);
    code.multiplyNumber(r9, rax, columnBytes(this.#packing));
    frame.get(rax, 'group');
    code.add(r9, rax);
    code.move(r10, r15);
    code.addNumber(r10, POWERS_BYTES);
    countDown(code, rcx, () => {
      this.#ahead(r9);
      for (let v = 0; v < VECTORS; v++) this.#load(W + v, r9, v);
      for (let v = 0; v < VECTORS; v++) {
        const place = at(r10, Math.floor(v / HALF_VECTORS) * HALF_BYTES + (v % HALF_VECTORS) * 64);
        code.storeVector(place, W + v);
      }
      code.addNumber(r9, columnBytes(this.#packing));
      code.addNumber(r10, HALF_COLUMN);
    });
  }

  /** Of half the group: masks of its rows in k1 and k2, `yAt` and `biasAt` where its first one's are. To `nothing` if it has none. */
  #rowsOfHalf(nothing: Label): void {
    const code = this.#code;
    const frame = this.#frame;
    frame.get(rax, 'half');
    code.shiftLeft(rax, Math.log2(16 * HALF_VECTORS));
    frame.get(rdx, 'first');
    code.shiftLeft(rdx, 3);
    code.add(rdx, rax);
    frame.get(rcx, 'rows');
    code.compare(rcx, rdx);
    code.jumpIf('belowOrEqual', nothing);
    code.subtract(rcx, rdx);
    code.move(rdi, rcx);
    maskOf(code, rcx, 1);
    code.move(rcx, rdi);
    code.compareNumber(rcx, 16);
    unless(code, 'aboveOrEqual', () => code.moveNumber(rcx, 16));
    code.addNumber(rcx, -16);
    maskOf(code, rcx, 2);
    code.shiftLeft(rdx, 2);
    for (const [name, of] of [
      ['yAt', 'y'],
      ['biasAt', 'bias'],
    ] as const) {
      frame.get(rax, of);
      code.add(rax, rdx);
      frame.keep(name, rax);
    }
  }

  /** Half a block × all activation rows. */
  #tiles(): void {
    const code = this.#code;
    const frame = this.#frame;
    const [again, out]: [Label, Label] = [{ at: null }, { at: null }];
    code.moveNumber(rax, 0);
    frame.keep('n', rax);
    code.place(again);
    frame.get(rax, 'N');
    frame.get(rcx, 'n');
    code.subtract(rax, rcx);
    code.compareNumber(rax, 0);
    code.jumpIf('equal', out);
    for (const rows of TILES) {
      code.compareNumber(rax, rows);
      unless(code, 'below', () => {
        this.#tile(rows);
        frame.get(rax, 'n');
        code.addNumber(rax, rows);
        frame.keep('n', rax);
        code.jump(again);
      });
    }
    code.place(out);
  }

  #tile(rows: number): void {
    const code = this.#code;
    const frame = this.#frame;
    // x at rdi, row n and column `block`; y at rdx, from row to row r14; the weights at r9
    frame.get(rdi, 'columns');
    frame.get(rcx, 'n');
    code.multiply(rdi, rcx);
    frame.get(rax, 'block');
    code.add(rdi, rax);
    code.shiftLeft(rdi, 2);
    frame.get(rax, 'x');
    code.add(rdi, rax);
    frame.get(r14, 'rows');
    code.shiftLeft(r14, 2);
    code.move(rdx, r14);
    code.multiply(rdx, rcx);
    frame.get(rax, 'yAt');
    code.add(rdx, rax);
    frame.get(rax, 'half');
    code.multiplyNumber(r9, rax, HALF_BYTES);
    code.add(r9, r15);
    code.addNumber(r9, POWERS_BYTES);

    const sums = Array.from({ length: rows * HALF_VECTORS }, (_, sum) => sum);
    const eachSum = (of: (sum: VectorRegister, place: Place, mask: Mask) => void) => {
      for (const sum of sums) {
        of(sum, at(rax, 64 * (sum % HALF_VECTORS)), sum % HALF_VECTORS === 0 ? 1 : 2);
        if (sum % HALF_VECTORS === HALF_VECTORS - 1) code.add(rax, r14);
      }
    };
    const [begun, ended]: [Label, Label] = [{ at: null }, { at: null }];
    for (const sum of sums) code.three('xor', sum, sum, sum);
    frame.get(rax, 'block');
    code.compareNumber(rax, 0);
    code.jumpIf('equal', begun);
    code.move(rax, rdx);
    eachSum((sum, place, mask) => code.loadMasked(sum, place, mask));
    code.place(begun);

    const x = this.#rowsOfX(rows);
    const turn = (columns: number) => {
      for (let column = 0; column < columns; column++) {
        for (let v = 0; v < HALF_VECTORS; v++) code.loadVector(W + v, at(r9, column * HALF_COLUMN + 64 * v));
        this.#column(rows, HALF_VECTORS, (row) => x(row, 4 * column));
      }
      code.addNumber(r9, columns * HALF_COLUMN);
      this.#nextOfX(rows, columns);
    };
    frame.get(rcx, 'count');
    code.move(r13, rcx);
    code.shiftRight(r13, 1);
    code.compareNumber(r13, 0);
    unless(code, 'equal', () => countDown(code, r13, () => turn(2)));
    code.andNumber(rcx, 1);
    unless(code, 'equal', () => turn(1));

    frame.get(rax, 'addsBias');
    code.compareNumber(rax, 0);
    code.jumpIf('equal', ended);
    frame.get(rax, 'biasAt');
    for (let v = 0; v < HALF_VECTORS; v++) code.loadMasked(W + v, at(rax, 64 * v), v === 0 ? 1 : 2);
    for (const sum of sums) code.three('addFloats', sum, sum, W + (sum % HALF_VECTORS));
    code.place(ended);
    code.move(rax, rdx);
    eachSum((sum, place, mask) => code.storeMasked(place, sum, mask));
  }
}
