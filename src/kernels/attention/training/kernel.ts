/**
 * Attention for training: whole sequences, forward with the log-sum-exp and backward from it (formulas: ../backward.reference.ts). The
 * products are the register tile on blocks that stay in the cache. Unit = one key/value head of one sequence: nobody else writes its
 * gradients, so the sums have one order.
 */
import { dropBackwards, dropoutBase } from '../../dropout/kernel.ts';
import { exp, lnTwo, pair, tanh, times } from '../../lanes.ts';
import { exponential, logarithm } from '../../logarithm.ts';
import { QUERY_BLOCK, TILE_ROWS } from '../../training-tasks.ts';
import { clear, each, functionOf, store, storeVectors, variable, when } from '../../writer/statements.ts';
import { task } from '../../writer/task.ts';
import { choose, F32, F32x4, I32 } from '../../writer/values.ts';
import {
  type AttentionValues,
  addTransposed,
  addWeighted,
  attentionTakes,
  BLOCK_BYTES,
  copyRows,
  copyScaled,
  dot,
  eachKeyBlock,
  eachQuery,
  eachQueryBlock,
  fillOutside,
  type KeyBlock,
  packKeys,
  places,
  type Query,
  type QueryBlock,
  scoresOf,
  scratchBytes,
  type Unit,
  unitAt,
} from './blocks.ts';

/** Scratch of a thread. */
export const attentionForwardBytes = (rows: number, E: number): number =>
  scratchBytes(rows, E, { keys: 2, queries: 2, numbers: 2, blocks: 1 });
export const attentionBackwardBytes = (rows: number, E: number): number =>
  scratchBytes(rows, E, { keys: 5, queries: 3, numbers: 1, blocks: 2 });

const NEGATIVE_INFINITY = Number.NEGATIVE_INFINITY;

export const attentionForward = task('attentionForward', attentionTakes, (it, { first, last, thread }) => {
  const { E, scale, cap, sinks, H } = it;
  each(first, last, 1, (index) => {
    const unit = unitAt(it, index);
    const { row, allBytes, rows, keyStride, queryStride, kvAt } = unit;
    const queryBytes = row.mul(QUERY_BLOCK);
    const start = it.scratch.add(thread.mul(it.scratchBytes));
    const sizes = [allBytes, allBytes, queryBytes, queryBytes, QUERY_BLOCK * 4, QUERY_BLOCK * 4, BLOCK_BYTES];
    const [keys, values, q, mix, peaks, sums, scores] = places(start, sizes) as [I32, I32, I32, I32, I32, I32, I32];
    packKeys({ target: keys, source: it.k.add(kvAt), stride: keyStride, rows, E });
    copyRows({ target: values, source: it.v.add(kvAt), stride: keyStride, rows, allBytes, E, factor: F32.of(1) });
    eachQueryBlock(it, unit, (queryBlock) => {
      const { h, q0, queries, at } = queryBlock;
      copyQueries(q, it.q.add(at), unit, queryBlock, E, scale);
      clear(mix, queryBytes);
      each(0, queries.mul(4), 4, (i) => {
        store(peaks.add(i), F32.of(NEGATIVE_INFINITY));
        store(sums.add(i), F32.of(0));
      });
      eachKeyBlock(it, queryBlock, (keyBlock) => {
        const block = { q0, queries, ...keyBlock };
        scoresOf({ scores, a: q, row, keys, E, ...block });
        eachQuery(it, queryBlock, keyBlock, (query) => {
          const x = scores.add(query.at);
          const { i, from, to, all } = query;
          when(cap.eq(0).not(), () => tanhRow({ x, all, factor: cap }));
          const own = { peak: peaks.add(i.mul(4)), sum: sums.add(i.mul(4)), mix: mix.add(i.mul(row)) };
          softmaxRow({ x, from, to, all, ...own, row });
          drop(it, x, unit, queryBlock, keyBlock, query);
        });
        addWeighted({ target: mix, weights: scores, values, row, ...block });
      });
      each(0, queries, 1, (i) => {
        const peak = F32.load(peaks.add(i.mul(4))).toF64();
        const sum = variable(F32.load(sums.add(i.mul(4))));
        // A score without a key: it takes its share, and adds nothing.
        when(sinks, () => {
          const away = F32.load(sinks.add(h.mul(4)))
            .toF64()
            .sub(peak);
          sum.value = sum.value.add(exponential(away).toF32());
        });
        const total = sum.value;
        const target = it.mix.add(at).add(i.mul(queryStride));
        const source = { source: mix.add(i.mul(row)), stride: row, rows: I32.of(1), bytes: E.mul(4) };
        copyScaled({ target, targetStride: queryStride, ...source, factor: F32.of(1).div(total), adds: I32.of(0) });
        store(sumAt(it, unit, queryBlock, i, H), peak.add(logarithm(total)).toF32());
      });
    });
  });
});

