/**
 * Matrix-matrix products as machine code of AArch64, with dot products or with products of small matrices (I8MM): the task linearMatrix
 * (../kernel.ts), with the same bits. A block of a panel is unpacked into 16 registers, where all tiles of activations find it.
 */
import {
  at,
  type Code,
  type General,
  type Three,
  type VectorRegister,
  x1,
  x2,
  x3,
  x4,
  x5,
  x6,
  x7,
  x8,
  x9,
  x10,
  x13,
  x14,
  x15,
} from '../../../native/arm64/code.ts';
import { countDown, eachBelow, enter, type Frame, increase, unless } from '../../../native/arm64/frame.ts';
import { QUANTIZED_GROUP_PANELS } from '../../../tasks.ts';
import type { Task } from '../../../writer/task.ts';
import { ASIDE_AT, ROW_SUM_BYTES, SUM_ROWS } from '../kernel.ts';
import { blockBytes, headBytes, type Packing } from '../packing.ts';
import { Blocks, bothRows, type Group, MINIMUM, overHeads, type Rows, SCALE, tileOf, toGroup } from './blocks.ts';
import { storePanel } from './store-panel.ts';

const TILE_ROWS = 4;
const four = tileOf(TILE_ROWS);
const group: Group = { w: x1, head: x2, levels: x6, blocks: x5 };
const [TILE, DONE, FIRST_TILE, TILE_STRIDE, SCRATCH, SUMS, COUNT] = [x3, x4, x13, x7, x10, x14, x15];

const eachRow = [0, 1, 2, 3] as const;
const panels = Array.from({ length: QUANTIZED_GROUP_PANELS }, (_, panel) => panel);
const X = (n: number): VectorRegister => 8 + n;
const quantsOf = (k: number, rows: Rows): VectorRegister => 16 + 2 * k + rows;
/** Once a tile's products are done, and before them: */
const [DX, X_SUM, SUM] = [8, 9, 10];
const BETWEEN = 12;

/** What the processor multiplies by. Sums are in v0 … v7. */
interface Products {
  /** The quants of a panel's block, as they are multiplied. */
  arrange(): void;
  /** Sums of products of an activation row, after `grow`. */
  sum(n: number, rows: Rows): VectorRegister;
  /** The sums of all rows over the tile's columns of a half, or of both; the quants are where `arrange` left them. */
  grow(half: number): void;
}

/** y = W · x for N activation rows in tiles of 4. */
export function writeMatrix(code: Code, packing: Packing, task: Task, by: 'dot products' | 'small matrices'): void {
  const blocks = new Blocks(code, packing);
  const products = by === 'small matrices' ? new SmallMatrices(code, blocks) : new DotProducts(code, blocks);
  const frame = enter(code, task);
  eachBelow(code, frame, 'first', 'last', () => {
    code.moveNumber(x8, 0);
    frame.keep('n', x8);
    eachBelow(code, frame, 'n', 'N', () => {
      code.subtract(x9, x9, x8);
      code.compareNumber(x9, SUM_ROWS);
      unless(code, 'belowOrEqual', () => code.moveNumber(x9, SUM_ROWS));
      frame.keep('count', x9);
      code.addNumber(x9, x9, TILE_ROWS - 1);
      code.shiftRight(x9, x9, 2);
      frame.keep('tiles', x9);
      frame.get(SCRATCH, 'scratch');
      clearSums(code, frame);
      toGroup(code, frame, packing, group);
      code.moveNumber(x8, four.bytes);
      code.multiply(TILE_STRIDE, group.blocks, x8);
      frame.get(x8, 'n');
      code.shiftRight(x8, x8, 2);
      code.multiply(FIRST_TILE, TILE_STRIDE, x8);
      frame.get(x8, 'x');
      code.add(FIRST_TILE, FIRST_TILE, x8);
      code.moveNumber(DONE, 0);
      countDown(code, group.blocks, () => {
        overHeads(code, packing, group, DONE);
        for (const panel of panels) allTiles(code, frame, blocks, products, panel);
        code.addNumber(FIRST_TILE, FIRST_TILE, four.bytes);
        code.addNumber(DONE, DONE, 1);
      });
      storeAll(code, frame);
      increase(code, frame, 'n', SUM_ROWS);
    });
    increase(code, frame, 'first', QUANTIZED_GROUP_PANELS);
  });
  frame.leave();
}

