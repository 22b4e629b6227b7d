/** The arithmetic of a step on many ranks, by hand. */
import { equal, ok } from 'node:assert/strict';
import test from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { parameterCount } from '../../model/parameters.ts';
import { shardings } from '../ranks/sharding.ts';
import { checkRecipe, deriveRecipe } from '../recipe/recipe.ts';
import { estimateMemory, flopsPerToken } from './estimate.ts';
import { type Machine, planRate, planStep } from './plan.ts';

const given = {
  name: 'hand',
  model: { depth: 4, width: 64, heads: 4, contextLength: 32 },
  tokenizer: { path: 't' },
  data: { train: [{ path: 'a' }] },
  training: { batchTokens: 8192, microBatchTokens: 4096 },
};
const derived = deriveRecipe(checkRecipe(given, 'hand.yaml'), 100);
const { config } = derived;
const all = parameterCount(config);
const outside = parameterCount({ ...config, blockCount: 0 });
const machine: Machine = { flops: 1e9, copying: 1e30, adding: 1e30, bandwidth: 1e6, latency: 0 };

test('one rank computes, updates, and sends nothing', () => {
  const plan = planStep(derived, { size: 1, sharding: 'none', overlap: true }, { ...machine, copying: 1e6 });
  const compute = (flopsPerToken(config, 32) * 8192) / 1e9;
  const update = (7 * 4 * all) / 1e6;
  assertClose('seconds', [plan.seconds, planRate(derived, plan)], [compute + update, 8192 / (compute + update)], {
    rtol: 1e-12,
  });
  equal(plan.sent, 0);
  equal(plan.passes, 2);
  equal(plan.beside, 0);
  equal(plan.device, 16 * all);
});

test('what travels is as in the paper of ZeRO: twice the parameters, and three times where blocks are shared', () => {
  // Eight ranks have a pass each; of the blocks, all but the last are gathered twice.
  const sent = shardings.map((sharding) => planStep(derived, { size: 8, sharding, overlap: false }, machine).sent);
  const once = (4 * all * 7) / 8;
  const again = (4 * (all - outside) * 7) / 8;
  assertClose('sent', sent, [2 * once, 2 * once, 2 * once, 2 * once + again * (3 / 4)], { rtol: 1e-12 });
});

test('sums are hidden behind the backward pass, but for the last', () => {
  const plan = (overlap: boolean, bandwidth: number) =>
    planStep(derived, { size: 8, sharding: 'optimizer', overlap }, { ...machine, bandwidth });
  const slow = plan(true, 1e4);
  assertClose('slow network', [slow.exposed], [slow.sums - (2 / 3) * slow.compute], { rtol: 1e-12 });
  const fast = plan(true, 1e9);
  assertClose('fast network', [fast.exposed], [(4 * outside * 7) / 8 / 1e9], { rtol: 1e-12 });
  equal(plan(false, 1e9).exposed, fast.sums);
});

test('a rank needs less the more is shared, and in sum what the estimate says', () => {
  let least = Number.POSITIVE_INFINITY;
  for (const sharding of shardings) {
    const { device, beside } = planStep(derived, { size: 8, sharding, overlap: true }, machine);
    const travelling = 16 * Math.max(outside, (all - outside) / 4);
    const estimate = estimateMemory(config, 1, 'none', { size: 8, sharding }).parameters;
    assertClose(sharding, [device + beside], [estimate + travelling], { rtol: 1e-12 });
    ok(device < least, sharding);
    least = device;
  }
});