/** dMix; dq, dk, dv: 0 where not wanted. */
export const attentionBackward = task(
  'attentionBackward',
  {
    ...attentionTakes,
    dMix: 'pointer',
    dq: 'pointer',
    dk: 'pointer',
    dv: 'pointer',
    addsToQ: 'count',
    addsToK: 'count',
    addsToV: 'count',
  },
  (it, { first, last, thread }) => {
    const { E, scale, cap, H } = it;
    each(first, last, 1, (index) => {
      const unit = unitAt(it, index);
      const { row, allBytes, rows, keyStride, queryStride, kvAt } = unit;
      const queryBytes = row.mul(QUERY_BLOCK);
      const start = it.scratch.add(thread.mul(it.scratchBytes));
      const all = times(5, () => allBytes);
      const sizes = [...all, queryBytes, queryBytes, queryBytes, QUERY_BLOCK * 4, BLOCK_BYTES, BLOCK_BYTES];
      const made = places(start, sizes) as [I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32];
      const [keys, values, keyRows, dk, dv, q, dMix, dq, inner, p, dp] = made;
      const bytes = E.mul(4);
      packKeys({ target: keys, source: it.k.add(kvAt), stride: keyStride, rows, E });
      packKeys({ target: values, source: it.v.add(kvAt), stride: keyStride, rows, E });
      copyRows({ target: keyRows, source: it.k.add(kvAt), stride: keyStride, rows, allBytes, E, factor: F32.of(1) });
      clear(dk, allBytes.mul(2));
      eachQueryBlock(it, unit, (queryBlock) => {
        const { q0, queries, at } = queryBlock;
        copyQueries(q, it.q.add(at), unit, queryBlock, E, scale);
        copyQueries(dMix, it.dMix.add(at), unit, queryBlock, E, F32.of(1));
        clear(dq, queryBytes);
        each(0, queries, 1, (i) => {
          const mix = it.mix.add(at).add(i.mul(queryStride));
          store(inner.add(i.mul(4)), dot({ a: dMix.add(i.mul(row)), b: mix, count: E }));
        });
        eachKeyBlock(it, queryBlock, (keyBlock) => {
          const block = { q0, queries, ...keyBlock };
          scoresOf({ scores: p, a: q, row, keys, E, ...block });
          scoresOf({ scores: dp, a: dMix, row, keys: values, E, ...block });
          eachQuery(it, queryBlock, keyBlock, (query) => {
            const { i, from, to, all } = query;
            const [ofP, ofDp] = [p.add(query.at), dp.add(query.at)];
            const logSum = F32.load(sumAt(it, unit, queryBlock, i, H));
            const operands = { p: ofP, dp: ofDp, from, to, all, logSum, mean: F32.load(inner.add(i.mul(4))) };
            drop(it, ofDp, unit, queryBlock, keyBlock, query);
            when(
              cap.eq(0),
              () => slopeRow(operands),
              () => cappedSlopeRow({ ...operands, cap }),
            );
            drop(it, ofP, unit, queryBlock, keyBlock, query);
          });
          addTransposed({ target: dv, weights: p, rows: dMix, row, ...block });
          addTransposed({ target: dk, weights: dp, rows: q, row, ...block });
          addWeighted({ target: dq, weights: dp, values: keyRows, row, ...block });
        });
        when(it.dq, () => {
          const target = { target: it.dq.add(at), targetStride: queryStride, rows: queries, adds: it.addsToQ };
          copyScaled({ ...target, source: dq, stride: row, bytes, factor: scale });
        });
      });
      const ofKeys = { targetStride: keyStride, stride: row, rows, bytes, factor: F32.of(1) };
      when(it.dk, () => copyScaled({ target: it.dk.add(kvAt), source: dk, ...ofKeys, adds: it.addsToK }));
      when(it.dv, () => copyScaled({ target: it.dv.add(kvAt), source: dv, ...ofKeys, adds: it.addsToV }));
    });
  },
);

