/** Every metric by the name that a task's file gives it. */
import { bleuAcc, bleuDiff, bleuMax } from './bleu.ts';
import { acc, accBytes, accCharacters, accMutualInfo, accNorm, accTokens, accUnconditional } from './choice.ts';
import { likelihoodDiff, pctStereotype } from './crows-pairs.ts';
import { exactMatch } from './exact-match.ts';
import { agiEvalMath, hendrycksMath, minervaMath, sameAsTarget } from './mathematics.ts';
import { passAt } from './pass-at-k.ts';
import { bitsPerByte, bytePerplexity, perplexity, wordPerplexity } from './perplexity.ts';
import { em, f1, quacF1 } from './squad.ts';
import { triviaQaBestF1, triviaQaEm } from './triviaqa.ts';
import { mc2 } from './truthfulqa.ts';

export const metrics = {
  acc,
  acc_norm: accNorm,
  acc_bytes: accBytes,
  acc_mutual_info: accMutualInfo,
  acc_characters: accCharacters,
  acc_tokens: accTokens,
  acc_unconditional: accUnconditional,
  mc2,
  pct_stereotype: pctStereotype,
  likelihood_diff: likelihoodDiff,
  perplexity,
  word_perplexity: wordPerplexity,
  byte_perplexity: bytePerplexity,
  bits_per_byte: bitsPerByte,
  exact_match: exactMatch,
  em,
  f1,
  quac_f1: quacF1,
  triviaqa_em: triviaQaEm,
  triviaqa_f1: triviaQaBestF1,
  hendrycks_math: hendrycksMath,
  minerva_math: minervaMath,
  agieval_math: agiEvalMath,
  same_expression: sameAsTarget,
  'pass@k': passAt,
  bleu_max: bleuMax,
  bleu_diff: bleuDiff,
  bleu_acc: bleuAcc,
} as const;
