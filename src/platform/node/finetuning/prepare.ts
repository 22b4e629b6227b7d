/** From a recipe to encoded samples: the model's tokenizer and template, the rows, what is proved of them. Needs no device. */
import { existsSync, readFileSync } from 'node:fs';
import { ArgumentError, ConfigError } from '../../../base/errors.ts';
import { Random } from '../../../base/random.ts';
import {
  type Census,
  type Collected,
  type CollectOptions,
  collectPairs,
  collectPrompts,
  collectRated,
  collectSft,
  describeCensus,
  type EncodedPair,
  type EncodedPrompt,
  type EncodedRated,
  requireSamples,
  type SourceRow,
} from '../../../finetuning/data/collect.ts';
import type { EncodedSample, Encoder } from '../../../finetuning/data/encode.ts';
import { proveSamples, type Run, runsOf } from '../../../finetuning/data/proof.ts';
import type { DataSource, Recipe } from '../../../finetuning/recipe-keys.ts';
import type { Checkpoint } from '../../../model/checkpoint/checkpoint.ts';
import { builtInTemplates, isTemplateName } from '../../../tokenizer/chat/built-in-templates.ts';
import { type ChatTemplate, chatTemplateFor } from '../../../tokenizer/chat/chat-template.ts';
import { createTokenizer } from '../../../tokenizer/create-tokenizer.ts';
import type { Tokenizer } from '../../../tokenizer/tokenizer.ts';
import type { PullOptions } from '../../hub/pull.ts';
import { filesOfSource, readRows } from './read-rows.ts';

/** Samples by what the method learns from; those held back beside them. */
export type TuningSamples =
  | { readonly kind: 'sft'; readonly train: readonly EncodedSample[]; readonly valid: readonly EncodedSample[] }
  | { readonly kind: 'pairs'; readonly train: readonly EncodedPair[]; readonly valid: readonly EncodedPair[] }
  | { readonly kind: 'rated'; readonly train: readonly EncodedRated[]; readonly valid: readonly EncodedRated[] }
  | { readonly kind: 'prompts'; readonly train: readonly EncodedPrompt[]; readonly valid: readonly EncodedPrompt[] };

export interface Prepared {
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate | null;
  readonly contextLength: number;
  readonly samples: TuningSamples;
  /** What was found and proved, for people and the report. */
  readonly facts: readonly (readonly [string, string])[];
  readonly warnings: readonly string[];
  readonly census: readonly (readonly [name: string, census: Census])[];
}

export interface PrepareOptions {
  readonly hub: PullOptions;
  tell(message: string): void;
}

/** Throws ConfigError `finetune.no-samples`, `finetune.proof`; ArgumentError `finetune.…`. */
export async function prepare(recipe: Recipe, checkpoint: Checkpoint, options: PrepareOptions): Promise<Prepared> {
  const { data, model } = recipe;
  if (checkpoint.tokenizer === null) {
    throw new ArgumentError(
      'finetune.no-tokenizer',
      `${checkpoint.name}: expected a model with a tokenizer, found none in its files. Put tokenizer.json or tokenizer.model beside it.`,
    );
  }
  const tokenizer = createTokenizer(checkpoint.tokenizer);
  const template = templateOf(recipe, checkpoint, tokenizer);
  const contextLength = model.contextLength ?? checkpoint.config.contextLength;
  const encoder: Encoder = { tokenizer, template, trainOn: data.trainOn };
  const alpacas: readonly string[] = [builtInTemplates.alpaca, builtInTemplates['stanford-alpaca']];
  const collecting: Omit<CollectOptions, 'format' | 'fields'> = {
    encoder,
    isAlpaca: template !== null && alpacas.includes(template.source),
    asChat: data.asChat,
    tooLong: data.tooLong,
    contextLength,
  };
  const census: [string, Census][] = [];
  const collectAll = async <T>(
    name: string,
    sources: readonly DataSource[],
    collect: (rows: AsyncIterable<SourceRow>, options: CollectOptions) => Promise<Collected<T>>,
  ): Promise<T[]> => {
    const samples: T[] = [];
    for (const [i, source] of sources.entries()) {
      const files = await filesOfSource(source, `data.${name}.${i}.path`, options.hub);
      const fields = Object.fromEntries(Object.entries(source.fields).filter(([, value]) => value !== undefined));
      const collected = await collect(first(readRows(files), source.rows), {
        ...collecting,
        format: source.format ?? null,
        fields: fields as Record<string, string>,
      });
      requireSamples(`data.${name}.${i} ${source.path}`, collected); // its words have the reasons
      for (const line of describeCensus(`${name} ${source.path}`, collected.census)) options.tell(line);
      census.push([`${name} ${source.path}`, collected.census]);
      for (let i = 0; i < source.repeat; i++) samples.push(...collected.samples);
    }
    return samples;
  };
  const both = async <T>(
    collect: (rows: AsyncIterable<SourceRow>, options: CollectOptions) => Promise<Collected<T>>,
  ): Promise<{ train: T[]; valid: T[] }> => {
    const train = await collectAll('train', data.train, collect);
    if (data.valid) return { train, valid: await collectAll('valid', data.valid, collect) };
    return holdBack(train, data.validShare, recipe.seed, recipe.name);
  };
  const samples = await samplesOf(recipe, both);
  const { facts, warnings } = proofOf(samples, tokenizer, recipe.name);
  const known = checkpoint.config.contextLength;
  const longer =
    contextLength > known
      ? [`model.contextLength is ${contextLength}, and the model was made for ${known}: positions beyond are new to it`]
      : [];
  return { tokenizer, template, contextLength, samples, facts, warnings: [...longer, ...warnings], census };
}