function clearSums(code: Code, frame: Frame): void {
  code.three('xor', SUM, SUM, SUM);
  code.move(SUMS, SCRATCH);
  frame.get(COUNT, 'tiles');
  countDown(code, COUNT, () => {
    for (let i = 0; i < TILE_ROWS * ROW_SUM_BYTES; i += 16) code.moveBytes('storeVector', SUM, at(SUMS, i));
    code.addNumber(SUMS, SUMS, TILE_ROWS * ROW_SUM_BYTES);
  });
}

/** Where scales and minima of the panel's block wait, of four rows and a half. */
const factorAt = (rows: Rows, half: number, isMinimum: boolean) =>
  at(SCRATCH, ASIDE_AT + 16 * (rows + 2 * half) + (isMinimum ? 64 : 0));

/** The sums of all tiles grow by the next block of a panel. */
function allTiles(code: Code, frame: Frame, blocks: Blocks, products: Products, panel: number): void {
  const { packing } = blocks;
  blocks.constants(group.levels);
  for (const rows of bothRows) {
    blocks.quants(group.w, rows, (k) => quantsOf(k, rows));
    for (const half of blocks.halves) {
      blocks.scales(group.w, group.head, panel * headBytes(packing), rows, half);
      code.moveBytes('storeVector', SCALE, factorAt(rows, half, false));
      if (packing.minima) code.moveBytes('storeVector', MINIMUM, factorAt(rows, half, true));
    }
  }
  products.arrange();
  code.addNumber(group.w, group.w, blockBytes(packing));
  code.move(TILE, FIRST_TILE);
  code.addNumber(SUMS, SCRATCH, 32 * panel);
  frame.get(COUNT, 'tiles');
  countDown(code, COUNT, () => {
    tile(code, blocks, products);
    code.add(TILE, TILE, TILE_STRIDE);
    code.addNumber(SUMS, SUMS, TILE_ROWS * ROW_SUM_BYTES);
  });
}

/** Of columns 16·part … in a tile: of either half of them. */
const partsOf = ({ halves }: Blocks, half: number) => (halves.length === 2 ? [half] : [0, 1]);

/** Four products of bytes a lane: one register of quants with each activation row in turn. */
class DotProducts implements Products {
  readonly #code: Code;
  readonly #blocks: Blocks;

  constructor(code: Code, blocks: Blocks) {
    this.#code = code;
    this.#blocks = blocks;
  }
  arrange(): void {}
  sum(n: number, rows: Rows): VectorRegister {
    return 2 * n + rows;
  }
  grow(half: number): void {
    const code = this.#code;
    for (const n of eachRow) {
      this.#blocks.start(this.sum(n, 0), TILE, four.sums + 4 * n, half);
      code.moveVector(this.sum(n, 1), this.sum(n, 0));
    }
    for (const part of partsOf(this.#blocks, half)) {
      for (const n of eachRow) code.moveBytes('loadVector', X(n), at(TILE, 32 * n + 16 * part));
      for (let lane = 0; lane < 4; lane++) {
        for (const rows of bothRows) {
          for (const n of eachRow) code.dotBytes(this.sum(n, rows), quantsOf(4 * part + lane, rows), X(n), lane);
        }
      }
    }
  }
}

/** Products of 2 × 8 quants and 8 × 2 activations. */
class SmallMatrices implements Products {
  readonly #code: Code;
  readonly #blocks: Blocks;

