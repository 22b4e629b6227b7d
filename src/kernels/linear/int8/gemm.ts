/**
 * Matrix-matrix products over int8 activations, straight from the packed panels: two panels (16 rows) × a tile of 4 activation rows at a
 * time. Eight pairs of sums grow side by side, in the order of the statements: an engine keeps that order, and a sum that waited for its
 * own last step would take five times as long.
 *
 * A few tiles take their turns at every block, of a whole group of panels, so that the weights are read once and from front to end, as
 * memory likes it. Many tiles go through two panels one after the other: the first brings them into the nearest cache, where the others
 * find them.
 */
import { hiddenZero, pair, times, zeros } from '../../lanes.ts';
import { QUANTIZED_GROUP_PANELS } from '../../tasks.ts';
import { each, store, storeVectors } from '../../writer/statements.ts';
import { F32x4, I8x16, I16x8, type I32, I32x4 } from '../../writer/values.ts';
import { BlockSums, type Sum } from './block-sums.ts';
import { packedQuants } from './gemv.ts';
import {
  blockAt,
  blockBytes,
  blockStride,
  hasSuperBlocks,
  headAt,
  headBytes,
  highAt,
  type Packing,
  scaleAt,
  tableAt,
} from './packing.ts';

interface Operands {
  /** The group, and the number in it of the first of the two panels. */
  readonly group: I32;
  readonly member: I32;
  /** Tiles of 4 rows (../quantize.kernel.ts). */
  readonly x: I32;
  /** Of 32 columns. */
  readonly blocks: I32;
  /** 4 activations × 16 rows of f32, zeros to begin with. */
  readonly acc: I32;
  /** ACC_BYTES of scratch. */
  readonly aside: I32;
  /** Of types without super-blocks: what widenScales wrote, or scratch for a block of two panels. */
  readonly wide: I32;
}

/** Bytes of the sums of a tile and two panels, and of all panels of a group. */
export const ACC_BYTES = 256;
export const GROUP_ACC_BYTES = (ACC_BYTES / 2) * QUANTIZED_GROUP_PANELS;

/** Bytes of a tile's block: 4 × 32 quants, then 4 scales, then 4 pairs of sums. */
const TILE_BYTES = 160;
const TILE_SCALES = 128;
const TILE_SUMS = 144;

/** What there is of two panels and of rows 0…3 and 4…7 of each. */
type Quad<T> = [[T, T], [T, T]];
const quad = <T>(of: (panel: 0 | 1, rows: 0 | 1) => T): Quad<T> => pair((panel) => pair((rows) => of(panel, rows)));

/** acc += a tile · two panels */
export function gemm(packing: Packing, { group, member, x, blocks, acc, aside, wide }: Operands): void {
  const product = productOf(packing, group.add(tableAt(packing, blocks.mul(32))));
  each(0, blocks, 1, (b) => {
    const scales = hasSuperBlocks(packing) ? headOf(packing, group, member, b) : wide.add(b.mul(wideBytes(packing)));
    product({ w: blockOf(packing, group, member, b), scales, tile: x.add(b.mul(TILE_BYTES)), acc, aside });
  });
}

/** acc += `tiles` tiles · all panels of the group. acc: of each tile, for each pair of panels, what gemm has. */
export function gemmInTurns(packing: Packing, { group, x, tiles, blocks, acc, aside, wide }: InTurns): void {
  const product = productOf(packing, group.add(tableAt(packing, blocks.mul(32))));
  each(0, blocks, 1, (b) => {
    each(0, QUANTIZED_GROUP_PANELS, 2, (member) => {
      const w = blockOf(packing, group, member, b);
      if (!hasSuperBlocks(packing)) widen(packing, w, wide);
      const scales = hasSuperBlocks(packing) ? headOf(packing, group, member, b) : wide;
      const sums = acc.add(member.mul(ACC_BYTES / 2));
      each(0, tiles, 1, (t) => {
        const tile = x.add(t.mul(blocks).add(b).mul(TILE_BYTES));
        product({ w, scales, tile, acc: sums.add(t.mul(GROUP_ACC_BYTES)), aside });
      });
    });
  });
}
type InTurns = Omit<Operands, 'member'> & { readonly tiles: I32 };

const blockOf = (packing: Packing, group: I32, member: I32, b: I32): I32 =>
  group.add(blockAt(packing, b)).add(member.mul(blockBytes(packing)));
const headOf = (packing: Packing, group: I32, member: I32, b: I32): I32 =>
  group.add(headAt(packing, b)).add(member.mul(headBytes(packing)));

interface Block {
  /** Of the first of two panels. */
  readonly w: I32;
  /** The f32 scales of both: of a super-block, or what `widen` wrote. */
  readonly scales: I32;
  readonly tile: I32;
  readonly acc: I32;
  readonly aside: I32;
}

