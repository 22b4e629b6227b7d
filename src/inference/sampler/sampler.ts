import { Random } from '../../base/random.ts';
import type { Floats } from '../../tensor/tensor.ts';
import type { Constraint } from '../constraint.ts';
import { AdaptiveP } from './adaptive-p.ts';
import { argmax, type Candidates, noneLeft } from './candidates.ts';
import { Dry, type SequenceBreakers } from './dry.ts';
import { infill, type TokenEnds } from './infill.ts';
import { mirostat1, mirostat2, mirostatUpdate } from './mirostat.ts';
import { forbidRepeatedNgrams } from './no-repeat.ts';
import type { SamplerName, SamplingSettings } from './options.ts';
import { penalize } from './penalties.ts';
import { temper } from './temperature.ts';
import { minP, topK, topNSigma, topP, typical, xtc } from './truncation.ts';

/** What a sampler must be told beside its settings. */
export interface SamplerContext {
  /** Shared with the other sequences of the engine: it holds nothing between two picks. */
  readonly candidates: Candidates;
  /** The seed itself; the caller has drawn one where none was given. */
  readonly seed: number;
  /** Additions to logits, by token: the logit bias, with texts turned into tokens, and forbidden tokens as −∞. */
  readonly biases: ReadonlyMap<number, number>;
  readonly breakers: SequenceBreakers;
  /** For the sampler infill. Absent: tokens have no texts, and none ends one. */
  readonly ends?: TokenEnds | undefined;
  /** What the text may be, if not anything. */
  readonly constraint?: Constraint | null;
  /** Hears of the candidates as they are after each link of the chain. It may read them, and must not change them. */
  readonly observe?: SamplerObserver | undefined;
}

/** `logits`: before the chain; `pick`: all that is left, with probabilities, and the random number that chooses (null: no choice was left). */
export type SamplerObserver = (stage: SamplerStageName, candidates: Candidates, draw: number | null) => void;
export type SamplerStageName = 'logits' | SamplerName | 'mirostat' | 'pick';

/**
 * Picks the next token of one sequence from its logits:
 *
 *   logit bias → no-repeat → constraint → penalties → DRY → top-n-σ → top-k → typical → top-p → min-p → XTC → temperature → pick
 *
 * The order is llama.cpp's and can be changed by `samplers`; no-repeat (off unless asked for) is transformers'. With mirostat, temperature and mirostat replace the chain.
 * After sample(), the candidates hold what was left and their probabilities. The state (random numbers, mirostat's μ) is the
 * sequence's own: same seed and same logits, same tokens, whoever shares the batch.
 */
export class Sampler {
  readonly seed: number;
  private readonly settings: SamplingSettings;
  private readonly candidates: Candidates;
  private readonly biasIds: Uint32Array;
  private readonly biases: Float64Array;
  private readonly breakers: SequenceBreakers;
  private readonly random: Random;
  private readonly dry = new Dry();
  private readonly adaptive: AdaptiveP | null;
  private constraint: Constraint | null;
  private readonly observe: SamplerObserver | undefined;
  /** Without a constraint the chain can be skipped. */
  private readonly isArgmax: boolean;
  private readonly context: SamplerContext;
  private mu: number;

  constructor(settings: SamplingSettings, context: SamplerContext) {
    const { candidates, seed, biases, breakers, constraint = null, observe } = context;
    this.context = context;
    this.observe = observe;
    this.settings = settings;
    this.candidates = candidates;
    this.seed = seed;
    this.biasIds = Uint32Array.from(biases.keys());
    this.biases = Float64Array.from(biases.values());
    this.breakers = breakers;
    this.constraint = constraint;
    this.random = new Random(seed);
    this.mu = 2 * settings.mirostatTau;
    const { samplers, adaptiveTarget, adaptiveDecay } = settings;
    const adapts = samplers.includes('adaptive_p') && adaptiveTarget >= 0 && settings.temperature > 0;
    this.adaptive = adapts ? new AdaptiveP(adaptiveTarget, adaptiveDecay) : null;
    this.isArgmax = onlyTheLargestMatters(settings) && biases.size === 0 && observe === undefined;
  }

  /** One that picks as this one will, from the same logits, and changes nothing of it. `used`: an earlier shadow, to be used again. */
  shadow(used: Sampler | null = null): Sampler {
    const shadow = used ?? new Sampler(this.settings, { ...this.context, constraint: null, observe: undefined });
    shadow.random.restore(this.random.save());
    shadow.mu = this.mu;
    if (this.adaptive) shadow.adaptive!.follow(this.adaptive);
    shadow.constraint = this.constraint?.fork?.() ?? null;
    return shadow;
  }

  /** The next token after the first `length` ids of the history, from row `row` of logits_RV. */
  sample(logits_RV: Floats, row: number, history: Uint32Array, length: number): number {
    const { candidates, settings } = this;
    if (this.isArgmax && this.constraint === null) {
      const id = argmax(logits_RV, row * candidates.vocabSize, candidates.vocabSize);
      candidates.only(id);
      return id;
    }
    candidates.load(logits_RV, row);
    for (let i = 0; i < this.biases.length; i++) {
      const id = this.biasIds[i]!;
      candidates.logits[id] = biased(candidates.logits[id]!, this.biases[i]!);
    }
    forbidRepeatedNgrams(candidates.logits, settings.noRepeatNgram, history, length);
    this.constraint?.mask(candidates.logits);
    this.observe?.('logits', candidates, null);
    const id = settings.mirostat > 0 ? this.pickMirostat() : this.pickFromChain(history, length);
    this.constraint?.accept(id);
    return id;
  }

