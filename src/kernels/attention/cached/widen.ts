/** One head's block of an f16, q8_0 or q4_0 cache → f32, in the layout of an f32 cache (layout.ts). */
import { halfToF32, kept, pair, zeros } from '../../lanes.ts';
import type { KvType } from '../../ops.ts';
import { each, functionOf, store, storeVectors, variable, when } from '../../writer/statements.ts';
import { choose, F32x4, I8x16, I16x8, I32, I32x4 } from '../../writer/values.ts';
import { BLOCK_POSITIONS, PANEL_POSITIONS } from './layout.ts';

export interface Chunk {
  /** Of the head in the block, and how many of its positions hold something. */
  readonly at: I32;
  readonly count: I32;
  readonly headSize: I32;
  readonly paddedSize: I32;
  readonly keyPanelBytes: I32;
  readonly keyQuantsAt: I32;
  readonly valueRowBytes: I32;
  readonly valueScalesAt: I32;
}

/**
 * A panel of keys is widened as a whole, values only as far as there are. `keyScales`: where the scales of keys of a q8_0 or q4_0 cache go,
 * 32 positions of each run of 32 columns; keys are then integers. 0: keys are multiplied by them.
 */
export function widenBlock(type: Exclude<KvType, 'f32'>, out: I32, chunk: Chunk, keyScales: I32): void {
  const { at, count, headSize, paddedSize, keyPanelBytes, keyQuantsAt, valueRowBytes, valueScalesAt } = chunk;
  const panels = count.add(PANEL_POSITIONS - 1).div(PANEL_POSITIONS);
  const values = at.add(keyPanelBytes.mul(BLOCK_POSITIONS / PANEL_POSITIONS));
  const outValues = out.add(headSize.mul(4 * BLOCK_POSITIONS));
  if (type === 'f16') {
    widenF16({ out, from: at, count: headSize.mul(panels).mul(PANEL_POSITIONS) });
    widenF16({ out: outValues, from: values, count: paddedSize.mul(count) });
    return;
  }
  each(0, panels, 1, (panel) => {
    const scales = at.add(panel.mul(keyPanelBytes));
    const quants = scales.add(keyQuantsAt);
    const own = choose(keyScales.eq(0), I32.of(0), keyScales.add(panel.mul(4 * PANEL_POSITIONS)));
    const to = out.add(panel.mul(headSize).mul(4 * PANEL_POSITIONS));
    widenKeys[type]({ out: to, scales, quants, size: headSize, keyScales: own });
  });
  const rows = { first: values, end: values.add(count.mul(valueRowBytes)), rowBytes: valueRowBytes };
  widenValues[type]({ ...rows, out: outValues, scalesAt: valueScalesAt, size: paddedSize });
}

