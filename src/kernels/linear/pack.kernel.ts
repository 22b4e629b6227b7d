/**
 * Packing: rows as files store them → panels (int8/packing.ts, floats/packing.ts). Unit = one panel of 8 rows; rows beyond the matrix
 * become zeros. `flag` is set to 1 when a scale or an f16 weight is not finite.
 */
import { type WeightType, weightTypes } from '../../tensor/dtype.ts';
import { halfToF32, pair, times } from '../lanes.ts';
import { FLOAT_GROUP_PANELS, PACK_TABLE_BF16, QUANTIZED_GROUP_PANELS } from '../tasks.ts';
import { clear, each, store, storeHalf, storeVectors, type Variable, variable, when } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { choose, I32, I32x4 } from '../writer/values.ts';
import {
  columnBytes,
  type FloatPacking,
  groupBytes as floatGroupBytes,
  floatPackings,
  POWER_BYTES,
  powersAt,
  rowBytes,
} from './floats/packing.ts';
import {
  blockAt,
  blockBytes,
  blockStride,
  groupBytes,
  hasSuperBlocks,
  headAt,
  headBytes,
  highAt,
  minAt,
  type Packing,
  packings,
  scaleAt,
  tableAt,
} from './int8/packing.ts';
import { type Stored, storedTypes } from './stored.ts';

const takes = {
  packed: 'pointer',
  raw: 'pointer',
  rows: 'count',
  columns: 'count',
  rowBytes: 'count',
  flag: 'pointer',
  levels: 'pointer',
  grid: 'pointer',
} as const;

/** By the type of the file. levels, grid: of table types, the 16 levels, and the level of every weight of every point of their grid. */
export const pack = Object.fromEntries(weightTypes.map((type) => [type, packOf(type)])) as Readonly<
  Record<WeightType, ReturnType<typeof packOf>>
>;

function packOf(type: WeightType) {
  return task(`pack_${type}`, takes, (it, { first, last }) => {
    each(first, last, 1, (panel) => {
      const done = panel.mul(8);
      const rows = choose(it.rows.gt(done), it.rows.sub(done).min(8), I32.of(0));
      const isBad = variable(I32.of(0));
      const given = { ...it, panel, rows, raw: it.raw.add(done.mul(it.rowBytes)), isBad };
      if (type === 'f32' || type === 'f16' || type === 'bf16') packFloats(type, given);
      else packQuantized(storedTypes[type], given);
      when(isBad.value, () => store(it.flag, I32.of(1)));
    });
  });
}

type Given = { readonly [Name in keyof typeof takes]: I32 } & {
  readonly panel: I32;
  readonly isBad: Variable<I32>;
};

/** Columns that are packed at a time, row after row: what they are written to stays in the nearest cache. */
const STRIP = 64;

function packFloats(
  type: FloatPacking['type'],
  { packed, panel, raw, rows, columns, rowBytes: rawBytes, isBad }: Given,
) {
  const packing = floatPackings.find((each) => each.type === type)!;
  const group = packed.add(panel.div(FLOAT_GROUP_PANELS).mul(floatGroupBytes(packing, columns)));
  const member = panel.rem(FLOAT_GROUP_PANELS);
  const start = group.add(member.mul(rowBytes(packing)));
  const bytes = type === 'f32' ? 4 : 2;
  const number = (at: I32) => (type === 'f32' ? I32.load(at) : I32.loadHalf(at));
  const lifts = type === 'f16' ? liftOf(raw, rows, columns, rawBytes, isBad) : null;
  each(0, columns, STRIP, (from) => {
    const to = from.add(STRIP).min(columns);
    each(0, 8, 1, (r) => {
      const row = raw.add(r.mul(rawBytes));
      each(from, to, 1, (i) => {
        const bits = variable(I32.of(0));
        when(r.lt(rows), () => {
          bits.value = number(row.add(i.mul(bytes)));
        });
        const at = start.add(i.mul(columnBytes(packing))).add(r.mul(bytes));
        const own = bits.value;
        if (type === 'f32') store(at, own);
        else storeHalf(at, lifts ? choose(lifts, lifted(own), own) : own);
      });
    });
  });
  if (!lifts) return;
  const power = choose(lifts, I32.of(0x72800000), I32.of(0x77800000)); // 2¹⁰² or 2¹¹²
  store(group.add(powersAt(packing, columns)).add(member.mul(POWER_BYTES)), power);
}