  constructor(code: Code, blocks: Blocks) {
    this.#code = code;
    this.#blocks = blocks;
  }
  /** Of eight columns, the first two of four rows in one register and the other two in the next. */
  arrange(): void {
    for (const rows of bothRows) {
      for (let k = 0; k < 8; k += 2) this.#split('zipLower', 'zipUpper', quantsOf(k, rows), quantsOf(k + 1, rows));
    }
  }
  /** a, b = first(a, b), second(a, b) */
  #split(first: Three, second: Three, a: VectorRegister, b: VectorRegister): void {
    this.#code.three(second, BETWEEN, a, b);
    this.#code.three(first, a, a, b);
    this.#code.moveVector(b, BETWEEN);
  }
  sum(n: number, rows: Rows): VectorRegister {
    return 4 * (n >> 1) + 2 * rows + (n & 1);
  }
  grow(half: number): void {
    const code = this.#code;
    for (let sum = 0; sum < 8; sum++) code.three('xor', sum, sum, sum);
    for (const part of partsOf(this.#blocks, half)) {
      for (const n of eachRow) code.moveBytes('loadVector', X(n), at(TILE, 32 * n + 16 * part));
      for (const n of [0, 2]) this.#split('lowerHalves', 'upperHalves', X(n), X(n + 1));
      for (const eight of [0, 1]) {
        for (const rows of bothRows) {
          for (const pair of [0, 1]) {
            const quants = quantsOf(4 * part + 2 * eight + pair, rows);
            // of rows 2·pair and 2·pair + 1, the activation rows n and n + 1 in turns
            for (const n of [0, 2]) code.three('matrixOfBytes', this.sum(n + pair, rows), quants, X(n + eight));
          }
        }
      }
    }
    for (const rows of bothRows)
      for (const n of [0, 2]) this.#split('even', 'odd', this.sum(n, rows), this.sum(n + 1, rows));
    if (this.#blocks.offset === 0) return;
    for (const n of eachRow) {
      this.#blocks.start(BETWEEN, TILE, four.sums + 4 * n, half);
      for (const rows of bothRows) code.three('addInts', this.sum(n, rows), this.sum(n, rows), BETWEEN);
    }
  }
}

/** The sums of a tile += its block × the block of the panel, whose quants the registers hold. */
function tile(code: Code, blocks: Blocks, products: Products): void {
  for (const half of blocks.halves) {
    products.grow(half);
    for (const n of eachRow) {
      code.moveBytes('loadQuarter', DX, at(TILE, four.scales + 4 * n));
      blocks.floatOfX(X_SUM, TILE, four.sums + 4 * n, half);
      for (const rows of bothRows) {
        const sum = at(SUMS, n * ROW_SUM_BYTES + 16 * rows);
        code.moveBytes('loadVector', SCALE, factorAt(rows, half, false));
        if (blocks.packing.minima) code.moveBytes('loadVector', MINIMUM, factorAt(rows, half, true));
        code.moveBytes('loadVector', SUM, sum);
        blocks.added(SUM, products.sum(n, rows), X_SUM, DX);
        code.moveBytes('storeVector', SUM, sum);
      }
    }
  }
}

/** The sums of `count` rows to y. */
function storeAll(code: Code, frame: Frame): void {
  const [row, rowBytes]: [General, General] = [x3, x4];
  frame.get(rowBytes, 'rows');
  code.shiftLeft(rowBytes, rowBytes, 2);
  frame.get(x8, 'n');
  code.multiply(row, rowBytes, x8);
  frame.get(x8, 'y');
  code.add(row, row, x8);
  code.move(SUMS, SCRATCH);
  frame.get(COUNT, 'count');
  countDown(code, COUNT, () => {
    for (const panel of panels) storePanel(code, frame, { panel, from: SUMS, y: row });
    code.add(row, row, rowBytes);
    code.addNumber(SUMS, SUMS, ROW_SUM_BYTES);
  });
}