/** What takes the bits of finite f16, sign-extended, to f32. */
class Halves {
  readonly #bits = kept(I32x4.splat(0x8fffe000 | 0));
  /** 2¹¹², the difference of the exponents' biases. */
  readonly #power = kept(I32x4.splat(0x77800000)).as(F32x4);
  widened(wide: I32x4): F32x4 {
    return wide.shl(13).and(this.#bits).as(F32x4).mul(this.#power);
  }
}

/** `count` numbers, a multiple of 8; infinities and NaN included. */
const widenF16 = functionOf('widenF16', { out: I32, from: I32, count: I32 }, null, ({ out, from, count }) => {
  const halves = new Halves();
  const areAll = areFinite({ from, count });
  const to = variable(out);
  each(from, from.add(count.mul(2)), 16, (at) => {
    const place = to.value;
    storeVectors(
      place,
      pair((half) => halves.widened(I32x4.loadHalves(at, 8 * half))),
    );
    to.value = place.add(32);
  });
  when(areAll.not(), () => {
    each(0, count, 1, (i) => store(out.add(i.mul(4)), halfToF32(I32.loadHalf(from.add(i.mul(2))))));
  });
  return undefined;
});

/** Whether none of `count` f16, a multiple of 8, has the exponent of infinities and NaN. */
const areFinite = functionOf('areFinite', { from: I32, count: I32 }, I32, ({ from, count }) => {
  const magnitude = kept(I16x8.splat(0x7fff));
  const largest = pair(() => variable(zeros(I16x8)));
  const whole = from.add(count.and(~15).mul(2));
  each(from, whole, 32, (at) => {
    largest.forEach((it, half) => {
      it.value = it.value.max(I16x8.load(at, 16 * half).and(magnitude));
    });
  });
  when(count.and(8), () => {
    largest[0].value = largest[0].value.max(I16x8.load(whole).and(magnitude));
  });
  return largest[0].value.max(largest[1].value).gt(I16x8.splat(0x7bff)).any().not();
});

/** Eight signed numbers of 16 bits → f32 × 8, times their scales. */
function storeEight(out: I32, words: I16x8, scales: readonly [F32x4, F32x4], offset = 0): void {
  const numbers = [words.widenLow(), words.widenHigh()];
  storeVectors(
    out,
    pair((half) => numbers[half]!.toF32x4().mul(scales[half])),
    offset,
  );
}

/** The numbers of a q4_0 cache, in the low and the high nibbles of bytes. */
function nibbles(pairs: I8x16, lowBits: I8x16, eight: I8x16): readonly [I8x16, I8x16] {
  return [pairs.and(lowBits).sub(eight), pairs.shr(4).sub(eight)];
}

/** A panel of keys: columns of 8 positions. Writes up to a multiple of eight columns, into what comes behind the panel. */
function keysOf(type: 'q8_0' | 'q4_0') {
  return functionOf(
    `widenKeys_${type}`,
    { out: I32, scales: I32, quants: I32, size: I32, keyScales: I32 },
    null,
    ({ out, scales, quants, size, keyScales }) => {
      const halves = new Halves();
      const lowBits = kept(I8x16.splat(15));
      const eight = kept(I8x16.splat(8));
      each(0, size, 32, (e) => {
        const scalesAt = scales.add(e.shr(1));
        const to = out.add(e.mul(32));
        const scale = pair((half) => variable(halves.widened(I32x4.loadHalves(scalesAt, 8 * half))));
        when(areFinite({ from: scalesAt, count: I32.of(8) }).not(), () => {
          // where column e will lie
          for (let i = 0; i < 8; i++) store(to, halfToF32(I32.loadHalf(scalesAt, 2 * i)), 4 * i);
          scale.forEach((it, half) => {
            it.value = F32x4.load(to, 16 * half);
          });
        });
        when(keyScales.ne(0), () => {
          const place = keyScales.add(e.mul((4 * BLOCK_POSITIONS) / 32));
          storeVectors(
            place,
            scale.map((it) => it.value),
          );
          for (const it of scale) it.value = F32x4.splat(1);
        });
        const both = [scale[0].value, scale[1].value] as const;
        const columns = size.sub(e).min(32);
        const from = quants.add(e.mul(type === 'q8_0' ? 8 : 4));
        const quant = variable(from);
        if (type === 'q8_0') {
          each(to, to.add(columns.mul(32)), 32, (column) => {
            storeEight(column, I16x8.loadSigned(quant.value), both);
            quant.value = quant.value.add(8);
          });
        } else {
          each(to, to.add(columns.mul(32)), 256, (column) => {
            for (const at of [0, 64]) {
              const [low, high] = nibbles(I8x16.load(quant.value, at / 4), lowBits, eight);
              storeEight(column, low.widenLow(), both, at);
              storeEight(column, low.widenHigh(), both, at + 32);
              storeEight(column, high.widenLow(), both, at + 128);
              storeEight(column, high.widenHigh(), both, at + 160);
            }
            quant.value = quant.value.add(32);
          });
        }
      });
      return undefined;
    },
  );
}
const widenKeys = { q8_0: keysOf('q8_0'), q4_0: keysOf('q4_0') };

/** Rows of values from `first` to `end`. `size`: E' */
function valuesOf(type: 'q8_0' | 'q4_0') {
  return functionOf(
    `widenValues_${type}`,
    { first: I32, end: I32, rowBytes: I32, scalesAt: I32, out: I32, size: I32 },
    null,
    ({ first, end, rowBytes, scalesAt, out, size }) => {
      const lowBits = kept(I8x16.splat(15));
      const eight = kept(I8x16.splat(8));
      const to = variable(out);
      each(first, end, rowBytes, (row) => {
        const scales = row.add(scalesAt);
        each(0, size, 32, (e) => {
          const scale = F32x4.splat(halfToF32(I32.loadHalf(scales.add(e.shr(4)))));
          const both = [scale, scale] as const;
          const columns = size.sub(e).min(32);
          const begin = to.value;
          const after = begin.add(columns.mul(4));
          if (type === 'q8_0') {
            const quant = variable(row.add(e));
            each(begin, after, 32, (column) => {
              storeEight(column, I16x8.loadSigned(quant.value), both);
              quant.value = quant.value.add(8);
            });
          } else {
            const [low, high] = nibbles(I8x16.load(row.add(e.shr(1))), lowBits, eight);
            storeEight(begin, low.widenLow(), both);
            when(columns.gt(8), () => storeEight(begin, low.widenHigh(), both, 32));
            when(columns.gt(16), () => storeEight(begin, high.widenLow(), both, 64));
            when(columns.gt(24), () => storeEight(begin, high.widenHigh(), both, 96));
          }
          to.value = after;
        });
      });
      return undefined;
    },
  );
}
const widenValues = { q8_0: valuesOf('q8_0'), q4_0: valuesOf('q4_0') };
