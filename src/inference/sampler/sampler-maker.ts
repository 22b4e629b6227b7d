import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import type { Constraint } from '../constraint.ts';
import type { GenerationSettings } from '../options.ts';
import { breakerVocabulary, resolveBiases, tokenText } from '../text/token-texts.ts';
import { Candidates } from './candidates.ts';
import { findBreakers, type SequenceBreakers } from './dry.ts';
import { Sampler } from './sampler.ts';

interface SamplerModel {
  readonly tokenizer: Tokenizer | null;
  readonly eogIds: ReadonlySet<number>;
  readonly vocabSize: number;
  /** A seed for generations that name none. */
  readonly drawSeed: () => number;
}

/** Makes the samplers of one engine, with what they share. */
export class SamplerMaker {
  readonly candidates: Candidates;
  private readonly model: SamplerModel;
  private readonly breakers = new Map<string, SequenceBreakers>();

  constructor(model: SamplerModel) {
    this.model = model;
    this.candidates = new Candidates(model.vocabSize);
  }

  create(settings: GenerationSettings, constraint: Constraint | null): Sampler {
    const { tokenizer, eogIds, vocabSize, drawSeed } = this.model;
    const { candidates } = this;
    const seed = settings.seed === -1 ? drawSeed() : settings.seed;
    const biases = resolveBiases(settings, tokenizer, eogIds, vocabSize);
    const breakers = settings.dryMultiplier > 0 ? this.breakersOf(settings.drySequenceBreakers) : new Map();
    const textOf = (id: number) => (tokenizer ? tokenText(tokenizer, id) : '');
    return new Sampler(settings, { candidates, seed, biases, breakers, ends: { eogIds, textOf }, constraint });
  }

  /** The search goes through the whole vocabulary, so it is done once per set of breakers. */
  private breakersOf(texts: readonly string[]): SequenceBreakers {
    const { tokenizer } = this.model;
    if (!tokenizer) return new Map();
    const key = JSON.stringify(texts);
    const breakers = this.breakers.get(key) ?? findBreakers(breakerVocabulary(tokenizer), texts);
    this.breakers.set(key, breakers);
    return breakers;
  }
}

/**
 * The tokens that end a generation. A new beginning is an end as well: models trained on texts with only a beginning token between
 * them (llama2.c's) say so by it. Without a tokenizer ids are only numbers, and none of them ends a text.
 */
export function endsOfGeneration(tokenizer: Tokenizer | null, others: readonly number[]): Set<number> {
  if (!tokenizer) return new Set();
  const ids = new Set([...tokenizer.eogIds, ...others]);
  if (tokenizer.bosId !== null) ids.add(tokenizer.bosId);
  return ids;
}
