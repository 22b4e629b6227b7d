/**
 * golden/alignment: losses and gradients of preference tuning, reward models, PPO and GRPO, made in f64 from the papers' formulas
 * and checked against other people's programs (see its README).
 */

import { sampledWithInstruction, trainedWithInstruction } from '../../src/finetuning/gatt.ts';
import {
  generalizedAdvantages,
  groupAdvantages,
  tokenRewards,
  whiten,
  whitenings,
} from '../../src/finetuning/losses/advantages.ts';
import { type GrpoLossName, grpoLoss } from '../../src/finetuning/losses/grpo.ts';
import type { KlEstimator } from '../../src/finetuning/losses/kl.ts';
import { ktoLoss } from '../../src/finetuning/losses/kto.ts';
import { llama2Reward } from '../../src/finetuning/losses/llama2-reward.ts';
import { orpoLoss, simpoLoss } from '../../src/finetuning/losses/odds-ratio.ts';
import { ppoLoss } from '../../src/finetuning/losses/ppo.ts';
import { type PreferenceLossName, preferenceLoss } from '../../src/finetuning/losses/preference.ts';
import {
  type MarginTable,
  marginTables,
  type PreferenceRating,
  rewardModelLoss,
} from '../../src/finetuning/losses/reward-model.ts';
import type { Check } from '../support/golden-check.ts';
import { readFacts } from '../support/golden-facts.ts';
import { type AnyGoldenKind, named } from '../support/golden-kinds.ts';

/** The file's own precision is f64; ours are the same formulas in another order of operations. */
const TOLERANCE = { rtol: 1e-9, atol: 1e-12 };

type Grid = readonly (readonly number[])[];
interface File<Case> {
  readonly cases: readonly Case[];
}

function kind<Facts extends object>(name: string, run: (facts: Facts, check: Check) => void): AnyGoldenKind {
  return {
    name: `alignment/${name}`,
    matches: named('alignment', name),
    devices: [],
    run: ({ path }, check) => {
      const { facts, finish } = readFacts<Facts>(path);
      run(facts, check);
      finish(check);
    },
  };
}

/** A kind whose file is a list of cases of one form. */
function list<Case extends object>(name: string, run: (item: Case, check: Check, at: string) => void): AnyGoldenKind {
  return kind<File<Case>>(name, ({ cases }, check) => {
    for (const [i, item] of cases.entries()) run(item, check, `case ${i}`);
    check.cases += cases.length;
  });
}

interface Preference {
  readonly beta: number;
  readonly policy_chosen: number[];
  readonly policy_rejected: number[];
  readonly ref_chosen: number[];
  readonly ref_rejected: number[];
  readonly chosen_tokens: number[];
  readonly rejected_tokens: number[];
  readonly rewards_chosen: number[];
  readonly rewards_rejected: number[];
  readonly margins: number[];
  readonly accuracy: number;
  readonly losses: readonly {
    readonly loss_type: PreferenceLossName;
    readonly label_smoothing: number;
    readonly reference_free: boolean;
    readonly per_pair: number[];
    readonly loss: number;
    readonly grad: { readonly chosen: number[]; readonly rejected: number[] };
  }[];
}

