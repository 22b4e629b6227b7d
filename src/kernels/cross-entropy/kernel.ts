/** One row of logits → its loss and, in place, the gradient of weight · loss (reference.ts has the formula). */
import { exp, lnTwo, pair, times } from '../lanes.ts';
import { logarithm } from '../logarithm.ts';
import { clear, each, store, storeVectors, variable, when } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { F32, F32x4, F64, I32 } from '../writer/values.ts';

/** losses: f64; penalties: f64, 0 for none; a label below 0 has no loss. Unit = one row. */
export const crossEntropy = task(
  'crossEntropy',
  {
    logits: 'pointer',
    V: 'count',
    labels: 'pointer',
    weights: 'pointer',
    losses: 'pointer',
    wantsGradient: 'count',
    zLoss: 'real',
    penalties: 'pointer',
  },
  ({ logits, V, labels, weights, losses, wantsGradient, zLoss, penalties }, { first, last }) => {
    const bytes = V.mul(4);
    const whole = V.and(~15).mul(4);
    each(first, last, 1, (n) => {
      const z = logits.add(n.mul(bytes));
      const label = I32.load(labels.add(n.mul(4)));
      const place = n.mul(8);
      const noLoss = () => {
        store(losses.add(place), F64.of(0));
        when(penalties, () => store(penalties.add(place), F64.of(0)));
        when(wantsGradient, () => clear(z, bytes));
      };
      const loss = () => {
        const target = F32.load(z.add(label.mul(4)));
        const top = largest(z, whole, bytes);
        const sum = exponentials(z, whole, bytes, top);
        const logSum = top.toF64().add(logarithm(sum));
        store(losses.add(place), logSum.sub(target.toF64()));
        when(penalties, () => store(penalties.add(place), zLoss.toF64().mul(logSum).mul(logSum)));
        when(wantsGradient, () => {
          const weight = F32.load(weights.add(n.mul(4)));
          const share = variable(weight);
          when(penalties, () => {
            const pulled = F64.of(1).add(F64.of(2).mul(zLoss.toF64()).mul(logSum));
            share.value = weight.mul(pulled.toF32());
          });
          scaleRow(z, whole, bytes, share.value.div(sum));
          const at = z.add(label.mul(4));
          store(at, F32.load(at).sub(weight));
        });
      };
      when(label.ltSigned(0), noLoss, loss);
    });
  },
);

function largest(z: I32, whole: I32, bytes: I32): F32 {
  const tops = times(4, () => variable(F32x4.splat(Number.NEGATIVE_INFINITY)));
  each(0, whole, 64, (at) => {
    tops.forEach((top, i) => {
      top.value = top.value.pmax(F32x4.load(z.add(at), 16 * i));
    });
  });
  const [a, b, c, d] = tops.map((top) => top.value) as [F32x4, F32x4, F32x4, F32x4];
  const all = a.pmax(b).pmax(c.pmax(d));
  const top = variable(
    all
      .lane(0)
      .max(all.lane(1))
      .max(all.lane(2).max(all.lane(3))),
  );
  each(whole, bytes, 4, (at) => {
    top.value = top.value.max(F32.load(z.add(at)));
  });
  return top.value;
}

/** z ← exp(z − top); their sum. */
function exponentials(z: I32, whole: I32, bytes: I32, top: F32): F32 {
  const ln2 = lnTwo();
  const tops = F32x4.splat(top);
  const sums = pair(() => variable(F32x4.splat(0)));
  each(0, whole, 32, (at) => {
    const powers = pair((half) => exp(F32x4.load(z.add(at), 16 * half).sub(tops), ln2));
    sums.forEach((sum, half) => {
      sum.value = sum.value.add(powers[half]!);
    });
    storeVectors(z.add(at), powers);
  });
  const sum = variable(sums[0].value.add(sums[1].value).sum());
  each(whole, bytes, 4, (at) => {
    const power = exp(F32x4.splat(F32.load(z.add(at)).sub(top)), ln2).lane(0);
    sum.value = sum.value.add(power);
    store(z.add(at), power);
  });
  return sum.value;
}

function scaleRow(z: I32, whole: I32, bytes: I32, factor: F32): void {
  const factors = F32x4.splat(factor);
  each(0, whole, 32, (at) => {
    const scaled = pair((half) => factors.mul(F32x4.load(z.add(at), 16 * half)));
    storeVectors(z.add(at), scaled);
  });
  each(whole, bytes, 4, (at) => store(z.add(at), factor.mul(F32.load(z.add(at)))));
}
