import { ok } from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { preferenceLoss, preferenceLossNames } from './preference.ts';

/** Losses and gradients of three pairs whose log-ratios differ by `far`, none, and −`far`. */
function at(loss: (typeof preferenceLossNames)[number], far: number, moved = 0) {
  const pairs = {
    chosen: [far - 4 + moved, -9, -far - 6],
    rejected: [-8, -9, -5],
    referenceChosen: [-5, -8, -6],
    referenceRejected: [-7, -7, -7],
    chosenTokens: [3, 2, 4],
    rejectedTokens: [2, 2, 5],
  };
  const labelSmoothing = loss === 'exo_pair' ? 0.1 : 0;
  return preferenceLoss({ loss, beta: 0.5, labelSmoothing }, pairs);
}

for (const name of preferenceLossNames) {
  test(`${name}: the gradient is the slope, and answers that are far apart give numbers`, () => {
    for (const far of [0.5, 5000]) {
      const { loss, dChosen, dRejected } = at(name, far);
      for (const number of [loss, ...dChosen, ...dRejected]) ok(Number.isFinite(number), `${far} apart: ${number}`);
    }
    const step = 1e-5;
    const slope = (at(name, 0.5, step).loss - at(name, 0.5, -step).loss) / (2 * step);
    assertClose('d chosen of the first pair', [at(name, 0.5).dChosen[0]!], [slope], { rtol: 1e-6, atol: 1e-9 });
  });
}