/** The queries of a block, up to whole tiles. */
function copyQueries(target: I32, source: I32, unit: Unit, { queries }: QueryBlock, E: I32, factor: F32): void {
  const { row, queryStride: stride } = unit;
  const tiles = queries.add(TILE_ROWS - 1).div(TILE_ROWS);
  copyRows({ target, source, stride, rows: queries, allBytes: tiles.mul(row.mul(TILE_ROWS)), E, factor });
}

/** Where the log-sum-exp of the i-th query of a block is. */
function sumAt({ logSumExp }: AttentionValues, { firstRow }: Unit, { q0, h }: QueryBlock, i: I32, H: I32): I32 {
  return logSumExp.add(firstRow.add(q0).add(i).mul(H).add(h).mul(4));
}

/** Drops of a row of probabilities (or of their gradients), those of a query and of the keys from s0 on: by their distance. */
function drop(it: AttentionValues, x: I32, unit: Unit, block: QueryBlock, { s0 }: KeyBlock, { i, all }: Query): void {
  const { threshold, factor, key, firstToken } = it;
  when(threshold, () => {
    const position = block.q0.add(i);
    const base = dropoutBase(key, firstToken.add(unit.firstRow).add(position), block.h);
    dropBackwards(x, all.mul(4), base, position.sub(s0), threshold, factor);
  });
}

/**
 * One row of scores → exp(score − peak), zeros in [0, from) and [to, all); what was summed before is brought to the new peak.
 * `all` is a multiple of 16.
 */
const softmaxRow = functionOf(
  'softmaxRow',
  { x: I32, from: I32, to: I32, all: I32, peak: I32, sum: I32, mix: I32, row: I32 },
  null,
  ({ x, from, to, all, peak, sum, mix, row }) => {
    const bytes = all.mul(4);
    const softmax = () => {
      fillOutside(x, { from, to, all }, NEGATIVE_INFINITY);
      const old = F32.load(peak);
      const tops = times(4, () => variable(F32x4.splat(old)));
      each(x, x.add(bytes), 64, (at) => {
        tops.forEach((top, i) => {
          top.value = top.value.pmax(F32x4.load(at, 16 * i));
        });
      });
      const [a, b, c, d] = tops.map((top) => top.value) as [F32x4, F32x4, F32x4, F32x4];
      const four = a.pmax(b).pmax(c.pmax(d));
      const two = four.pmax(four.shuffle(four, 2, 3, 0, 1));
      const top = two.pmax(two.shuffle(two, 1, 0, 3, 2));
      const ln2 = lnTwo();
      const totals = pair(() => variable(F32x4.splat(0)));
      each(x, x.add(bytes), 32, (at) => {
        const powers = pair((half) => exp(F32x4.load(at, 16 * half).sub(top), ln2));
        totals.forEach((total, half) => {
          total.value = total.value.add(powers[half]!);
        });
        storeVectors(at, powers);
      });
      const change = exp(F32x4.splat(old.sub(top.lane(0))), ln2).lane(0);
      const factor = choose(old.eq(NEGATIVE_INFINITY), F32.of(0), change);
      store(peak, top.lane(0));
      store(sum, F32.load(sum).mul(factor).add(totals[0].value.add(totals[1].value).sum()));
      when(factor.eq(1).not(), () => {
        const factors = F32x4.splat(factor);
        each(mix, mix.add(row), 32, (at) => {
          const scaled = pair((half) => factors.mul(F32x4.load(at, 16 * half)));
          storeVectors(at, scaled);
        });
      });
    };
    when(to.le(from), () => clear(x, bytes), softmax);
    return undefined;
  },
);

