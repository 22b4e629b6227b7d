/** Unpacking: a packed matrix → f32, exactly the numbers that the file's format defines. A row for embeddings, or many columns of a panel. */
import { halfToF32, kept, pair } from '../lanes.ts';
import { FLOAT_GROUP_PANELS, PACK_F32, PACK_TABLE_BF16, QUANTIZED_GROUP_PANELS } from '../tasks.ts';
import { each, functionOf, store, storeVectors, variable } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { F32, F32x4, I8x16, I32, I32x4 } from '../writer/values.ts';
import {
  columnBytes,
  type FloatPacking,
  groupBytes as floatGroupBytes,
  floatPackings,
  POWER_BYTES,
  powersAt,
  rowBytes,
} from './floats/packing.ts';
import { BlockSums } from './int8/block-sums.ts';
import {
  blockAt,
  blockBytes,
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

/** From the start of a float matrix to its group of a panel, and on to the panel's first column. */
const groupOf = (packing: FloatPacking, columns: I32, panel: I32): I32 =>
  panel.div(FLOAT_GROUP_PANELS).mul(floatGroupBytes(packing, columns));
export const panelOf = (packing: FloatPacking, columns: I32, panel: I32): I32 =>
  groupOf(packing, columns, panel).add(panel.rem(FLOAT_GROUP_PANELS).mul(rowBytes(packing)));
const powerOf = (packing: FloatPacking, columns: I32, panel: I32): I32 =>
  groupOf(packing, columns, panel).add(powersAt(packing, columns)).add(panel.rem(FLOAT_GROUP_PANELS).mul(POWER_BYTES));

/** One for every kind, under its number (tasks.ts). */
export function byKind<T>(of: (packing: FloatPacking | Packing) => T): Readonly<Record<number, T>> {
  return Object.fromEntries([...floatPackings, ...packings].map((packing) => [packing.kind, of(packing)]));
}
export const isFloat = (packing: FloatPacking | Packing): packing is FloatPacking => 'type' in packing;
export const nameOf = (packing: FloatPacking | Packing): string => (isFloat(packing) ? packing.type : packing.name);

/** Bits of an f16 that are moved to an f32's places: the sign, the exponent, to which a power of two is then added, and the fraction. */
const HALF_AS_F32 = 0x8fffe000 | 0;

// ---- a row

/** Row r of a panel of the matrix at w. */
const rowTakes = { w: I32, panel: I32, r: I32, columns: I32, out: I32 };

const floatRow = (packing: FloatPacking) =>
  functionOf(`unpackRow_${packing.type}`, rowTakes, null, ({ w, panel, r, columns, out }) => {
    const { type } = packing;
    const start = w.add(panelOf(packing, columns, panel)).add(r.mul(type === 'f32' ? 4 : 2));
    const power = F32.load(w.add(powerOf(packing, columns, panel)));
    each(0, columns, 1, (i) => {
      const from = start.add(i.mul(columnBytes(packing)));
      const to = out.add(i.mul(4));
      if (type === 'f32') store(to, F32.load(from));
      else if (type === 'bf16') store(to, I32.loadHalf(from).shl(16));
      else store(to, I32.loadHalf(from).shl(16).shrSigned(3).and(HALF_AS_F32).asF32().mul(power));
    });
    return undefined;
  });

const quantizedRow = (packing: Packing) =>
  functionOf(`unpackRow_${packing.name}`, rowTakes, null, ({ w, panel, r, columns, out }) => {
    const group = w.add(panel.div(QUANTIZED_GROUP_PANELS).mul(groupBytes(packing, columns)));
    const member = panel.rem(QUANTIZED_GROUP_PANELS);
    const table = group.add(tableAt(packing, columns));
    each(0, columns.shr(5), 1, (b) => {
      const block = group.add(blockAt(packing, b)).add(member.mul(blockBytes(packing)));
      const head = group.add(headAt(packing, b)).add(member.mul(headBytes(packing)));
      const halves = scalesOfRow(packing, block.add(r.mul(2)), head.add(r.mul(4)));
      halves.forEach(({ scale, minimum }, half) => {
        each(16 * half, 16 * (half + 1), 1, (column) => {
          const code = quantAt(packing, block.add(r.mul(4)), column);
          const quant = packing.isTable ? I32.loadSignedByte(table.add(code)) : code.sub(packing.offset);
          const product = scale.mul(quant.toF32Signed());
          store(out.add(b.mul(32).add(column).mul(4)), minimum ? product.sub(minimum) : product);
        });
      });
    });
    return undefined;
  });

interface Scale {
  readonly scale: F32;
  readonly minimum: F32 | null;
}

/** Of each half of a block. `row`, `head`: the block's and the super-block's places of row r. */
function scalesOfRow(packing: Packing, row: I32, head: I32): readonly [Scale, Scale] {
  const { scale, minima, isHalved } = packing;
  if (!hasSuperBlocks(packing)) {
    const widen = (at: number) => {
      const bits = I32.loadHalf(row, at);
      return packing.kind === PACK_TABLE_BF16 ? bits.shl(16).asF32() : halfToF32(bits);
    };
    const both = { scale: widen(scaleAt(packing)), minimum: minima ? widen(minAt(packing)).neg() : null };
    return [both, both];
  }
  const d = F32.load(head);
  const byte = (at: number) =>
    scale === 'signed' ? I32.loadSignedByte(row, at).toF32Signed() : I32.loadByte(row, at).toF32Signed();
  return pair((half) => ({
    scale: d.mul(byte(scaleAt(packing) + (isHalved ? half : 0))),
    minimum: minima && F32.load(head, 32).mul(byte(minima === 'beside' ? scaleAt(packing) + 1 : minAt(packing) + half)),
  }));
}

function quantAt(packing: Packing, row: I32, column: I32): I32 {
  const [c, g] = [column.and(3), column.shr(2)];
  if (packing.lowBytes === 256) return I32.loadByte(row.add(g.mul(32)).add(c));
  const low = I32.loadByte(row.add(g.and(3).mul(32)).add(c))
    .shr(g.and(4))
    .and(15);
  if (packing.highBytes === 0) return low;
  const high = row.add(c).add(highAt(packing));
  if (packing.highBytes === 32) return low.or(I32.loadByte(high).shr(g).and(1).shl(4));
  return low.or(
    I32.loadByte(high.add(g.shr(2).mul(32)))
      .shr(g.and(3).mul(2))
      .and(3)
      .shl(4),
  );
}

/** out row n = matrix row ids[n]. Unit = one of them. */
export const embed = byKind((packing) => {
  const unpackRow = isFloat(packing) ? floatRow(packing) : quantizedRow(packing);
  return task(
    `embed_${nameOf(packing)}`,
    { packed: 'pointer', columns: 'count', out: 'pointer', ids: 'pointer' },
    ({ packed, columns, out, ids }, { first, last }) => {
      each(first, last, 1, (n) => {
        const id = I32.load(ids.add(n.mul(4)));
        unpackRow({ w: packed, panel: id.shr(3), r: id.and(7), columns, out: out.add(n.mul(columns).mul(4)) });
      });
    },
  );
});

// ---- many columns of a panel, 8 rows side by side, for matrices that are kept or multiplied as f32

/** Columns first … last − 1 (whole blocks of quantized ones) of a panel of w; `stride`: bytes from column to column of out. */
const columnTakes = { w: I32, panel: I32, columns: I32, first: I32, last: I32, out: I32, stride: I32 };

const floatColumns = (packing: FloatPacking) =>
  functionOf(`unpackColumns_${packing.type}`, columnTakes, null, ({ w, panel, columns, first, last, out, stride }) => {
    const start = w.add(panelOf(packing, columns, panel));
    const mask = kept(I32x4.splat(HALF_AS_F32));
    const power = F32x4.loadSplat(w.add(powerOf(packing, columns, panel)));
    const to = variable(out);
    each(first, last, 1, (i) => {
      const from = start.add(i.mul(columnBytes(packing)));
      const numbers = pair((half) => {
        if (packing.type === 'f32') return F32x4.load(from, 16 * half);
        if (packing.type === 'bf16')
          return I32x4.loadUnsignedHalves(from, 8 * half)
            .shl(16)
            .as(F32x4);
        return I32x4.loadHalves(from, 8 * half)
          .shl(13)
          .and(mask)
          .as(F32x4)
          .mul(power);
      });
      storeVectors(to.value, numbers);
      to.value = to.value.add(stride);
    });
    return undefined;
  });

/** value = scale · (quant − offset) − minimum, with scale and minimum of each half block. */
const quantizedColumns = (packing: Packing) =>
  functionOf(`unpackColumns_${packing.name}`, columnTakes, null, (it) => {
    const { w, panel, columns, first, last, out, stride } = it;
    const group = w.add(panel.div(QUANTIZED_GROUP_PANELS).mul(groupBytes(packing, columns)));
    const member = panel.rem(QUANTIZED_GROUP_PANELS);
    const sums = new BlockSums(packing);
    const byte = kept(I32x4.splat(255));
    const offset = kept(I32x4.splat(packing.offset));
    const levels = packing.isTable ? sums.wholeLevels(group.add(tableAt(packing, columns))) : null;
    const to = variable(out);
    each(first.shr(5), last.shr(5), 1, (b) => {
      const block = group.add(blockAt(packing, b)).add(member.mul(blockBytes(packing)));
      const head = group.add(headAt(packing, b)).add(member.mul(headBytes(packing)));
      const scales = scalesOfPanel(sums, block, head);
      for (let g = 0; g < 8; g++) {
        const quants = pair((half) => groupQuants(sums, block, levels, g, half));
        for (let c = 0; c < 4; c++) {
          const values = pair((half) => {
            const words = quants[half].as(I32x4).shr(8 * c);
            const quant = c < 3 ? words.and(byte) : words;
            const { scale, minimum } = scales[g >> 2]![half];
            const product = scale.mul(quant.sub(offset).toF32x4());
            return minimum ? product.sub(minimum) : product;
          });
          storeVectors(to.value, values);
          to.value = to.value.add(stride);
        }
      }
    });
    return undefined;
  });

interface Scales {
  readonly scale: F32x4;
  readonly minimum: F32x4 | null;
}

/** By half of a block, then of a panel's rows. */
function scalesOfPanel(sums: BlockSums, block: I32, head: I32): readonly (readonly [Scales, Scales])[] {
  const { packing } = sums;
  const isSuper = hasSuperBlocks(packing);
  const d = pair((rows) =>
    isSuper ? F32x4.load(head, 16 * rows) : sums.blockScale(block, scaleAt(packing) + 8 * rows),
  );
  const dmin = pair((rows) => {
    if (packing.minima === null) return d[rows];
    return isSuper ? F32x4.load(head, 32 + 16 * rows) : sums.blockScale(block, minAt(packing) + 8 * rows);
  });
  const words = pair((rows) => (isSuper ? sums.scaleWords(block, rows) : d[rows].as(I32x4)));
  const minima = pair((rows) =>
    isSuper && packing.minima ? sums.minimumWords(block, rows, words[rows]) : words[rows],
  );
  const ofHalf = (half: number) =>
    pair((rows) => ({
      scale: sums.scale(d[rows], words[rows], half),
      minimum: sums.minimum(dmin[rows], minima[rows], half),
    }));
  const firstHalf = ofHalf(0);
  return [firstHalf, packing.isHalved ? ofHalf(1) : firstHalf];
}

/** Columns 4g … 4g + 3 of four rows: byte c of each lane is a row's quant in column c. */
function groupQuants(sums: BlockSums, block: I32, levels: I8x16 | null, g: number, rows: number): I8x16 {
  const { packing } = sums;
  const isWhole = packing.lowBytes === 256;
  const low = I8x16.load(block, (isWhole ? g : g & 3) * 32 + 16 * rows);
  const at = highAt(packing) + (packing.highBytes === 64 && g >= 4 ? 32 : 0) + 16 * rows;
  return sums.quants(low, levels ?? (packing.highBytes > 0 ? I8x16.load(block, at) : low), g);
}

export const unpackColumns = byKind((packing) =>
  isFloat(packing) ? floatColumns(packing) : quantizedColumns(packing),
);

const wide = floatPackings.find(({ kind }) => kind === PACK_F32)!;

/** Unit = one panel: out gets it packed as f32. */
export const unpackPanels = byKind((packing) =>
  task(
    `unpackPanels_${nameOf(packing)}`,
    { packed: 'pointer', columns: 'count', out: 'pointer' },
    ({ packed, columns, out }, { first, last }) => {
      const stride = I32.of(columnBytes(wide));
      each(first, last, 1, (panel) => {
        const to = out.add(panelOf(wide, columns, panel));
        unpackColumns[packing.kind]!({ w: packed, panel, columns, first: I32.of(0), last: columns, out: to, stride });
      });
    },
  ),
);