const dpo = kind<File<Preference>>('dpo', ({ cases }, check) => {
  for (const [i, item] of cases.entries()) {
    const pairs = {
      chosen: item.policy_chosen,
      rejected: item.policy_rejected,
      referenceChosen: item.ref_chosen,
      referenceRejected: item.ref_rejected,
      chosenTokens: item.chosen_tokens,
      rejectedTokens: item.rejected_tokens,
    };
    for (const {
      loss_type: loss,
      label_smoothing: labelSmoothing,
      reference_free: referenceFree,
      ...want
    } of item.losses) {
      const found = preferenceLoss({ loss, beta: item.beta, labelSmoothing, referenceFree }, pairs);
      const at = `case ${i} ${loss}`;
      check.close(`${at} per pair`, found.perPair, want.per_pair, TOLERANCE);
      check.close(`${at} loss`, [found.loss], [want.loss], TOLERANCE);
      check.close(`${at} d chosen`, found.dChosen, want.grad.chosen, TOLERANCE);
      check.close(`${at} d rejected`, found.dRejected, want.grad.rejected, TOLERANCE);
      check.cases++;
    }
    const found = preferenceLoss({ loss: 'sigmoid', beta: item.beta }, pairs);
    check.close(`case ${i} rewards of chosen`, found.rewardsChosen, item.rewards_chosen, TOLERANCE);
    check.close(`case ${i} rewards of rejected`, found.rewardsRejected, item.rewards_rejected, TOLERANCE);
    const margins = found.rewardsChosen.map((reward, k) => reward - found.rewardsRejected[k]!);
    check.close(`case ${i} margins`, margins, item.margins, TOLERANCE);
    check.exact(`case ${i} accuracy`, found.accuracy, item.accuracy);
  }
});

const kto = list<{
  readonly beta: number;
  readonly desirable_weight: number;
  readonly undesirable_weight: number;
  readonly desirable: boolean[];
  readonly policy: number[];
  readonly ref: number[];
  readonly kl_policy: number[];
  readonly kl_ref: number[];
  readonly kl: number;
  readonly per_item: number[];
  readonly loss: number;
  readonly grad: { readonly policy: number[] };
}>('kto', (item, check, at) => {
  const found = ktoLoss(
    { beta: item.beta, desirableWeight: item.desirable_weight, undesirableWeight: item.undesirable_weight },
    {
      desirable: item.desirable,
      policy: item.policy,
      reference: item.ref,
      mismatchedPolicy: item.kl_policy,
      mismatchedReference: item.kl_ref,
    },
  );
  check.close(`${at} kl`, [found.kl], [item.kl], TOLERANCE);
  check.close(`${at} per item`, found.perItem, item.per_item, TOLERANCE);
  check.close(`${at} loss`, [found.loss], [item.loss], TOLERANCE);
  check.close(`${at} d policy`, found.dPolicy, item.grad.policy, TOLERANCE);
});

interface PairGradients {
  readonly loss: number;
  readonly grad: { readonly chosen: number[]; readonly rejected: number[] };
}

function checkPairs(
  check: Check,
  at: string,
  found: { readonly loss: number; readonly dChosen: Float64Array; readonly dRejected: Float64Array },
  want: PairGradients,
): void {
  check.close(`${at} loss`, [found.loss], [want.loss], TOLERANCE);
  check.close(`${at} d chosen`, found.dChosen, want.grad.chosen, TOLERANCE);
  check.close(`${at} d rejected`, found.dRejected, want.grad.rejected, TOLERANCE);
}

const orpo = list<
  PairGradients & {
    readonly lam: number;
    readonly mean_logp_chosen: number[];
    readonly mean_logp_rejected: number[];
    readonly nll: number;
    readonly log_odds: number[];
  }
>('orpo', (item, check, at) => {
  const { mean_logp_chosen: chosen, mean_logp_rejected: rejected, nll: negativeLogLikelihood } = item;
  const found = orpoLoss(item.lam, { chosen, rejected, negativeLogLikelihood });
  check.close(`${at} log odds`, found.logOdds, item.log_odds, TOLERANCE);
  checkPairs(check, at, found, item);
});

const simpo = list<
  PairGradients & {
    readonly beta: number;
    readonly gamma: number;
    readonly label_smoothing: number;
    readonly mean_logp_chosen: number[];
    readonly mean_logp_rejected: number[];
  }
>('simpo', (item, check, at) => {
  const settings = { beta: item.beta, gamma: item.gamma, labelSmoothing: item.label_smoothing };
  checkPairs(check, at, simpoLoss(settings, item.mean_logp_chosen, item.mean_logp_rejected), item);
});