async function samplesOf(
  recipe: Recipe,
  both: <T>(
    collect: (rows: AsyncIterable<SourceRow>, options: CollectOptions) => Promise<Collected<T>>,
  ) => Promise<{ train: T[]; valid: T[] }>,
): Promise<TuningSamples> {
  switch (recipe.method) {
    case 'sft':
      return { kind: 'sft', ...(await both(collectSft)) };
    case 'reward':
      return { kind: 'pairs', ...(await both(collectPairs)) };
    case 'dpo':
      return recipe.dpo.loss === 'kto'
        ? { kind: 'rated', ...(await both(collectRated)) }
        : { kind: 'pairs', ...(await both(collectPairs)) };
    default:
      return {
        kind: 'prompts',
        ...(await both((rows, options) => collectPrompts(rows, options, recipe.sampling.maxTokens))),
      };
  }
}

/** The template to train with: the recipe's, the model's, or none where the data need none. */
function templateOf(recipe: Recipe, checkpoint: Checkpoint, tokenizer: Tokenizer): ChatTemplate | null {
  const { template } = recipe.model;
  if (template !== undefined) {
    const isFile = !isTemplateName(template) && existsSync(template);
    return chatTemplateFor(tokenizer, isFile ? readFileSync(template, 'utf8') : template);
  }
  try {
    return chatTemplateFor(tokenizer, checkpoint.chatTemplate ?? undefined);
  } catch (error) {
    if (error instanceof ArgumentError && error.code === 'chat.no-template') return null;
    throw error;
  }
}

/** A share of the samples, chosen by the seed, that is not trained on. */
function holdBack<T>(all: readonly T[], share: number, seed: number, name: string): { train: T[]; valid: T[] } {
  if (share === 0) return { train: [...all], valid: [] };
  const count = Math.max(1, Math.round(share * all.length));
  if (count >= all.length) {
    throw new ConfigError(`recipe ${name}`, [
      `data.validShare ${share} of ${all.length} samples leaves none to train on`,
    ]);
  }
  const held = new Set(new Random(seed).shuffled(all.length).slice(0, count));
  return { train: all.filter((_, i) => !held.has(i)), valid: all.filter((_, i) => held.has(i)) };
}

function proofOf(samples: TuningSamples, tokenizer: Tokenizer, name: string): Pick<Prepared, 'facts' | 'warnings'> {
  const answers = answersOf(samples);
  const count = samples.kind === 'pairs' ? 'pairs' : samples.kind === 'prompts' ? 'prompts' : 'samples';
  const held: [string, string][] =
    samples.valid.length > 0
      ? [['held back', `${samples.valid.length} of ${samples.valid.length + samples.train.length} ${count}`]]
      : [];
  if (answers === null) {
    const tokens = (samples.train as readonly EncodedPrompt[]).reduce((sum, { ids }) => sum + ids.length, 0);
    return { facts: [['prompts', `${samples.train.length}, ${tokens} tokens`], ...held], warnings: [] };
  }
  const proof = proveSamples(`recipe ${name}: data.train`, answers, tokenizer);
  const pairs: [string, string][] = samples.kind === 'pairs' ? [['pairs', String(samples.train.length)]] : [];
  return { facts: [...pairs, ...proof.facts, ...held], warnings: proof.warnings };
}

/** Everything that carries loss; null: answers are still to be drawn. */
function answersOf(samples: TuningSamples): readonly EncodedSample[] | null {
  switch (samples.kind) {
    case 'sft':
      return samples.train;
    case 'pairs':
      return samples.train.flatMap(({ chosen, rejected }) => [chosen, rejected]);
    case 'rated':
      return samples.train.map(({ answer }) => answer);
    default:
      return null;
  }
}

/** The first `count` samples as text with their marks, each with a title. */
export function shownSamples({ samples, tokenizer }: Prepared, count: number): { title: string; runs: Run[] }[] {
  const show = (title: string, sample: Pick<EncodedSample, 'ids' | 'carries'>) => ({
    title,
    runs: runsOf(sample, tokenizer),
  });
  switch (samples.kind) {
    case 'sft':
      return samples.train.slice(0, count).map((sample, i) => show(`sample ${i + 1}`, sample));
    case 'pairs':
      return samples.train
        .slice(0, count)
        .flatMap(({ chosen, rejected }, i) => [
          show(`pair ${i + 1}, chosen`, chosen),
          show(`pair ${i + 1}, rejected`, rejected),
        ]);
    case 'rated':
      return samples.train
        .slice(0, count)
        .map(({ answer, isLiked }, i) => show(`answer ${i + 1}, ${isLiked ? 'liked' : 'not liked'}`, answer));
    case 'prompts':
      return samples.train
        .slice(0, count)
        .map(({ ids }, i) => show(`prompt ${i + 1}`, { ids, carries: new Uint8Array(ids.length) }));
    default:
      return samples satisfies never;
  }
}

async function* first<T>(rows: AsyncIterable<T>, count: number | undefined): AsyncGenerator<T> {
  let seen = 0;
  for await (const row of rows) {
    if (count !== undefined && seen++ >= count) return;
    yield row;
  }
}
