/** Which settings of a fine-tuning recipe may be others when its run goes on. */
import type { ChangeRule, ChangeRules, RunInputs } from '../training/run/resume.ts';

const ORDER = 'which samples a step learns from follows from it';

const rules: readonly (readonly [key: RegExp, rule: ChangeRule, reason?: string])[] = [
  [/^(name|output\..+)$/, 'said'],
  [/^method$/, 'never', 'its state is of another kind'],
  [/^(model\.|adapter\.)/, 'never', 'what the checkpoint trained belongs to another model'],
  [/^(seed|training\.batch)$/, 'never', ORDER],
  [/^data\.valid$/, 'asked', 'what is validated from now on is not comparable'],
  [/^data\./, 'never', ORDER],
  [/^training\.(onAnomaly|spikeDeviations|recompute|microBatchTokens)$/, 'said'],
];

/** Other data settings are no change where they give the same samples. */
export function tuningRules(before: RunInputs['digests'] | undefined, now: RunInputs['digests']): ChangeRules {
  const isSame = (key: string) => before?.[key] !== undefined && before[key] === now[key];
  return (key) => {
    if (key.startsWith('data.') && isSame('data.train') && isSame('data.valid'))
      return ['said', 'the samples are the same'];
    const [, rule, reason] = rules.find(([pattern]) => pattern.test(key)) ?? [null, 'asked' as const];
    return reason === undefined ? [rule] : [rule, reason];
  };
}
