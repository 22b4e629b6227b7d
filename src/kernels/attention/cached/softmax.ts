/** Online softmax over blocks of 32 scores: m = max score, l = Σ exp(score − m), o = Σ exp(score − m) · v of every row, brought up to date. */
import { exp, lnTwo, pair, tanh } from '../../lanes.ts';
import { copyBytes, each, functionOf, store, storeVectors, variable, when } from '../../writer/statements.ts';
import { choose, F32, F32x4, I32 } from '../../writer/values.ts';
import { BLOCK_POSITIONS } from './layout.ts';
import { SCORE_BYTES } from './products.ts';

/** e^x of one number, by the same steps as of four. */
export const expOne = functionOf('exp', { x: F32 }, F32, ({ x }) => exp(F32x4.splat(x), lnTwo()).lane(0));

/** score ← cap · tanh(score · factor), from `scores` to `end`. */
export const capScores = functionOf(
  'capScores',
  { scores: I32, end: I32, cap: F32, factor: F32 },
  null,
  ({ scores, end, cap, factor }) => {
    const [caps, factors] = [F32x4.splat(cap), F32x4.splat(factor)];
    const ln2 = lnTwo();
    each(scores, end, 32, (at) => {
      const loaded = pair((half) => F32x4.load(at, 16 * half));
      storeVectors(
        at,
        pair((half) => caps.mul(tanh(loaded[half].mul(factors), ln2))),
      );
    });
    return undefined;
  },
);

/** scores · factor → exp(score − m), and zeros outside of from … to − 1; m, l and o (`stride` bytes) of the row. */
export const softmaxRow = functionOf(
  'softmaxRow',
  { scores: I32, from: I32, to: I32, factor: F32, m: I32, l: I32, o: I32, stride: I32 },
  null,
  ({ scores, from, to, factor, m, l, o, stride }) => {
    when(from.gt(0).or(to.lt(BLOCK_POSITIONS)), () => {
      each(0, from, 1, (s) => store(scores.add(s.mul(4)), F32.of(-Infinity)));
      each(to, BLOCK_POSITIONS, 1, (s) => store(scores.add(s.mul(4)), F32.of(-Infinity)));
    });
    const end = scores.add(SCORE_BYTES);
    const before = F32.load(m);
    const factors = F32x4.splat(factor);
    const tops = pair(() => variable(F32x4.splat(before)));
    each(scores, end, 32, (at) => {
      // scores that are not visible are −∞ and stay so
      const scaled = pair((half) => F32x4.load(at, 16 * half).mul(factors));
      tops.forEach((it, half) => {
        it.value = it.value.pmax(scaled[half]!);
      });
      storeVectors(at, scaled);
    });
    const four = tops[0].value.pmax(tops[1].value);
    const two = four.pmax(four.shuffle(four, 2, 3, 0, 1));
    const top = two.pmax(two.shuffle(two, 1, 0, 3, 2));
    const ln2 = lnTwo();
    const sums = pair(() => variable(F32x4.splat(0)));
    each(scores, end, 32, (at) => {
      const loaded = pair((half) => F32x4.load(at, 16 * half));
      const shares = pair((half) => exp(loaded[half].sub(top), ln2));
      sums.forEach((it, half) => {
        it.value = it.value.add(shares[half]!);
      });
      storeVectors(at, shares);
    });
    const now = top.lane(0);
    const sum = sums[0].value.add(sums[1].value).sum();
    store(m, now);
    when(
      now.eq(before),
      () => store(l, F32.load(l).add(sum)),
      () => {
        const shrink = expOne({ x: before.sub(now) });
        store(l, F32.load(l).mul(shrink).add(sum));
        const factors = F32x4.splat(shrink);
        each(o, o.add(stride), 32, (at) => {
          storeVectors(
            at,
            pair((half) => F32x4.load(at, 16 * half).mul(factors)),
          );
        });
      },
    );
    return undefined;
  },
);

/** A row of a total: o, m and l ← those and then a part's, as if its keys had come later. `mAt`, `lAt`: from o to m and l. */
export const foldRow = functionOf(
  'foldRow',
  { total: I32, part: I32, stride: I32, mTotal: I32, mPart: I32, toL: I32 },
  null,
  ({ total, part, stride, mTotal, mPart, toL }) => {
    const [m1, m2] = [F32.load(mTotal), F32.load(mPart)];
    const [l1, l2] = [F32.load(mTotal.add(toL)), F32.load(mPart.add(toL))];
    when(m2.eq(-Infinity).not(), () => {
      when(
        m1.eq(-Infinity),
        () => {
          copyBytes(total, part, stride);
          store(mTotal, m2);
          store(mTotal.add(toL), l2);
        },
        () => {
          const m = m1.max(m2);
          const f1 = expOne({ x: m1.sub(m) });
          const f2 = expOne({ x: m2.sub(m) });
          store(mTotal, m);
          store(mTotal.add(toL), l1.mul(f1).add(l2.mul(f2)));
          const [factor1, factor2] = [F32x4.splat(f1), F32x4.splat(f2)];
          each(0, stride, 16, (e) => {
            const to = total.add(e);
            store(
              to,
              F32x4.load(to)
                .mul(factor1)
                .add(F32x4.load(part.add(e)).mul(factor2)),
            );
          });
        },
      );
    });
    return undefined;
  },
);

/** out (`size` numbers) = o / l; with a sink, a score without a key takes its share. */
export const finishRow = functionOf(
  'finishRow',
  { out: I32, o: I32, size: I32, l: F32 },
  null,
  ({ out, o, size, l }) => {
    each(0, size.mul(4), 4, (e) => store(out.add(e), F32.load(o.add(e)).div(l)));
    return undefined;
  },
);
export const finishRowWithSink = functionOf(
  'finishRowWithSink',
  { out: I32, o: I32, size: I32, m: F32, l: F32, sink: F32 },
  null,
  ({ out, o, size, m, l, sink }) => {
    const isLarger = m.lt(sink);
    const shrink = choose(isLarger, expOne({ x: m.sub(sink) }), F32.of(1));
    const sum = l.mul(shrink).add(choose(isLarger, F32.of(1), expOne({ x: sink.sub(m) })));
    each(0, size.mul(4), 4, (e) => store(out.add(e), F32.load(o.add(e)).mul(shrink).div(sum)));
    return undefined;
  },
);
