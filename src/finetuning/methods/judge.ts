/** What scores answers: a rule, a reward model, or Llama 2's pair of reward models. */
import { SAFETY_THRESHOLD } from '../losses/llama2-reward.ts';
import { sigmoid } from '../losses/logistic.ts';
import type { Rule } from '../rules.ts';
import type { Policy } from './policy.ts';
import type { Rollout } from './rollouts.ts';

export interface Judge {
  /** One score an answer. Reward models: before the sigmoid, which the paper's logit undoes. */
  score(rollouts: readonly Rollout[]): Promise<Float64Array>;
}

export function ruleJudge(rule: Rule): Judge {
  return {
    score: async (rollouts) =>
      Float64Array.from(rollouts, ({ answer, prompt }) => rule.score(answer.text, prompt.answer)),
  };
}

/** A model with a head: the number at the answer's last token. */
export function modelJudge(model: Policy): Judge {
  return {
    async score(rollouts) {
      const readings = await model.read(rollouts.map(({ sequence }) => sequence));
      return Float64Array.from(readings, ({ values }) => values.at(-1)!);
    },
  };
}

/**
 * R_s where the prompt asks for something unsafe or σ(R_s) < 0.15, else R_h.
 * Source   Touvron et al. 2023 (Llama 2), arXiv:2307.09288 §3.2.3.
 */
export function llama2Judge(helpfulness: Judge, safety: Judge): Judge {
  return {
    async score(rollouts) {
      const [helpful, safe] = [await helpfulness.score(rollouts), await safety.score(rollouts)];
      return Float64Array.from(rollouts, ({ prompt }, i) =>
        prompt.isSafety || sigmoid(safe[i]!) < SAFETY_THRESHOLD ? safe[i]! : helpful[i]!,
      );
    },
  };
}