/**
 * f16 is widened by shifting its bits under an f32's, which gives w·2⁻¹¹² (layout of the exponents), except that subnormal numbers would
 * meet slow hardware paths. So a panel whose weights are all below 32 is stored times 2¹⁰, where f16's subnormal numbers are normal; its
 * power of two undoes it. Exact. This says whether.
 */
function liftOf(raw: I32, rows: I32, columns: I32, rowBytes: I32, isBad: Variable<I32>): I32 {
  const largest = variable(I32.of(0));
  each(0, rows, 1, (r) => {
    const row = raw.add(r.mul(rowBytes));
    each(row, row.add(columns.mul(2)), 2, (at) => {
      largest.value = largest.value.max(I32.loadHalf(at).and(0x7fff));
    });
  });
  isBad.value = isBad.value.or(largest.value.ge(0x7c00));
  return largest.value.lt(0x5000);
}

/** Bits of w → bits of w·2¹⁰, for |w| < 32. */
function lifted(bits: I32): I32 {
  const magnitude = bits.and(0x7fff);
  // subnormal m·2⁻²⁴ → m·2⁻¹⁴, with its leading one made implicit
  const shift = magnitude.leadingZeros().sub(21);
  const exponent = I32.of(11).sub(shift).shl(10);
  const subnormal = bits.and(0x8000).or(exponent.add(magnitude.shl(shift).and(0x3ff)));
  return choose(magnitude.ge(0x400), bits.add(0x2800), choose(magnitude.eq(0), bits, subnormal));
}

function packQuantized(
  stored: Stored,
  { packed, panel, raw, rows, columns, rowBytes, isBad, levels, grid }: Given,
): void {
  const packing = packings.find(({ kind }) => kind === stored.kind)!;
  const group = packed.add(panel.div(QUANTIZED_GROUP_PANELS).mul(groupBytes(packing, columns)));
  const member = panel.rem(QUANTIZED_GROUP_PANELS);
  const places: Places = {
    block: (b) => group.add(blockAt(packing, b)).add(member.mul(blockBytes(packing))),
    head: (b) => group.add(headAt(packing, b)).add(member.mul(headBytes(packing))),
  };
  const blocks = columns.shr(5);
  if (packing.isTable) {
    when(member.eq(0), () => storeVectors(group.add(tableAt(packing, columns)), [I32x4.load(levels)]));
  }
  when(rows.lt(8), () => {
    each(0, blocks, 1, (b) => {
      clear(places.block(b), blockBytes(packing));
      if (hasSuperBlocks(packing)) clear(places.head(b), headBytes(packing));
    });
  });
  each(0, rows, 1, (r) => {
    const row = raw.add(r.mul(rowBytes));
    if (hasSuperBlocks(packing)) packSupers(stored, packing, { places, row, r, blocks, isBad, grid });
    else packBlocks(stored, packing, { start: places.block(I32.of(0)), row, r, blocks, isBad });
  });
}

interface Places {
  readonly block: (b: I32) => I32;
  readonly head: (b: I32) => I32;
}

/** Whether f16 bits are those of an infinity or NaN. */
const isEndless = (bits: I32): I32 => bits.and(0x7c00).eq(0x7c00);

