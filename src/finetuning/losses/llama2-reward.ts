import { whiten } from './advantages.ts';
import { checkLengths, type Numbers } from './rows.ts';

/** Below this safety score an answer is judged by its safety, whatever its prompt. */
export const SAFETY_THRESHOLD = 0.15;

export interface Llama2RewardInputs {
  /** Scores of the two reward models, behind their final sigmoid: 0 to 1. */
  readonly helpfulness: Numbers;
  readonly safety: Numbers;
  readonly isSafetyPrompt: readonly boolean[];
  /** KL(π ‖ ρ) of each whole answer. */
  readonly kl: Numbers;
  readonly beta: number;
  /** The paper does not say which. */
  readonly variance?: 'unbiased' | 'population';
}

/**
 * Llama 2's reward of a whole answer.
 *
 *   R_c = R_s if the prompt is a safety prompt or R_s < 0.15, else R_h
 *   R   = whiten(logit(R_c)) − β · KL        logit(p) = log(p / (1 − p)), which undoes the final sigmoid
 *
 * Source  Llama 2 §3.2.3 eq. 4, arXiv:2307.09288.
 */
export function llama2Reward(inputs: Llama2RewardInputs) {
  const { helpfulness, safety, isSafetyPrompt, kl, beta, variance = 'unbiased' } = inputs;
  const lengths = { helpfulness: helpfulness.length, safety: safety.length, kl: kl.length };
  checkLengths('llama 2 reward', { ...lengths, isSafetyPrompt: isSafetyPrompt.length });
  const combined = Float64Array.from(helpfulness, (score, i) =>
    isSafetyPrompt[i] || safety[i]! < SAFETY_THRESHOLD ? safety[i]! : score,
  );
  const logits = combined.map((p) => Math.log(p) - Math.log1p(-p));
  const whitened = whiten([logits], { variance, eps: 1e-8, epsIs: 'added' })[0]!;
  return { combined, logits, whitened, rewards: whitened.map((x, i) => x - beta * kl[i]!) };
}
