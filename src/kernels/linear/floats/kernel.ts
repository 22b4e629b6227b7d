/**
 * `linear` over f32 activations and f32, f16 or bf16 weights: y_no = Σ_i w_oi · x_ni, column after column, one multiply-add each (fused in
 * the relaxed builds). A group (64 rows) at one activation row, as reading it is what takes the time; two panels × 4 activation rows, f16
 * and bf16 widened to f32 first. The order of operations of an element is the same in both.
 */
import { kept, pair, times, zeros } from '../../lanes.ts';
import { FLOAT_GROUP_PANELS } from '../../tasks.ts';
import { each, functionOf, storeVectors, variable, when } from '../../writer/statements.ts';
import { task } from '../../writer/task.ts';
import { F32x4, I32, I32x4 } from '../../writer/values.ts';
import { storePanel } from '../store-panel.ts';
import { takesOfProduct } from '../takes.ts';
import {
  columnBytes,
  type FloatPacking,
  floatPackings,
  groupBytes,
  POWER_BYTES,
  powersAt,
  rowBytes,
} from './packing.ts';

/** Panels and activation rows of a tile. */
const TILE_PANELS = 2;
const TILE_ROWS = 4;
/** Bytes of a panel in a column that is widened, and of a tile's. */
const WIDE_BYTES = 32;
const TILE_BYTES = TILE_PANELS * WIDE_BYTES;
/** In the scratch of a thread: the sums of a tile or of a group, then two panels as f32. */
const SUMS_BYTES = 256;

/** Columns of a whole group that machine code (x64/products.ts) widens at a time. */
export const WIDE_COLUMNS = 192;

/** Bytes of scratch that a thread needs. */
export const floatScratch = (columns: number): number =>
  SUMS_BYTES + Math.max(columns * TILE_BYTES, WIDE_COLUMNS * FLOAT_GROUP_PANELS * WIDE_BYTES);

/** One of x, by a kind's number. `scratch`: for every thread. Unit = one panel; threads take whole groups. */
export const linearFloats: Readonly<Record<number, ReturnType<typeof taskOf>>> = Object.fromEntries(
  floatPackings.map((packing) => [packing.kind, taskOf(packing)]),
);

function taskOf(packing: FloatPacking) {
  const row = rowOf(packing, false);
  const scaledRow = packing.type === 'f16' ? rowOf(packing, true) : row;
  const widenPanels = widenOf(packing);

  return task(
    `linearFloats_${packing.type}`,
    { ...takesOfProduct, N: 'count' },
    ({ w, columns, rows, x, N, y, bias, scratch, scratchBytes }, { first, last, thread }) => {
      const sums = scratch.add(thread.mul(scratchBytes));
      const wide = sums.add(SUMS_BYTES);
      const together = N.and(~(TILE_ROWS - 1));
      const rowAt = (n: I32) => x.add(n.mul(columns).mul(4));
      const storeSums = (panel: I32, count: number, n: I32, from: I32) => {
        const to = y.add(n.mul(rows).mul(4));
        for (let i = 0; i < count; i++)
          storePanel({ sums: from.add(i * WIDE_BYTES), panel: panel.add(i), rows, y: to, bias });
      };
      const isScalable = variable(I32.of(0));
      if (packing.type === 'f16') {
        when(N.gt(together), () => {
          isScalable.value = mayScale({ x: rowAt(together), count: N.sub(together).mul(columns) });
        });
      }
      each(first, last, FLOAT_GROUP_PANELS, (group) => {
        const start = w.add(group.div(FLOAT_GROUP_PANELS).mul(groupBytes(packing, columns)));
        const powers = start.add(powersAt(packing, columns));
        when(together.gt(0), () => {
          each(group, last.min(group.add(FLOAT_GROUP_PANELS)), TILE_PANELS, (panel) => {
            const member = panel.sub(group);
            const from = start.add(member.mul(rowBytes(packing)));
            if (packing.type !== 'f32')
              widenPanels({ w: from, powers: powers.add(member.mul(POWER_BYTES)), columns, to: wide });
            each(0, together, TILE_ROWS, (n) => {
              if (packing.type === 'f32') tileF32({ w: from, x: rowAt(n), columns, sums });
              else tileWide({ w: wide, x: rowAt(n), columns, sums });
              each(0, TILE_ROWS, 1, (i) => storeSums(panel, TILE_PANELS, n.add(i), sums.add(i.mul(TILE_BYTES))));
            });
          });
        });
        each(together, N, 1, (n) => {
          const operands = { w: start, powers, x: rowAt(n), columns, sums };
          if (packing.type === 'f16') {
            const isUniform = times(FLOAT_GROUP_PANELS - 1, (i) => samePower(powers, i + 1)).reduce((a, b) => a.and(b));
            when(
              isScalable.value.and(isUniform),
              () => scaledRow(operands),
              () => row(operands),
            );
          } else row(operands);
          storeSums(group, FLOAT_GROUP_PANELS, n, sums);
        });
      });
    },
  );
}

const samePower = (powers: I32, panel: number): I32 => I32.load(powers).eq(I32.load(powers, panel * POWER_BYTES));

/**
 * Whether `count` activations are below 2¹⁵ (1), so that 2¹⁵ · 2¹¹² is a number yet, or not (0). The power of two of a group's f16 may then
 * go to the activations instead, where all panels have the same: every product is the same number, at one multiplication a column.
 */
