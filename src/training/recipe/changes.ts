/** Which settings of a training recipe may be others when its run goes on. */
import type { ChangeRule, ChangeRules } from '../run/resume.ts';

const ORDER = 'the order of the documents, in which the run has its place, follows from it';

const rules: readonly (readonly [key: RegExp, rule: ChangeRule, reason?: string])[] = [
  [
    /^output\.weights$/,
    'asked',
    'what is validated from now on is another model, and the best until now is not comparable',
  ],
  [/^output\.bestBy$/, 'asked', 'the best until now was chosen by another set'],
  [/^data\.valid\.\d+\.name$/, 'said'],
  [/^(name|output\..+)$/, 'said'],
  [/^model\.from$/, 'asked', "the run goes on from its checkpoint's weights, which began as those of the other model"],
  [/^model\./, 'never', "the checkpoint's weights are of another model"],
  [/^tokenizer\.path$/, 'never', 'the embeddings belong to the tokens of the other one'],
  [/^seed$/, 'never', ORDER],
  [/^data\.train\.\d+\.(name)$/, 'said'],
  [/^data\.train\.\d+\.share$/, 'asked', 'the run catches up with the new shares over all tokens so far'],
  [/^data\.train/, 'never', ORDER],
  [/^data\.valid/, 'asked', 'what is validated from now on is not comparable, the best checkpoint neither'],
  [/^training\.ema$/, 'asked', 'an average that was not kept until now begins with the weights as they are'],
  [/^training\.matrices$/, 'never', "the optimizer's moments belong to the other one"],
  [/^training\.(onAnomaly|spikeDeviations|recompute|sharding|overlap)$/, 'said'],
];

/** `step`: where the run stands. Until a 'stable' schedule comes down, nothing depends on how long the run will be. */
export function trainingRules(isLengthOpen: boolean): ChangeRules {
  return (key) => {
    if (key === 'training.tokens' && isLengthOpen) return ['said'];
    const [, rule, reason] = rules.find(([pattern]) => pattern.test(key)) ?? [null, 'asked' as const];
    return reason === undefined ? [rule] : [rule, reason];
  };
}
