/**
 * Attention maps out of products q·k (reference.ts has the formulas): a row is bent, and its softmax taken, while it is in the first cache.
 *
 * Numbers  f32. Sums run over eights of a row's visible keys, from the first one on: a row's bits depend on the row alone.
 */
import { exp, lnTwo, pair, tanh } from '../../lanes.ts';
import { clear, each, functionOf, store, storeVectors, variable, when } from '../../writer/statements.ts';
import { task } from '../../writer/task.ts';
import { choose, F32, F32x4, I32 } from '../../writer/values.ts';
import { expOne } from '../cached/softmax.ts';

/** Unit = one row of a head, head after head. */
export const attentionMaps = task(
  'attentionMaps',
  {
    /** The products, rows of N; become the scores. */
    scores: 'pointer',
    /** 0: not wanted; may be the scores themselves, which then become shares. */
    shares: 'pointer',
    /** Of two words for each of R rows: the first key that it sees, and one more than the last. */
    seen: 'pointer',
    R: 'count',
    N: 'count',
    /** As in attention over the cache: with a cap, scale is 1. */
    scale: 'real',
    cap: 'real',
    capFactor: 'real',
    /** One number a head; 0: none. */
    sinks: 'pointer',
  },
  ({ scores, shares, seen, R, N, scale, cap, capFactor, sinks }, { first, last }) => {
    const rowBytes = N.mul(4);
    each(first, last, 1, (unit) => {
      const keys = seen.add(unit.rem(R).mul(8));
      const begin = I32.load(keys).mul(4);
      const end = I32.load(keys, 4).mul(4);
      const bytes = end.sub(begin);
      const row = scores.add(unit.mul(rowBytes));
      const visible = row.add(begin);
      when(cap.eq(0).not(), () => capRow({ row: visible, bytes, cap, factor: capFactor }));
      const top = scaleRow({ row: visible, bytes, scale });
      when(shares.eq(scores).not(), () => {
        hideKeys({ from: row, to: visible });
        hideKeys({ from: row.add(end), to: row.add(rowBytes) });
      });
      when(shares.ne(0), () => {
        const out = shares.add(unit.mul(rowBytes));
        const sink = choose(sinks.eq(0), F32.of(-Infinity), F32.load(sinks.add(unit.div(R).mul(4))));
        shareRow({ shares: out.add(begin), scores: visible, bytes, top, sink });
        clear(out, begin);
        clear(out.add(end), rowBytes.sub(end));
      });
    });
  },
);

/** Eights of numbers, then one at a time: what is called gets bytes from the start. */
function eachNumber(bytes: I32, eight: (at: I32) => void, one: (at: I32) => void): void {
  const whole = bytes.and(~31);
  each(0, whole, 32, eight);
  each(whole, bytes, 4, one);
}

/** row ← cap · tanh(row · factor) */
const capRow = functionOf(
  'capRow',
  { row: I32, bytes: I32, cap: F32, factor: F32 },
  null,
  ({ row, bytes, cap, factor }) => {
    const [caps, factors] = [F32x4.splat(cap), F32x4.splat(factor)];
    const ln2 = lnTwo();
    const capped = (numbers: F32x4) => caps.mul(tanh(numbers.mul(factors), ln2));
    eachNumber(
      bytes,
      (at) => {
        const loaded = pair((half) => F32x4.load(row.add(at), 16 * half));
        storeVectors(
          row.add(at),
          pair((half) => capped(loaded[half])),
        );
      },
      (at) => store(row.add(at), capped(F32x4.loadSplat(row.add(at))).lane(0)),
    );
    return undefined;
  },
);

/** row ← scale · row; its largest number. */
const scaleRow = functionOf('scaleRow', { row: I32, bytes: I32, scale: F32 }, F32, ({ row, bytes, scale }) => {
  const scales = F32x4.splat(scale);
  const tops = pair(() => variable(F32x4.splat(-Infinity)));
  const rest = variable(F32.of(-Infinity));
  eachNumber(
    bytes,
    (at) => {
      const scaled = pair((half) => F32x4.load(row.add(at), 16 * half).mul(scales));
      tops.forEach((it, half) => {
        it.value = it.value.pmax(scaled[half]!);
      });
      storeVectors(row.add(at), scaled);
    },
    (at) => {
      const scaled = F32.load(row.add(at)).mul(scale);
      rest.value = rest.value.max(scaled);
      store(row.add(at), scaled);
    },
  );
  const four = tops[0].value.pmax(tops[1].value);
  const two = four.pmax(four.shuffle(four, 2, 3, 0, 1));
  return two.lane(0).max(two.lane(1)).max(rest.value);
});

/** shares = exp(score − m) / Σ exp(score − m), m the largest number of the row and the sink. */
const shareRow = functionOf(
  'shareRow',
  { shares: I32, scores: I32, bytes: I32, top: F32, sink: F32 },
  null,
  ({ shares, scores, bytes, top, sink }) => {
    const m = top.max(sink);
    const ms = F32x4.splat(m);
    const ln2 = lnTwo();
    const sums = pair(() => variable(F32x4.splat(0)));
    const rest = variable(expOne({ x: sink.sub(m) }));
    eachNumber(
      bytes,
      (at) => {
        const loaded = pair((half) => F32x4.load(scores.add(at), 16 * half));
        const parts = pair((half) => exp(loaded[half].sub(ms), ln2));
        sums.forEach((it, half) => {
          it.value = it.value.add(parts[half]!);
        });
        storeVectors(shares.add(at), parts);
      },
      (at) => {
        const part = expOne({ x: F32.load(scores.add(at)).sub(m) });
        rest.value = rest.value.add(part);
        store(shares.add(at), part);
      },
    );
    const total = sums[0].value.add(sums[1].value).sum().add(rest.value);
    const totals = F32x4.splat(total);
    eachNumber(
      bytes,
      (at) =>
        storeVectors(
          shares.add(at),
          pair((half) => F32x4.load(shares.add(at), 16 * half).div(totals)),
        ),
      (at) => store(shares.add(at), F32.load(shares.add(at)).div(total)),
    );
    return undefined;
  },
);

const hideKeys = functionOf('hideKeys', { from: I32, to: I32 }, null, ({ from, to }) => {
  const hidden = F32x4.splat(-Infinity);
  eachNumber(
    to.sub(from),
    (at) => storeVectors(from.add(at), [hidden, hidden]),
    (at) => store(from.add(at), F32.of(-Infinity)),
  );
  return undefined;
});