interface RewardPairsCase extends PairGradients {
  readonly preference: PreferenceRating[];
  readonly margin_table: MarginTable;
  readonly margin: number[];
  readonly center_coefficient: number;
  readonly chosen: number[];
  readonly rejected: number[];
  readonly per_pair: number[];
  readonly accuracy: number;
}

const rewardModel = kind<
  File<RewardPairsCase> & { readonly margin_tables: Record<string, Record<PreferenceRating, number>> }
>('reward_model', ({ cases, margin_tables }, check) => {
  for (const [table, margins] of Object.entries(margin_tables))
    for (const [rating, margin] of Object.entries(margins))
      check.close(
        `margin ${table} ${rating}`,
        [marginTables[table as MarginTable][rating as PreferenceRating]],
        [margin],
        TOLERANCE,
      );
  for (const [i, item] of cases.entries()) {
    const margin = item.preference.map((rating) => marginTables[item.margin_table][rating]);
    check.close(`case ${i} margins`, margin, item.margin, TOLERANCE);
    const found = rewardModelLoss({ chosen: item.chosen, rejected: item.rejected, margin }, item.center_coefficient);
    check.close(`case ${i} per pair`, found.perPair, item.per_pair, TOLERANCE);
    check.exact(`case ${i} accuracy`, found.accuracy, item.accuracy);
    checkPairs(check, `case ${i}`, found, item);
  }
  check.cases += cases.length;
});

interface PpoCase {
  readonly settings: {
    readonly convention: 'trl' | 'last';
    readonly kl: KlEstimator;
    readonly beta: number;
    readonly gamma: number;
    readonly lam: number;
    readonly whiten_rewards: boolean;
    readonly reward_clip?: [number, number];
  };
  readonly lengths: number[];
  readonly response_mask: Grid;
  readonly value_mask?: Grid;
  readonly reward_at: number[];
  readonly old_logprobs: Grid;
  readonly ref_logprobs: Grid;
  readonly old_values: Grid;
  readonly scores: number[];
  readonly kl: Grid;
  readonly rewards_before_whitening?: Grid;
  readonly rewards: Grid;
  readonly advantages: Grid;
  readonly returns: Grid;
  readonly advantages_normalised: Grid;
  readonly new_logprobs: Grid;
  readonly new_values: Grid;
  readonly losses: readonly {
    readonly clip: number;
    readonly clip_value: number | null;
    readonly vf_coef: number;
    readonly dual_clip: number | null;
    readonly policy_loss: number;
    readonly value_loss: number;
    readonly loss: number;
    readonly clip_fraction: number;
    readonly approx_kl_mean_half_square: number;
    readonly grad: { readonly logprobs: Grid; readonly values: Grid };
  }[];
}

