import type { MetricUse, OutputType } from '../task/spec.ts';
import type { Doc } from '../task/template.ts';

/** How the answers of one multiple-choice item were scored. */
export interface ChoiceEvidence {
  readonly doc: Doc;
  /** The choices as the task lists them; of a task with several contexts these are the contexts. */
  readonly choices: readonly string[];
  /** What was scored after each context, without its delimiter. */
  readonly continuations: readonly string[];
  /** Index of the right choice, or of all that are right; −1: the document's answer is none of the choices. */
  readonly gold: number | readonly number[];
  readonly logLikelihoods: readonly number[];
  readonly isGreedy: readonly boolean[];
  /** Tokens of each continuation; absent where they were not counted. */
  readonly tokens?: readonly number[];
  /** Log-likelihoods after an empty context, and after the neutral one. */
  readonly afterNothing?: readonly number[];
  readonly afterNeutral?: readonly number[];
}

/** One continuation, or one whole text. */
export interface LikelihoodEvidence {
  readonly doc: Doc;
  readonly logLikelihood: number;
  readonly isGreedy: boolean;
  /** The text that was scored. */
  readonly text: string;
}

/** Runs programs apart from this one; the i-th result: it ended without an error in time. */
export type RunPrograms = (programs: readonly string[]) => Promise<readonly boolean[]>;

/** What was generated, after the filters. */
export interface TextEvidence {
  readonly doc: Doc;
  readonly answers: string | readonly string[];
  readonly target: string | readonly string[];
  /** Absent where nothing may be run. */
  readonly run?: RunPrograms | undefined;
}

interface EvidenceOf {
  readonly multiple_choice: ChoiceEvidence;
  readonly loglikelihood: LikelihoodEvidence;
  readonly loglikelihood_rolling: LikelihoodEvidence;
  readonly generate_until: TextEvidence;
}
export type Evidence = EvidenceOf[OutputType];

/** An item's value; with its weight where the metric weighs items. */
export type ItemValue = number | readonly [value: number, weight: number];

export interface Metric<Kind extends OutputType = OutputType> {
  readonly help: string;
  readonly kinds: readonly Kind[];
  readonly aggregation: 'mean' | 'perplexity' | 'weighted_perplexity' | 'bits_per_byte' | 'median';
  readonly higherIsBetter: boolean;
  /** What else must be scored for it. */
  readonly needs?: 'after nothing' | 'after neutral' | 'programs';
  score(evidence: EvidenceOf[Kind], options: MetricUse): ItemValue | Promise<ItemValue>;
}

export const defineMetric = <const Kind extends OutputType>(metric: Metric<Kind>): Metric<Kind> => metric;