  /** From how many of the largest logits the same token would be picked; null: all are needed. The others may then be −∞. */
  get enough(): number | null {
    if (this.constraint !== null) return null;
    if (this.isArgmax) return 1;
    const { settings, biases, observe } = this;
    if (biases.length > 0 || observe || settings.mirostat > 0 || settings.noRepeatNgram > 0) return null;
    for (const name of settings.samplers) {
      if (name === 'top_k' && settings.topK > 0) return settings.topK;
      if (isOn(name, settings)) return null;
    }
    return null;
  }

  /** How many of these tokens, from the first on, the constraint would let be picked. */
  allowed(ids: Uint32Array): number {
    return this.constraint?.allowed?.(ids) ?? ids.length;
  }

  /** The constraint lets nothing follow. */
  get isFinished(): boolean {
    return this.constraint?.isFinished === true;
  }

  private pickFromChain(history: Uint32Array, length: number): number {
    const { candidates, settings } = this;
    for (const name of settings.samplers) {
      this.apply(name, history, length);
      this.observe?.(name, candidates, null);
    }
    if (settings.temperature <= 0) temper(candidates, 0, 0, 1);
    const index = this.pick();
    this.adaptive?.chosen(candidates.keys[index]!);
    return candidates.ids[index]!;
  }

  private apply(name: SamplerName, history: Uint32Array, length: number): void {
    const { candidates, settings } = this;
    switch (name) {
      case 'penalties':
        penalize(candidates, settings, history, length);
        break;
      case 'dry':
        this.dry.apply(candidates, settings, this.breakers, history, length);
        break;
      case 'top_n_sigma':
        topNSigma(candidates, settings.topNSigma);
        break;
      case 'top_k':
        topK(candidates, settings.topK);
        break;
      case 'typ_p':
        typical(candidates, settings.typicalP, settings.minKeep);
        break;
      case 'top_p':
        topP(candidates, settings.topP, settings.minKeep);
        break;
      case 'min_p':
        minP(candidates, settings.minP, settings.minKeep);
        break;
      case 'xtc':
        if (settings.xtcProbability > 0 && this.random.uniform() < settings.xtcProbability) {
          xtc(candidates, settings.xtcThreshold, settings.minKeep);
        }
        break;
      case 'temperature':
        temper(candidates, settings.temperature, settings.dynatempRange, settings.dynatempExponent);
        break;
      case 'infill':
        infill(candidates, this.context.ends ?? endless, this.constraint === null);
        break;
      case 'adaptive_p':
        this.adaptive?.apply(candidates);
        break;
      default:
        name satisfies never;
    }
  }

  private pickMirostat(): number {
    const { candidates, settings } = this;
    temper(candidates, settings.temperature, settings.dynatempRange, settings.dynatempExponent);
    (settings.mirostat === 1 ? mirostat1 : mirostat2)(candidates, this.mu);
    this.observe?.('mirostat', candidates, null);
    const index = this.pick();
    this.mu = mirostatUpdate(this.mu, candidates.probabilities[index]!, settings.mirostatTau, settings.mirostatEta);
    return candidates.ids[index]!;
  }

  /** Draws one candidate by its probability. */
  private pick(): number {
    const { candidates } = this;
    candidates.softmax();
    const { probabilities, count } = candidates;
    const target = count === 1 ? null : this.random.uniform();
    this.observe?.('pick', candidates, target);
    if (target === null) return 0;
    let sum = 0;
    let last = -1;
    for (let i = 0; i < count; i++) {
      if (probabilities[i] === 0) continue;
      last = i;
      sum += probabilities[i]!;
      if (sum > target) return i;
    }
    if (last < 0) throw noneLeft();
    return last; // the sum stopped short of 1 by rounding
  }
}

const endless: TokenEnds = { eogIds: new Set(), textOf: () => '' };

/** −∞ forbids, whatever the logit; otherwise a sum. */
function biased(logit: number, bias: number): number {
  return bias === Number.NEGATIVE_INFINITY ? bias : logit + bias;
}

/** Greedy, and no sampler before the temperature can change which logit is the largest. */
function onlyTheLargestMatters(settings: SamplingSettings): boolean {
  if (settings.temperature > 0 || settings.noRepeatNgram > 0) return false;
  const changing = ['penalties', 'dry', 'typ_p', 'xtc', 'infill'] as const;
  return changing.every((name) => !settings.samplers.includes(name) || !isOn(name, settings));
}

/** Whether a link of the chain does anything as it is set. */
function isOn(name: SamplerName, settings: SamplingSettings): boolean {
  switch (name) {
    case 'penalties':
      return settings.repeatPenalty !== 1 || settings.presencePenalty !== 0 || settings.frequencyPenalty !== 0;
    case 'dry':
      return settings.dryMultiplier !== 0;
    case 'top_n_sigma':
      return settings.topNSigma > 0;
    case 'top_k':
      return settings.topK > 0;
    case 'typ_p':
      return settings.typicalP < 1;
    case 'top_p':
      return settings.topP < 1;
    case 'min_p':
      return settings.minP > 0;
    case 'xtc':
      return settings.xtcProbability > 0;
    case 'temperature':
      return settings.temperature !== 1 || settings.dynatempRange > 0;
    case 'adaptive_p':
      return settings.adaptiveTarget >= 0;
    case 'infill':
      return true;
    default:
      return name satisfies never;
  }
}
