/** New keys and values go into the KV cache, which lies as layout.ts says. */
import { halfOfF32, halfToF32 } from '../../lanes.ts';
import { type KvType, kvTypes } from '../../ops.ts';
import { copyBytes, each, functionOf, store, storeByte, storeHalf, variable, when } from '../../writer/statements.ts';
import { task } from '../../writer/task.ts';
import { choose, F32, I32 } from '../../writer/values.ts';

/** base: of the layer; places: block · 32 + slot of each row; the rest as CacheLayout has it. Unit = one new row. */
const takes = {
  base: 'pointer',
  blocks: 'count',
  kvHeads: 'count',
  headSize: 'count',
  k: 'pointer',
  v: 'pointer',
  places: 'pointer',
  keyPanelBytes: 'count',
  keyQuantsAt: 'count',
  valueRowBytes: 'count',
  valueScalesAt: 'count',
  chunkBytes: 'count',
} as const;

/** What one head's row of keys and of values is made of, and where it goes. `slot`: in the panel of keys. */
interface Row {
  readonly k: I32;
  readonly v: I32;
  readonly keys: I32;
  readonly keyQuants: I32;
  readonly values: I32;
  readonly valueScales: I32;
  readonly slot: I32;
  readonly E: I32;
}

const writers: Readonly<Record<KvType, (row: Row) => void>> = {
  f32({ k, v, keys, values, slot, E }) {
    each(0, E, 1, (e) => store(keys.add(e.mul(32)).add(slot.mul(4)), F32.load(k.add(e.mul(4)))));
    copyBytes(values, v, E.mul(4));
  },
  f16({ k, v, keys, values, slot, E }) {
    each(0, E, 1, (e) => {
      storeHalf(keys.add(e.mul(16)).add(slot.mul(2)), halfOfF32({ value: F32.load(k.add(e.mul(4))) }));
      storeHalf(values.add(e.mul(2)), halfOfF32({ value: F32.load(v.add(e.mul(4))) }));
    });
  },
  q8_0: (row) =>
    eachBlock(row, ({ e, count, keyScale, valueScale }) => {
      quantizeBytes(keyScale, row.keyQuants.add(e.mul(8)).add(row.slot), 8, row.k.add(e.mul(4)), count);
      quantizeBytes(valueScale, row.values.add(e), 1, row.v.add(e.mul(4)), count);
    }),
  q4_0: (row) =>
    eachBlock(row, ({ e, count, keyScale, valueScale }) => {
      const pairs = row.keyQuants.add(e.mul(4)).add(row.slot);
      quantizeNibbles(keyScale, pairs, { stride: 8, apart: 4 }, row.k.add(e.mul(4)), count);
      quantizeNibbles(valueScale, row.values.add(e.shr(1)), { stride: 1, apart: 16 }, row.v.add(e.mul(4)), count);
    }),
};

export const append = Object.fromEntries(kvTypes.map((type) => [type, appendOf(type)])) as Readonly<
  Record<KvType, ReturnType<typeof appendOf>>
>;

function appendOf(type: KvType) {
  return task(`append_${type}`, takes, (it, { first, last }) => {
    const { kvHeads, headSize: E, keyPanelBytes, valueRowBytes } = it;
    each(first, last, 1, (n) => {
      const place = I32.load(it.places.add(n.mul(4)));
      const slot = place.and(31);
      each(0, kvHeads, 1, (head) => {
        const chunk = it.base.add(head.mul(it.blocks).add(place.shr(5)).mul(it.chunkBytes));
        const keys = chunk.add(slot.shr(3).mul(keyPanelBytes));
        const values = chunk.add(keyPanelBytes.mul(4)).add(slot.mul(valueRowBytes));
        const from = n.mul(kvHeads).add(head).mul(E).mul(4);
        const quants = { keyQuants: keys.add(it.keyQuantsAt), valueScales: values.add(it.valueScalesAt) };
        writers[type]({ k: it.k.add(from), v: it.v.add(from), keys, values, ...quants, slot: slot.and(7), E });
      });
    });
  });
}

/** Columns e … e + count − 1, which share a scale. */
interface ScaleBlock {
  readonly e: I32;
  readonly count: I32;
  readonly keyScale: I32;
  readonly valueScale: I32;
}

function eachBlock({ keys, valueScales, slot, E }: Row, write: (block: ScaleBlock) => void): void {
  each(0, E, 32, (e) => {
    const keyScale = keys.add(e.shr(5).mul(16)).add(slot.mul(2));
    write({ e, count: E.sub(e).min(32), keyScale, valueScale: valueScales.add(e.shr(5).mul(2)) });
  });
}

/** Numbers are divided by what a reader will see, the rounded scale. */
function quantizeBytes(scaleAt: I32, out: I32, stride: number, x: I32, count: I32): void {
  const largest = variable(F32.of(0));
  each(0, count, 1, (i) => {
    largest.value = largest.value.max(F32.load(x.add(i.mul(4))).abs());
  });
  const inverse = storeScale({ at: scaleAt, scale: largest.value.div(127) });
  each(0, count, 1, (i) => {
    const q = F32.load(x.add(i.mul(4)))
      .mul(inverse)
      .nearest();
    storeByte(out.add(i.mul(stride)), clamped(q, 0, -127, 127));
  });
}

/** `apart`: columns between the two of a byte. The low nibble is written first, so that columns that are missing leave whole bytes. */
function quantizeNibbles(
  scaleAt: I32,
  out: I32,
  { stride, apart }: { readonly stride: number; readonly apart: number },
  x: I32,
  count: I32,
): void {
  const [largest, extreme] = [variable(F32.of(0)), variable(F32.of(0))];
  each(0, count, 1, (i) => {
    const value = F32.load(x.add(i.mul(4)));
    const isNumber = largest.value.eq(largest.value); // the first NaN stays, and becomes the scale
    when(value.abs().le(largest.value).not().and(isNumber), () => {
      largest.value = value.abs();
      extreme.value = value;
    });
  });
  const inverse = storeScale({ at: scaleAt, scale: extreme.value.div(-8) });
  each(0, count, 1, (i) => {
    const nibble = clamped(
      F32.load(x.add(i.mul(4)))
        .mul(inverse)
        .add(8.5)
        .floor(),
      8,
      0,
      15,
    );
    const byte = i
      .div(2 * apart)
      .mul(apart)
      .add(i.rem(apart));
    const at = out.add(byte.mul(stride));
    const isHigh = i.div(apart).and(1);
    storeByte(at, choose(isHigh, I32.loadByte(at).or(nibble.shl(4)), nibble));
  });
}

/** q within [least, most] as a whole number; `other` for NaN. */
const clamped = (q: F32, other: number, least: number, most: number): I32 =>
  choose(q.eq(q), q, F32.of(other)).min(most).max(least).toI32();

/** Returns what to multiply with; 0 for a scale of 0. */
const storeScale = functionOf('storeScale', { at: I32, scale: F32 }, F32, ({ at, scale }) => {
  const bits = halfOfF32({ value: scale });
  storeHalf(at, bits);
  const rounded = halfToF32(bits);
  return choose(rounded.eq(0), F32.of(0), F32.of(1).div(rounded));
});