/** x ← factor · tanh x */
const tanhRow = functionOf('tanhRow', { x: I32, all: I32, factor: F32 }, null, ({ x, all, factor }) => {
  const ln2 = lnTwo();
  const factors = F32x4.splat(factor);
  each(x, x.add(all.mul(4)), 32, (at) => {
    const shares = pair((half) => tanh(F32x4.load(at, 16 * half), ln2));
    const capped = pair((half) => factors.mul(shares[half]));
    storeVectors(at, capped);
  });
  return undefined;
});

const slopeTakes = { p: I32, dp: I32, from: I32, to: I32, all: I32, logSum: F32, mean: F32 };

/** What is not seen becomes zero; the rest is left to `write`. */
function seenOnly(it: Record<'p' | 'dp' | 'from' | 'to' | 'all', I32>, write: (at: I32) => void): void {
  const { p, dp, from, to, all } = it;
  const bytes = all.mul(4);
  const nothing = () => {
    clear(p, bytes);
    clear(dp, bytes);
  };
  when(to.le(from), nothing, () => {
    fillOutside(p, it, NEGATIVE_INFINITY);
    fillOutside(dp, it, 0);
    each(0, bytes, 32, write);
  });
}

/** p ← exp(score − logSum), dp ← p · (dp − mean); zeros in [0, from) and [to, all). */
const slopeRow = functionOf('slopeRow', slopeTakes, null, (it) => {
  const { p, dp } = it;
  const [sums, means] = [F32x4.splat(it.logSum), F32x4.splat(it.mean)];
  const ln2 = lnTwo();
  seenOnly(it, (at) => {
    const shares = pair((half) => exp(F32x4.load(p.add(at), 16 * half).sub(sums), ln2));
    const slopes = pair((half) => shares[half].mul(F32x4.load(dp.add(at), 16 * half).sub(means)));
    storeVectors(p.add(at), shares);
    storeVectors(dp.add(at), slopes);
  });
  return undefined;
});

/** As slopeRow, where the score is cap · tanh(p): dp takes in the slope of that too. */
const cappedSlopeRow = functionOf('cappedSlopeRow', { ...slopeTakes, cap: F32 }, null, (it) => {
  const { p, dp, all, cap } = it;
  tanhRow({ x: p, all, factor: F32.of(1) });
  const [sums, means, caps] = [it.logSum, it.mean, cap].map((number) => F32x4.splat(number)) as [F32x4, F32x4, F32x4];
  const one = F32x4.constant(1);
  const ln2 = lnTwo();
  seenOnly(it, (at) => {
    const tanhs = pair((half) => F32x4.load(p.add(at), 16 * half));
    const bounded = pair((half) => tanhs[half].pmax(one.neg()));
    const shares = pair((half) => exp(caps.mul(tanhs[half]).sub(sums), ln2));
    const rises = pair((half) => caps.mul(one.sub(bounded[half].mul(bounded[half]))));
    const slopes = pair((half) => shares[half].mul(F32x4.load(dp.add(at), 16 * half).sub(means)).mul(rises[half]));
    storeVectors(p.add(at), shares);
    storeVectors(dp.add(at), slopes);
  });
  return undefined;
});
