import type { Given, OptionTable, Resolved } from './option-table.ts';
import { samplingOptions } from './sampler/options.ts';

/** Every option of a generation: when it ends and what is reported of it, and how tokens are picked. */
export const generationOptions = {
  maxTokens: {
    kind: 'integer',
    default: -1,
    min: -1,
    wire: 'n_predict',
    help: 'how many tokens to generate at most; −1: until the text or the context ends',
  },
  contextShift: {
    kind: 'flag',
    default: false,
    help: 'go on where the context is full: half of the tokens after the kept ones are forgotten, and the rest is read again, which takes its time',
  },
  keep: {
    kind: 'integer',
    default: 0,
    min: -1,
    wire: 'n_keep',
    help: 'with contextShift: how many of the first tokens are never forgotten, beside the beginning token; −1: the whole prompt',
  },
  stop: { kind: 'texts', default: [], help: 'texts that end the generation; they are not part of the result' },
  ignoreEos: { kind: 'flag', default: false, help: 'never choose an end-of-generation token' },
  parseSpecial: {
    kind: 'flag',
    default: false,
    help: 'special tokens written in the prompt (<|eot_id|>) are those tokens, not characters',
  },
  logprobs: {
    kind: 'integer',
    default: -1,
    min: -1,
    max: 1000,
    wire: 'n_probs',
    help: 'report the log-probability of each token and of this many likeliest ones; −1: off',
  },
  promptLogprobs: {
    kind: 'flag',
    default: false,
    help: 'with logprobs: also those of the prompt’s tokens, each after the ones before it; the prompt is then read anew',
  },
  postSamplingProbs: {
    kind: 'flag',
    default: false,
    help: 'log-probabilities of what the samplers left, instead of the model’s own distribution',
  },
  draftMax: {
    kind: 'integer',
    default: 16,
    min: 0,
    max: 63,
    wire: 'speculative.n_max',
    help: 'where the model was loaded with a draft: how many tokens are guessed at once at most; 0: none. Guesses change no text',
  },
  draftMin: {
    kind: 'integer',
    default: 0,
    min: 0,
    max: 63,
    wire: 'speculative.n_min',
    help: 'shorter guesses are dropped',
  },
  draftPMin: {
    kind: 'number',
    default: 0,
    min: 0,
    max: 1,
    wire: 'speculative.p_min',
    help: 'a guess ends before a token that is right with a lower probability; what pays is found out beside',
  },
  ...samplingOptions,
} as const satisfies OptionTable;

export type GenerationOptions = Given<typeof generationOptions>;
export type GenerationSettings = Resolved<typeof generationOptions>;