function ppoCase(item: PpoCase, check: Check, at: string): void {
  const { convention, kl: estimator, beta, gamma, lam, whiten_rewards, reward_clip: scoreLimits } = item.settings;
  const tokens = item.lengths;
  const places = item.reward_at.map((place) => place + 1);
  const width = item.old_logprobs[0]!.length;
  const cut = (grid: Grid, lengths: readonly number[]) => grid.map((row, i) => row.slice(0, lengths[i]));
  /** Padded as the file is, with 0 where there is nothing. */
  const grid = (rows: readonly ArrayLike<number>[]) =>
    rows.flatMap((row) => Array.from({ length: width }, (_, t) => row[t] ?? 0));
  const compare = (what: string, rows: readonly ArrayLike<number>[], want: Grid) =>
    check.close(`${at} ${what}`, grid(rows), want.flat(), TOLERANCE);
  const ones = (lengths: readonly number[]) => lengths.map((length) => new Array<number>(length).fill(1));
  compare('response mask', ones(tokens), item.response_mask);
  if (item.value_mask) compare('value mask', ones(places), item.value_mask);

  const logps = cut(item.old_logprobs, tokens);
  const settings = { beta, kl: estimator, scoreLimits, ...(convention === 'last' && { klLimit: 10 }) };
  const raw = tokenRewards(settings, {
    logps,
    references: cut(item.ref_logprobs, tokens),
    scores: item.scores,
    places,
  });
  // OpenRLHF's KL has no mask: the file has it for the padding too.
  const everywhere = {
    ...item,
    logps: item.old_logprobs,
    references: item.ref_logprobs,
    places: item.lengths.map(() => width),
  };
  compare('kl', convention === 'last' ? tokenRewards(settings, everywhere).kl : raw.kl, item.kl);
  if (item.rewards_before_whitening) compare('rewards before whitening', raw.rewards, item.rewards_before_whitening);
  const whitening = convention === 'trl' ? whitenings.trl : whitenings.openrlhf;
  const rewards = whiten_rewards ? whiten(raw.rewards, { ...whitening, keepMean: true }) : raw.rewards;
  compare('rewards', rewards, item.rewards);
  const oldValues = cut(item.old_values, places);
  const { advantages, returns } = generalizedAdvantages(rewards, oldValues, gamma, lam);
  compare('advantages', advantages, item.advantages);
  compare('returns', returns, item.returns);
  const normalised = whiten(
    advantages.map((row, i) => row.subarray(0, tokens[i])),
    whitening,
  );
  compare('normalised advantages', normalised, item.advantages_normalised);

  for (const [k, want] of item.losses.entries()) {
    const found = ppoLoss(
      { clip: want.clip, clipValue: want.clip_value, valueCoefficient: want.vf_coef, dualClip: want.dual_clip },
      {
        logps: cut(item.new_logprobs, tokens),
        oldLogps: logps,
        advantages: normalised,
        values: cut(item.new_values, places),
        oldValues,
        returns,
      },
    );
    for (const [what, a, b] of [
      ['policy loss', found.policyLoss, want.policy_loss],
      ['value loss', found.valueLoss, want.value_loss],
      ['loss', found.loss, want.loss],
      ['clip fraction', found.clipFraction, want.clip_fraction],
      ['approximate KL', found.approximateKl, want.approx_kl_mean_half_square],
    ] as const)
      check.close(`${at} loss ${k} ${what}`, [a], [b], TOLERANCE);
    compare(`loss ${k} d logps`, found.dLogps, want.grad.logprobs);
    compare(`loss ${k} d values`, found.dValues, want.grad.values);
  }
}

interface Llama2Row {
  readonly helpfulness: number[];
  readonly safety: number[];
  readonly is_safety_prompt: boolean[];
  readonly sequence_kl: number[];
  readonly beta: number;
  readonly combined: number[];
  readonly logit: number[];
  readonly whitened_unbiased: number[];
  readonly whitened_population: number[];
  readonly reward: number[];
}

function llama2Row(row: Llama2Row, check: Check, at: string): void {
  const inputs = { ...row, isSafetyPrompt: row.is_safety_prompt, kl: row.sequence_kl };
  const found = llama2Reward(inputs);
  check.close(`${at} combined`, found.combined, row.combined, TOLERANCE);
  check.close(`${at} logits`, found.logits, row.logit, TOLERANCE);
  check.close(`${at} whitened`, found.whitened, row.whitened_unbiased, TOLERANCE);
  check.close(`${at} rewards`, found.rewards, row.reward, TOLERANCE);
  const { whitened } = llama2Reward({ ...inputs, variance: 'population' });
  check.close(`${at} whitened by the population's variance`, whitened, row.whitened_population, TOLERANCE);
}

const ppo = kind<File<PpoCase> & { readonly llama2_reward: { readonly rows: readonly Llama2Row[] } }>(
  'ppo',
  ({ cases, llama2_reward }, check) => {
    for (const [i, item] of cases.entries()) ppoCase(item, check, `case ${i}`);
    for (const [i, row] of llama2_reward.rows.entries()) llama2Row(row, check, `llama2_reward ${i}`);
    check.cases += cases.length + llama2_reward.rows.length;
  },
);

