import type { Given, OptionTable, Resolved } from '../option-table.ts';

/** The links of the sampling chain, under llama.cpp's names. */
export const samplerNames = [
  'penalties',
  'dry',
  'top_n_sigma',
  'top_k',
  'typ_p',
  'top_p',
  'min_p',
  'xtc',
  'temperature',
  'infill',
  'adaptive_p',
] as const;
export type SamplerName = (typeof samplerNames)[number];

/**
 * Every sampling option: names, defaults and meanings are llama.cpp's (common/common.h, llama-server's README), but for
 * noRepeatNgram, which is transformers'.
 * The library's types, the command line's flags and the server's JSON are read from this table.
 */
export const samplingOptions = {
  seed: {
    kind: 'integer',
    default: -1,
    min: -1,
    max: Number.MAX_SAFE_INTEGER,
    help: 'random numbers start here; −1 draws a seed and reports it',
  },
  temperature: { kind: 'number', default: 0.8, help: 'divides the logits; 0 or less always takes the likeliest token' },
  dynatempRange: {
    kind: 'number',
    default: 0,
    min: 0,
    help: 'temperature moves by up to this much either way with the entropy; 0: off',
  },
  dynatempExponent: { kind: 'number', default: 1, min: 0, help: 'how entropy maps to the dynamic temperature' },
  topK: { kind: 'integer', default: 40, help: 'keep the K likeliest tokens; 0 or less: all' },
  topP: {
    kind: 'number',
    default: 0.95,
    min: 0,
    max: 1,
    help: 'keep the likeliest tokens that together reach this probability; 1: all',
  },
  minP: {
    kind: 'number',
    default: 0.05,
    min: 0,
    max: 1,
    help: 'keep tokens at least this likely relative to the likeliest; 0: all',
  },
  typicalP: {
    kind: 'number',
    default: 1,
    min: 0,
    max: 1,
    help: 'keep the tokens of most typical surprise up to this probability; 1: off',
  },
  topNSigma: {
    kind: 'number',
    default: -1,
    help: 'keep logits within this many standard deviations of the largest; 0 or less: off',
  },
  minKeep: {
    kind: 'integer',
    default: 0,
    min: 0,
    help: 'top-p, min-p, typical and XTC leave at least this many tokens',
  },
  xtcProbability: {
    kind: 'number',
    default: 0,
    min: 0,
    max: 1,
    help: 'chance of excluding the top choices at a token; 0: off',
  },
  xtcThreshold: {
    kind: 'number',
    default: 0.1,
    min: 0,
    max: 1,
    help: 'XTC excludes tokens above this probability, but for the least likely of them; above 0.5: off',
  },
  repeatPenalty: {
    kind: 'number',
    default: 1,
    min: 0.01,
    help: 'divides positive and multiplies negative logits of recent tokens; 1: off',
  },
  repeatLastN: { kind: 'integer', default: 64, min: -1, help: 'how many tokens count as recent; 0: off, −1: all' },
  presencePenalty: { kind: 'number', default: 0, help: 'taken off the logit of every recent token' },
  frequencyPenalty: { kind: 'number', default: 0, help: 'taken off the logit of a recent token once per occurrence' },
  dryMultiplier: {
    kind: 'number',
    default: 0,
    min: 0,
    help: 'strength of the penalty on repeating sequences (DRY); 0: off',
  },
  dryBase: { kind: 'number', default: 1.75, min: 1, help: 'DRY grows by this factor per repeated token' },
  dryAllowedLength: { kind: 'integer', default: 2, min: 0, help: 'repeats shorter than this are free of DRY' },
  dryPenaltyLastN: { kind: 'integer', default: 64, min: -1, help: 'how far back DRY looks; 0: off, −1: all' },
  drySequenceBreakers: { kind: 'texts', default: ['\n', ':', '"', '*'], help: 'DRY does not see repeats across these' },
  noRepeatNgram: {
    kind: 'integer',
    default: 0,
    min: 0,
    wire: 'no_repeat_ngram_size',
    help: 'never complete a sequence of this many tokens twice (as transformers does; not in llama.cpp); 0: off',
  },
  mirostat: {
    kind: 'integer',
    default: 0,
    min: 0,
    max: 2,
    help: 'hold the surprise at a target instead of truncating: version 1 or 2; 0: off',
  },
  mirostatTau: { kind: 'number', default: 5, min: 0, help: 'mirostat’s target surprise in bits' },
  mirostatEta: { kind: 'number', default: 0.1, min: 0, help: 'mirostat’s learning rate' },
  adaptiveTarget: {
    kind: 'number',
    default: -1,
    max: 1,
    help: 'prefer tokens near this probability (adaptive-p, when it is among the samplers); below 0: off',
  },
  adaptiveDecay: { kind: 'number', default: 0.9, min: 0, max: 0.99, help: 'how long adaptive-p remembers' },
  samplers: {
    kind: 'names',
    choices: samplerNames,
    default: ['penalties', 'dry', 'top_n_sigma', 'top_k', 'typ_p', 'top_p', 'min_p', 'xtc', 'temperature'],
    help: 'which samplers run, in order; infill, where wanted, is behind top_k and top_p, and adaptive_p the last',
  },
  logitBias: {
    kind: 'bias',
    default: [],
    help: 'added to the logits of tokens, before everything else; false forbids a token',
  },
} as const satisfies OptionTable;

export type SamplingOptions = Given<typeof samplingOptions>;
export type SamplingSettings = Resolved<typeof samplingOptions>;