/** Blocks of 32 with scales of their own. */
function packBlocks(
  stored: Stored,
  packing: Packing,
  { start, row, r, blocks, isBad }: Record<'start' | 'row' | 'r' | 'blocks', I32> & Pick<Given, 'isBad'>,
): void {
  each(0, blocks, 1, (b) => {
    const from = row.add(b.mul(stored.bytes));
    const block = start.add(b.mul(blockStride(packing)));
    const scale = stored.d(from);
    if (packing.kind === PACK_TABLE_BF16) {
      // 2^(e − 128) as bf16; from 253 on the largest weight is beyond f32
      storeHalf(block.add(r.mul(2)), choose(scale.lt(2), scale.add(1).shl(5), scale.sub(1).shl(7)), scaleAt(packing));
      isBad.value = isBad.value.or(scale.ge(253));
    } else {
      storeHalf(block.add(r.mul(2)), scale, scaleAt(packing));
      isBad.value = isBad.value.or(isEndless(scale));
    }
    if (stored.minimumAt !== undefined) {
      const minimum = I32.loadHalf(from, stored.minimumAt);
      storeHalf(block.add(r.mul(2)), minimum, minAt(packing));
      isBad.value = isBad.value.or(isEndless(minimum));
    }
    storeQuants(stored, packing, { block: block.add(r.mul(4)), row: from, s: I32.of(0), grid: I32.of(0) });
  });
}

/** Super-blocks of 256: their scales as f32, as they are few, and an f16 that is subnormal takes long to widen. */
function packSupers(
  stored: Stored,
  packing: Packing,
  it: Record<'row' | 'r' | 'blocks' | 'grid', I32> & Pick<Given, 'isBad'> & { readonly places: Places },
): void {
  const { places, r, grid, isBad } = it;
  each(0, it.blocks.shr(3), 1, (index) => {
    const row = it.row.add(index.mul(stored.bytes));
    const b = index.mul(8);
    const head = places.head(b).add(r.mul(4));
    const widen = (bits: I32, at: number) => {
      store(head, halfToF32(bits).mul(stored.share ?? 1), at);
      isBad.value = isBad.value.or(isEndless(bits));
    };
    widen(stored.d(row), 0);
    if (stored.minimumAt !== undefined) widen(I32.loadHalf(row, stored.minimumAt), 32);
    each(0, 8, 1, (s) => {
      const block = places.block(b.add(s));
      storeQuants(stored, packing, { block: block.add(r.mul(4)), row, s, grid });
      stored.scales!(row, s).forEach((scales, i) => {
        storeHalf(block.add(r.mul(2)), scales, i === 0 ? scaleAt(packing) : minAt(packing));
      });
    });
  });
}

/** The quants of row r of a block: bytes, or nibbles and a plane of high bits. */
function storeQuants(
  { quants, nibblesAt }: Stored,
  packing: Packing,
  { block, row, s, grid }: Record<'block' | 'row' | 's' | 'grid', I32>,
): void {
  const { lowBytes, highBytes } = packing;
  if (lowBytes === 256) {
    for (let j = 0; j < 8; j++) store(block, quants(row, s, j, grid), 32 * j);
    return;
  }
  const words = nibblesAt !== undefined && highBytes === 0 ? null : times(8, (j) => quants(row, s, j, grid));
  const nibbles = (quant: I32) => (highBytes === 0 ? quant : quant.and(0x0f0f0f0f));
  for (let j = 0; j < 4; j++) {
    const joined = words ? nibbles(words[j]!).or(nibbles(words[j + 4]!).shl(4)) : I32.load(row, nibblesAt! + 4 * j);
    store(block, joined, 32 * j);
  }
  if (!words || highBytes === 0) return;
  const high = highAt(packing);
  const bits = highBytes === 64 ? 2 : 1;
  const planes = highBytes === 64 ? pair((half) => words.slice(4 * half, 4 * half + 4)) : [words];
  planes.forEach((plane, i) => {
    const mask = bits === 2 ? 0x03030303 : 0x01010101;
    const word = plane
      .map((quant, j) =>
        quant
          .shr(4)
          .and(mask)
          .shl(bits * j),
      )
      .reduce((a, b) => a.or(b));
    store(block, word, high + 32 * i);
  });
}