interface GrpoFile {
  readonly advantages: readonly {
    readonly group_size: number;
    readonly rewards: number[];
    readonly group: number[];
    readonly batch: number[];
    readonly none: number[];
    readonly rloo: number[];
    readonly openrlhf_group_norm: number[];
  }[];
  readonly cases: readonly {
    readonly lengths: number[];
    readonly mask: Grid;
    readonly old_logps: Grid;
    readonly logps: Grid;
    readonly ref_logps: Grid;
    readonly advantages: number[];
    readonly max_completion_length: number;
    readonly losses: readonly {
      readonly loss_type: GrpoLossName | 'reinforce_nanochat';
      readonly importance_level: 'token' | 'sequence';
      readonly beta: number;
      readonly epsilon_low: number | null;
      readonly epsilon_high: number | null;
      readonly loss: number;
      readonly grad: Grid;
    }[];
  }[];
}

const grpo = kind<GrpoFile>('grpo', ({ advantages, cases }, check) => {
  for (const [i, { group_size, rewards, ...want }] of advantages.entries())
    for (const [what, scaling, eps] of [
      ['group', 'group', undefined],
      ['batch', 'batch', undefined],
      ['none', 'none', undefined],
      ['rloo', 'leave-one-out', undefined],
      ['openrlhf_group_norm', 'group', 1e-9],
    ] as const)
      check.close(
        `advantages ${i} ${what}`,
        groupAdvantages(rewards, group_size, scaling, eps).advantages,
        want[what],
        TOLERANCE,
      );
  for (const [i, item] of cases.entries()) {
    const cut = (grid: Grid) => grid.map((row, k) => row.slice(0, item.lengths[k]));
    const ones = item.mask.map((row, k) => row.map((_, t) => (t < item.lengths[k]! ? 1 : 0)));
    check.exact(`case ${i} mask`, ones.flat(), item.mask.flat());
    for (const want of item.losses) {
      const at = `case ${i} ${want.loss_type} ${want.importance_level}`;
      const found = grpoLoss(
        {
          loss: want.loss_type === 'reinforce_nanochat' ? 'reinforce' : want.loss_type,
          importance: want.importance_level,
          beta: want.beta,
          epsilonLow: want.epsilon_low ?? 0,
          epsilonHigh: want.epsilon_high ?? 0,
          maxLength: item.max_completion_length,
        },
        {
          logps: cut(item.logps),
          oldLogps: cut(item.old_logps),
          references: cut(item.ref_logps),
          advantages: item.advantages,
        },
      );
      check.close(`${at} loss`, [found.loss], [want.loss], TOLERANCE);
      const gradient = found.dLogps.flatMap((row) => Array.from(item.mask[0]!, (_, t) => row[t] ?? 0));
      check.close(`${at} gradient`, gradient, want.grad.flat(), TOLERANCE);
      check.cases++;
    }
  }
  check.cases += advantages.length;
});

interface GattCase {
  readonly instruction: string;
  readonly turns: readonly (readonly [question: string, answer: string])[];
  readonly sampled_from: readonly object[];
  readonly trained_on: readonly object[];
}

const gatt = list<GattCase>('gatt', ({ instruction, turns, sampled_from, trained_on }, check, at) => {
  const dialogue = turns.map(([user, assistant]) => ({ user, assistant }));
  check.exact(`${at} sampled from`, sampledWithInstruction(instruction, dialogue), plain(sampled_from));
  check.exact(`${at} trained on`, trainedWithInstruction(instruction, dialogue), plain(trained_on));
});

/** Every field, read. */
const plain = (items: readonly object[]) => items.map((item) => ({ ...item }));

export const alignmentKinds: readonly AnyGoldenKind[] = [dpo, kto, orpo, simpo, rewardModel, ppo, grpo, gatt];