const mayScale = functionOf('mayScale', { x: I32, count: I32 }, I32, ({ x, count }) => {
  const magnitude = kept(I32x4.splat(0x7fffffff));
  const end = x.add(count.mul(4));
  const whole = x.add(count.and(~7).mul(4));
  // by their bits, of which NaN has larger ones than any number
  const largest = pair(() => variable(zeros(I32x4)));
  each(x, whole, 32, (at) => {
    largest.forEach((it, half) => {
      it.value = it.value.max(I32x4.load(at, 16 * half).and(magnitude));
    });
  });
  const lanes = largest[0].value.max(largest[1].value);
  const most = variable(times(4, (i) => lanes.lane(i)).reduce((a, b) => a.max(b)));
  each(whole, end, 4, (at) => {
    most.value = most.value.max(I32.load(at).and(0x7fffffff));
  });
  return most.value.lt(0x47000000);
});

/** What is taken of the weights of a panel in a column, at w, as two vectors. */
class Weights {
  readonly #packing: FloatPacking;
  readonly #bits = kept(I32x4.splat(0x8fffe000 | 0));

  constructor(packing: FloatPacking) {
    this.#packing = packing;
  }
  /** `power`: what f16 is multiplied by, or null: it stays 2⁻¹¹²-fold, lifted as it lies. */
  load(w: I32, panel: number, power: F32x4 | null): [F32x4, F32x4] {
    const at = (half: number) => panel * rowBytes(this.#packing) + (half * rowBytes(this.#packing)) / 2;
    return pair((half) => {
      if (this.#packing.type === 'f32') return F32x4.load(w, at(half));
      if (this.#packing.type === 'bf16') return I32x4.loadUnsignedHalves(w, at(half)).shl(16).as(F32x4);
      const small = I32x4.loadHalves(w, at(half)).shl(13).and(this.#bits).as(F32x4);
      return power ? small.mul(power) : small;
    });
  }
}

/** sums of a group at w × one activation row. `isScaled`: see mayScale. */
function rowOf(packing: FloatPacking, isScaled: boolean) {
  return functionOf(
    `floatRow_${packing.type}${isScaled ? '_scaled' : ''}`,
    { w: I32, powers: I32, x: I32, columns: I32, sums: I32 },
    null,
    ({ w, powers, x, columns, sums }) => {
      const weights = new Weights(packing);
      const power = times(packing.type === 'f16' ? (isScaled ? 1 : FLOAT_GROUP_PANELS) : 0, (i) =>
        F32x4.loadSplat(powers, i * POWER_BYTES),
      );
      const zero = zeros(F32x4);
      const acc = times(FLOAT_GROUP_PANELS, () => pair(() => variable(zero)));
      const at = variable(w);
      each(x, x.add(columns.mul(4)), 4, (place) => {
        const from = at.value;
        const activation = F32x4.loadSplat(place);
        const xs = isScaled ? activation.mul(power[0]!) : activation;
        acc.forEach((sum, panel) => {
          const ws = weights.load(from, panel, isScaled ? null : (power[panel] ?? null));
          sum.forEach((it, half) => {
            it.value = ws[half]!.mulAdd(xs, it.value);
          });
        });
        at.value = from.add(columnBytes(packing));
      });
      storeVectors(
        sums,
        acc.flat().map((it) => it.value),
      );
      return undefined;
    },
  );
}

/** Two panels at w, of which the powers of two are at `powers`, as f32: 16 numbers a column. */
function widenOf(packing: FloatPacking) {
  return functionOf(
    `widen_${packing.type}`,
    { w: I32, powers: I32, columns: I32, to: I32 },
    null,
    ({ w, powers, columns, to }) => {
      const weights = new Weights(packing);
      const power = times(packing.type === 'f16' ? TILE_PANELS : 0, (i) => F32x4.loadSplat(powers, i * POWER_BYTES));
      const from = variable(w);
      each(to, to.add(columns.mul(TILE_BYTES)), TILE_BYTES, (column) => {
        const at = from.value;
        const wide = times(TILE_PANELS, (panel) => weights.load(at, panel, power[panel] ?? null));
        storeVectors(column, wide.flat());
        from.value = at.add(columnBytes(packing));
      });
      return undefined;
    },
  );
}

/** sums of 16 neighbouring rows of f32 × 4 activation rows, two columns a turn. `stride`: bytes from column to column. */
function tileOf(name: string, stride: number) {
  return functionOf(name, { w: I32, x: I32, columns: I32, sums: I32 }, null, ({ w, x, columns, sums }) => {
    const zero = zeros(F32x4);
    const acc = times(TILE_ROWS, () => times(TILE_PANELS, () => pair(() => variable(zero))));
    const others = times(TILE_ROWS - 1, (n) => variable(x.add(columns.mul(4 * (n + 1)))));
    const from = variable(w);
    const turn = (first: I32, count: number) => {
      const xAt = [first, ...others.map((it) => it.value)];
      const at = from.value;
      for (let column = 0; column < count; column++) {
        const ws = times(TILE_PANELS, (panel) =>
          pair((half) => F32x4.load(at, column * stride + WIDE_BYTES * panel + 16 * half)),
        );
        acc.forEach((ofRow, n) => {
          const xs = F32x4.loadSplat(xAt[n]!, 4 * column);
          ofRow.forEach((sum, panel) => {
            sum.forEach((it, half) => {
              it.value = ws[panel]![half]!.mulAdd(xs, it.value);
            });
          });
        });
      }
      from.value = at.add(count * stride);
      others.forEach((it, n) => {
        it.value = xAt[n + 1]!.add(4 * count);
      });
    };
    const whole = x.add(columns.and(~1).mul(4));
    each(x, whole, 8, (at) => turn(at, 2));
    when(columns.and(1), () => turn(whole, 1));
    storeVectors(
      sums,
      acc.flat(2).map((it) => it.value),
    );
    return undefined;
  });
}
const tileF32 = tileOf('floatTile_f32', columnBytes(floatPackings[0]!));
const tileWide = tileOf('floatTile', TILE_BYTES);
