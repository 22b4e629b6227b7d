/**
 * Matrix-vector products over int8 activations, straight from the packed panels, as reading the weights is what takes the time: some
 * groups side by side, a block of each in turn; how many is the machine's to say (devices/wasm/streams.ts).
 *
 * Q4_K, for one (its row of packing.ts: nibbles, `scale: 'unsigned'`, `minima: 'beside'`), of a block of 8 rows × 32 columns:
 *
 *   w + 32k, k < 4   quants, 4 bytes a row: columns 4k … 4k + 3 in their low nibbles, 16 + 4k … in the high ones
 *   w + 128          2 bytes a row: s and m, the block's scale and minimum
 *   d                8 f32 d, then 8 f32 dmin, of the super-block
 *   tile             32 i8 x, f32 dx, and two i16 whose sum is Σ x
 *
 *   T   = Σ_k low(w + 32k) · x[k] + Σ_k high(w + 32k) · x[k + 4]              BlockSums.step, in i32
 *   acc = acc + (f32(T) · (d · s) − (dmin · m) · f32(Σ x)) · dx               BlockSums.added
 *
 * `npm run kernels -- --print linearVector_Q4_K` prints just that: what other types do otherwise is decided while the kernel is written.
 */
import { pair, times, zeros } from '../../lanes.ts';
import { QUANTIZED_GROUP_PANELS } from '../../tasks.ts';
import { body } from '../../writer/body.ts';
import { each, storeVectors, variable, when } from '../../writer/statements.ts';
import { F32x4, I8x16, I16x8, I32, I32x4 } from '../../writer/values.ts';
import { BlockSums, type Sum } from './block-sums.ts';
import {
  blockAt,
  blockBytes,
  hasSuperBlocks,
  headAt,
  headBytes,
  highAt,
  type Packing,
  scaleAt,
  tableAt,
} from './packing.ts';

interface Operands {
  /** The first of `count` groups that are read side by side, `bytes` apart. */
  readonly first: I32;
  readonly count: I32;
  readonly bytes: I32;
  /** A tile of one row (../quantize.kernel.ts). */
  readonly x: I32;
  /** Of 32 columns. */
  readonly blocks: I32;
  /** 8 floats a panel, zeros to begin with. */
  readonly sums: I32;
}