/** What writes acc += a tile's block · that block of two panels. */
function productOf(packing: Packing, table: I32): (block: Block) => void {
  const sums = new BlockSums(packing);
  const { isHalved, isTable, highBytes } = packing;
  const levels = [false, true].map((high) => (isTable ? sums.levels(table, high) : zeros(I8x16)));
  const hidden = hiddenZero();

  return ({ w, scales: scalesAt, tile, acc, aside }) => {
    const panels = [w, w.add(blockBytes(packing))] as const;
    // Of two stores to what it takes for one address V8 joins the last alone: the second half stores to another, which is the same.
    const accOf = [acc, isHalved ? acc.add(hidden) : acc] as const;
    const xSums = times(4, (n) => () => I32x4.loadSplat(tile, TILE_SUMS + 4 * n).as(I16x8));

    const begin = (half: number): Quad<Sum>[] =>
      xSums.map((sumsOfRow) => {
        const start = sums.begin(sums.start(sumsOfRow(), half));
        return quad(() => start);
      });
    const planesOf = (part: number): Quad<I8x16> =>
      highBytes === 0
        ? quad(() => levels[part]!)
        : quad((panel, rows) =>
            I8x16.load(panels[panel], highAt(packing) + (highBytes === 64 ? 32 * part : 0) + 16 * rows),
          );
    const grow = (grown: Quad<Sum>[], k: number, planes: Quad<I8x16>, isHigh: boolean): Quad<Sum>[] => {
      const packed = panels.map((at) => packedQuants(packing, at, k));
      const quants = quad((panel, rows) => sums.part(packed[panel]![rows], planes[panel][rows], k, isHigh));
      return grown.map((of, n) => {
        const xs = I8x16.loadSplat(tile, 32 * n + 4 * k);
        return quad((panel, rows) => sums.step(xs, quants[panel][rows], of[panel][rows]));
      });
    };

    const words = quad((panel, rows) => sums.scaleWords(panels[panel], rows));
    const minimumWords = quad((panel, rows) => sums.minimumWords(panels[panel], rows, words[panel][rows]));
    const scale = (which: 0 | 1) =>
      quad((panel, rows) =>
        hasSuperBlocks(packing)
          ? F32x4.load(scalesAt, panel * headBytes(packing) + 32 * which + 16 * rows)
          : F32x4.load(scalesAt, 64 * which + 32 * panel + 16 * rows),
      );
    const [scales, smallest] = [scale(0), scale(1)];
    const finish = (grown: Quad<Sum>[], half: 0 | 1, times16: boolean): void => {
      const a = quad((panel, rows) => sums.scale(scales[panel][rows], words[panel][rows], half));
      const m = quad((panel, rows) => sums.minimum(smallest[panel][rows], minimumWords[panel][rows], half));
      grown.forEach((of, n) => {
        const sumsOfRow = xSums[n]!();
        const dx = F32x4.loadSplat(tile, TILE_SCALES + 4 * n);
        const start = sums.start(sumsOfRow, half);
        const sumOfX = sums.sumOfX(sumsOfRow, half);
        for (const panel of [0, 1] as const) {
          const at = (rows: number) => 64 * n + 32 * panel + 16 * rows;
          const T = pair((rows) => {
            const before = sums.isSplit ? I32x4.load(aside, at(rows)) : start;
            return sums.end(of[panel][rows], before, times16);
          });
          const added = pair((rows) =>
            sums.added(F32x4.load(accOf[half], at(rows)), T[rows], a[panel][rows], m[panel][rows], sumOfX, dx),
          );
          storeVectors(accOf[half], added, at(0));
        }
      });
    };

    let grown = begin(0);
    if (sums.isSplit) {
      const lows = planesOf(0);
      for (let k = 0; k < 8; k++) grown = grow(grown, k, lows, false);
      grown.forEach((of, n) => {
        const start = sums.start(xSums[n]!(), 0);
        const T = quad((panel, rows) => sums.end(of[panel][rows], start));
        storeVectors(aside, T.flat(), 64 * n);
      });
      const highs = planesOf(1);
      grown = times(4, () => quad(() => zeros(I32x4)));
      for (let k = 0; k < 8; k++) grown = grow(grown, k, highs, true);
      finish(grown, 0, true);
      return;
    }
    let planes = planesOf(0);
    for (let k = 0; k < 8; k++) {
      if (k === 4) {
        planes = planesOf(1);
        if (isHalved) {
          finish(grown, 0, false);
          grown = begin(1);
        }
      }
      grown = grow(grown, k, planes, false);
    }
    finish(grown, isHalved ? 1 : 0, false);
  };
}

/**
 * Writes the f16 scales (and minima) of every block of two neighbouring panels, the first at `w`, as f32, once for all tiles: a scale under
 * 2⁻¹⁴ is a subnormal number on the way, which costs a processor a hundred cycles.
 */
export function widenScales(packing: Packing, w: I32, blocks: I32, wide: I32): void {
  each(0, blocks, 1, (b) => widen(packing, w.add(b.mul(blockStride(packing))), wide.add(b.mul(wideBytes(packing)))));
}

const partsOf = ({ minima }: Packing): number => (minima === 'own' ? 2 : 1);
const wideBytes = (packing: Packing): number => 64 * partsOf(packing);

/** Those of a block of two panels. */
function widen(packing: Packing, w: I32, to: I32): void {
  const sums = new BlockSums(packing);
  for (let part = 0; part < partsOf(packing); part++) {
    quad((panel, rows) => {
      const at = panel * blockBytes(packing) + scaleAt(packing) + 16 * part + 8 * rows;
      store(to, sums.blockScale(w, at), 64 * part + 32 * panel + 16 * rows);
    });
  }
}