/** sums += groups · x */
export function gemv(packing: Packing, { first, count, bytes, x, blocks, sums: sumsAt }: Operands): void {
  const sums = new BlockSums(packing);
  const top = new TopQuants(sums);
  const table = first.add(tableAt(packing, blocks.mul(32)));
  const levels = [false, true].map((high) => (packing.isTable ? sums.levels(table, high) : zeros(I8x16)));
  const end = sumsAt.add(count.mul(QUANTIZED_GROUP_PANELS * 32));

  each(0, blocks, 1, (b) => {
    const tile = x.add(b.mul(40));
    const xSums = I32x4.loadSplat(tile, 36).as(I16x8);
    const dx = F32x4.loadSplat(tile, 32);
    const starts = [sums.start(xSums), packing.isHalved ? sums.start(xSums, 1) : zeros(I32x4)] as const;
    const sumsOfX = [0, 1].map((half) => sums.sumOfX(xSums, half));
    const xs = times(8, (k) => I8x16.loadSplat(tile, 4 * k));
    const place = blockAt(packing, b);
    const head = headAt(packing, b);
    const group = variable(first);
    const member = variable(I32.of(0));
    each(sumsAt, end, 32, (at) => {
      const w = group.value.add(place).add(member.value.mul(blockBytes(packing)));
      const d = group.value.add(head).add(member.value.mul(headBytes(packing)));
      member.value = member.value.add(1);
      when(member.value.eq(QUANTIZED_GROUP_PANELS), () => {
        member.value = I32.of(0);
        group.value = group.value.add(bytes);
      });

      const words = pair((rows) => sums.scaleWords(w, rows));
      const minimumWords = pair((rows) => sums.minimumWords(w, rows, words[rows]));
      const scale = (offset: number) =>
        pair((rows) =>
          hasSuperBlocks(packing)
            ? F32x4.load(d, 2 * offset + 16 * rows)
            : sums.blockScale(w, scaleAt(packing) + offset + 8 * rows),
        );
      const [scales, minima] = [scale(0), scale(16)];
      const planes = [0, packing.highBytes === 64 ? 32 : 0].map((more, high) =>
        pair((rows) => (packing.highBytes ? I8x16.load(w, highAt(packing) + more + 16 * rows) : levels[high]!)),
      ) as [[I8x16, I8x16], [I8x16, I8x16]];

      // of groups 0…3 and of groups 4…7; of split quants: of all low nibbles and of all high ones
      let low: [Sum, Sum] = pair(() => sums.begin(starts[0]));
      let high: [Sum, Sum] = pair(() => top.begin(starts[1]));
      const grow = (k: number, packed: readonly [I8x16, I8x16]) => {
        if (sums.isSplit || k < 4) {
          low = pair((rows) => sums.step(xs[k]!, sums.part(packed[rows], planes[0][rows], k, false), low[rows]));
        }
        if (sums.isSplit || k >= 4) {
          high = pair((rows) => sums.step(xs[k]!, top.quants(packed[rows], planes[1][rows], k), high[rows]));
        }
      };
      for (let k = 0; k < 4; k++) {
        const packed = packedQuants(packing, w, k);
        grow(k, packed);
        grow(k + 4, packing.lowBytes === 256 ? packedQuants(packing, w, k + 4) : packed);
      }

      let acc = pair((rows) => F32x4.load(at, 16 * rows));
      const add = (T: readonly [I32x4, I32x4], half: number) => {
        const a = pair((rows) => sums.scale(scales[rows], words[rows], half));
        const b = pair((rows) => sums.minimum(minima[rows], minimumWords[rows], half));
        acc = pair((rows) => sums.added(acc[rows], T[rows], a[rows], b[rows], sumsOfX[half]!, dx));
      };
      const lowEnd = pair((rows) => sums.end(low[rows], starts[0]));
      if (packing.isHalved) {
        add(lowEnd, 0);
        add(
          pair((rows) => top.end(high[rows], starts[1])),
          1,
        );
      } else {
        const highEnd = pair((rows) => top.end(high[rows], starts[1]));
        add(
          pair((rows) => lowEnd[rows].add(highEnd[rows])),
          0,
        );
      }
      storeVectors(at, acc);
    });
  });
}

/** The bytes that hold group k of a block, of rows 0…3 and 4…7. */
export function packedQuants({ lowBytes }: Packing, w: I32, k: number): [I8x16, I8x16] {
  const at = 32 * (lowBytes === 256 ? k : k & 3);
  return pair((rows) => I8x16.load(w, at + 16 * rows));
}

/**
 * Groups 4…7, whose nibbles are the high ones. Where a quant may be as large as that they go in where they are, 16-fold: one instruction
 * less for every 32 bytes.
 */
class TopQuants {
  readonly #sums: BlockSums;
  readonly #is16fold: boolean;

  constructor(sums: BlockSums) {
    const { highBytes, lowBytes, isTable } = sums.packing;
    this.#sums = sums;
    this.#is16fold = body().target.hasDot && highBytes === 0 && lowBytes === 128 && !isTable;
  }
  begin(start: I32x4): Sum {
    return this.#is16fold ? start.shl(4) : this.#sums.begin(start);
  }
  quants(packed: I8x16, plane: I8x16, k: number): I8x16 {
    return this.#is16fold ? this.#sums.highInPlace(packed) : this.#sums.part(packed, plane, k, true);
  }
  end(sum: Sum, start: I32x4): I32x4 {
    return this.#is16fold ? sum.shrSigned(4) : this.#sums.end(sum, start, this.#sums.isSplit);
  }
}
