/**
 * Every stage by the name that recipes use: its options, checked and with defaults, and how it is made. Stages that remove duplicates
 * need a pass over everything first (`dedup`); the pipeline runs that pass and then makes the stage from what it found.
 */

import type { LineNormalisation } from '../dedup/line-hash.ts';
import { type Bands, bandPresets } from '../dedup/minhash/bands.ts';
import type { KeepPolicy } from '../dedup/runs.ts';
import type { FastText } from '../language/fasttext.ts';
import {
  choice,
  flag,
  integer,
  list,
  number,
  object,
  optional,
  type Rule,
  record,
  type Tagged,
  tagged,
  text,
} from '../recipe/schema.ts';
import { stripGutenberg } from './books.ts';
import { badWords, type C4Rules, c4Quality, c4Variants } from './c4.ts';
import type { DedupItem } from './dedup.ts';
import { codeExtensions, githubQuality, permissiveLicences, removeLicenceHeader } from './github.ts';
import { classify, identifyLanguage } from './language.ts';
import { cleanLatex } from './latex.ts';
import { minimumLength, notEmpty } from './length.ts';
import { assignBucket, ccnetCutoffs, type PerplexityModel, parseCutoffs, scorePerplexity } from './perplexity.ts';
import { maskPersonalData, personalDataKinds } from './pii.ts';
import { blockAddresses, listEntries } from './rules/blocklist.ts';
import { decontaminate, type EvaluationGrams } from './rules/decontaminate.ts';
import { fineWeb, fineWebDefaults } from './rules/fineweb.ts';
import { gopherQuality, gopherQualityDefaults, gopherRepetition, gopherRepetitionDefaults } from './rules/gopher.ts';
import { redPajamaSignals } from './rules/redpajama.ts';
import { removeSecrets, secretKinds } from './rules/secrets.ts';
import type { Stage } from './stage.ts';

/** What stages are made from; loaded once per worker. */
export interface StageEnvironment {
  fastText(model: string): FastText;
  perplexityModel(model: string): PerplexityModel;
  evaluationGrams(model: string): EvaluationGrams;
  /** A small text file below the input folder. */
  textFile(path: string): string;
  /** Tokens of a text by the recipe's tokenizer. */
  countTokens(text: string): number;
}

/** Exact duplicates by hash, near ones by sketch (books: what lies in a larger one) or by bands of minima (pages: what is like another). */
export type DedupPlan =
  | {
      readonly kind: 'exact';
      readonly item: DedupItem;
      readonly keep: KeepPolicy;
      readonly normalise: LineNormalisation;
      readonly group: number;
      /** Of a span. */
      readonly sentences?: number;
      /** Of a passage. */
      readonly tokens?: number;
    }
  | { readonly kind: 'near'; readonly threshold: number }
  | { readonly kind: 'minhash'; readonly shape: Bands };

interface StageRow<Options> {
  readonly options: Rule<Options>;
  readonly create?: (options: Options, environment: StageEnvironment) => Stage;
  /** Costs less than to write the documents aside and read them again. */
  readonly isCheap?: true;
  readonly dedup?: (options: Options) => DedupPlan;
  /** Names of the models that it needs. */
  readonly models?: (options: Options) => string[];
  /** Files below the input folder that it reads. */
  readonly files?: (options: Options) => string[];
}

function row<Options>(each: StageRow<Options>): StageRow<Options> {
  return each;
}

const share = number({ min: 0, max: 1 });
const normalisation = choice(['ccnet', 'lower', 'exact']);
const keepPolicy = choice(['none', 'first']);
const group = optional(integer({ min: 1, max: 10_000 }), 50);

export const stageTable = {
  'minimum-length': row({
    options: object({ characters: optional(integer(), 300) }),
    create: ({ characters }) => minimumLength(characters),
    isCheap: true,
  }),
  'not-empty': row({ options: object({}), create: () => notEmpty(), isCheap: true }),
  'dedup-lines': row({
    options: object({ keep: optional(keepPolicy, 'none'), normalise: optional(normalisation, 'ccnet'), group }),
    dedup: (options) => ({ kind: 'exact', item: 'line', ...options }),
  }),
  'dedup-spans': row({
    options: object({
      sentences: optional(integer({ min: 1, max: 20 }), 3),
      keep: optional(keepPolicy, 'first'),
      normalise: optional(normalisation, 'lower'),
      group: optional(integer({ min: 1 }), 1_000_000),
    }),
    dedup: (options) => ({ kind: 'exact', item: 'span', ...options }),
  }),
  'dedup-substrings': row({
    options: object({
      tokens: optional(integer({ min: 5, max: 10_000 }), 50),
      keep: optional(keepPolicy, 'first'),
      group: optional(integer({ min: 1 }), 1_000_000),
    }),
    dedup: (options) => ({ kind: 'exact', item: 'passage', normalise: 'exact', ...options }),
  }),
  'dedup-documents': row({
    options: object({
      keep: optional(keepPolicy, 'first'),
      normalise: optional(normalisation, 'exact'),
      group: optional(integer({ min: 1 }), 1_000_000),
    }),
    dedup: (options) => ({ kind: 'exact', item: 'document', ...options }),
  }),
  'dedup-urls': row({
    options: object({ keep: optional(keepPolicy, 'first'), group: optional(integer({ min: 1 }), 1_000_000) }),
    dedup: (options) => ({ kind: 'exact', item: 'url', normalise: 'exact', ...options }),
  }),
  'dedup-near': row({
    options: object({ threshold: optional(number({ min: 0, max: 1 }), 0.9) }),
    dedup: ({ threshold }) => ({ kind: 'near', threshold }),
  }),
  'dedup-minhash': row({
    options: object({
      preset: optional(choice(Object.keys(bandPresets) as (keyof typeof bandPresets)[]), 'fineweb'),
      bands: optional(integer({ min: 1, max: 1000 })),
      rows: optional(integer({ min: 1, max: 1000 })),
      words: optional(integer({ min: 1, max: 100 })),
    }),
    dedup: ({ preset, bands, rows, words }) => {
      const usual: Bands = bandPresets[preset];
      return {
        kind: 'minhash',
        shape: { bands: bands ?? usual.bands, rows: rows ?? usual.rows, words: words ?? usual.words },
      };
    },
  }),
  language: row({
    options: object({
      model: text,
      threshold: optional(number({ min: 0, max: 1 }), 0.5),
      keep: optional(list(text)),
      lineEnds: optional(choice(['delete', 'space']), 'delete'),
    }),
    create: ({ model, threshold, keep, lineEnds }, environment) =>
      identifyLanguage(environment.fastText(model), { threshold, keep, lineEnd: lineEnds === 'space' ? ' ' : '' }),
    models: ({ model }) => [model],
  }),
  perplexity: row({
    options: object({ models: record(text), sentences: optional(choice(['line', 'document']), 'line') }),
    create: ({ models, sentences }, environment) =>
      scorePerplexity(
        (language) => (Object.hasOwn(models, language) ? environment.perplexityModel(models[language]!) : undefined),
        sentences,
      ),
    models: ({ models }) => Object.values(models),
  }),
  bucket: row({
    options: object({
      cutoffs: optional(record(list(number({ min: 0 })))),
      cutoffFile: optional(text),
      keep: optional(list(choice(['head', 'middle', 'tail', 'all']))),
    }),
    create: ({ cutoffs, cutoffFile, keep }, environment) => {
      const table = cutoffFile ? parseCutoffs(environment.textFile(cutoffFile)) : (cutoffs ?? ccnetCutoffs);
      return assignBucket(table as Record<string, readonly [number, number]>, keep);
    },
    files: ({ cutoffFile }) => (cutoffFile === undefined ? [] : [cutoffFile]),
  }),
  classifier: row({
    options: object({ model: text, label: text, attribute: text, threshold: optional(number({ min: 0, max: 1 })) }),
    create: ({ model, ...options }, environment) => classify(environment.fastText(model), options),
    models: ({ model }) => [model],
  }),
  c4: row({
    options: object({
      variant: optional(choice(['paper', 'tfds', 'datatrove']), 'paper'),
      minimumWordsPerLine: optional(integer()),
      minimumSentences: optional(integer()),
      maximumWordLength: optional(integer()),
      maximumCharacters: optional(integer()),
      endMarks: optional(list(text)),
      dropCurlyBraces: optional(flag),
      dropLoremIpsum: optional(flag),
      dropJavascriptLines: optional(flag),
      dropPolicyLines: optional(flag),
      removeCitations: optional(flag),
    }),
    create: ({ variant, ...changes }) => {
      const given = Object.entries(changes).filter(([, value]) => value !== undefined);
      return c4Quality({ ...c4Variants[variant], ...Object.fromEntries(given) } as C4Rules);
    },
  }),
  'bad-words': row({
    options: object({ file: text }),
    create: ({ file }, environment) => badWords(environment.textFile(file).split('\n')),
    files: ({ file }) => [file],
  }),
  github: row({
    options: object({
      licences: optional(list(text), permissiveLicences),
      anyLicence: optional(flag, false),
      maximumLineLength: optional(integer(), 1000),
      maximumMeanLineLength: optional(number(), 100),
      minimumAlphanumericShare: optional(number({ min: 0, max: 1 }), 0.25),
      minimumLettersPerToken: optional(number()),
      extensions: optional(list(text), codeExtensions),
    }),
    create: ({ anyLicence, licences, ...rules }, environment) =>
      githubQuality(
        { ...rules, licences: anyLicence ? undefined : licences.map((each) => each.toLowerCase()) },
        environment.countTokens,
      ),
  }),
  'licence-header': row({ options: object({}), create: () => removeLicenceHeader() }),
  latex: row({
    options: object({ withoutSection: optional(choice(['drop', 'keep']), 'drop'), expandMacros: optional(flag, true) }),
    create: (options) => cleanLatex(options),
  }),
  gutenberg: row({ options: object({}), create: () => stripGutenberg() }),
  'personal-data': row({
    options: object({ kinds: optional(list(choice(personalDataKinds)), personalDataKinds) }),
    create: ({ kinds }) => maskPersonalData(kinds),
  }),
  'gopher-quality': row({
    options: object({
      minimumWords: optional(integer(), gopherQualityDefaults.minimumWords),
      maximumWords: optional(integer(), gopherQualityDefaults.maximumWords),
      minimumMeanWordLength: optional(number({ min: 0 }), gopherQualityDefaults.minimumMeanWordLength),
      maximumMeanWordLength: optional(number({ min: 0 }), gopherQualityDefaults.maximumMeanWordLength),
      maximumSymbolsPerWord: optional(number({ min: 0 }), gopherQualityDefaults.maximumSymbolsPerWord),
      maximumBulletLines: optional(share, gopherQualityDefaults.maximumBulletLines),
      maximumEllipsisLines: optional(share, gopherQualityDefaults.maximumEllipsisLines),
      minimumWordsWithLetter: optional(share, gopherQualityDefaults.minimumWordsWithLetter),
      minimumStopWords: optional(integer(), gopherQualityDefaults.minimumStopWords),
      stopWords: optional(list(text), [...gopherQualityDefaults.stopWords]),
    }),
    create: (options) => gopherQuality(options),
  }),
  'gopher-repetition': row({
    options: object({
      lines: optional(share, gopherRepetitionDefaults.lines),
      paragraphs: optional(share, gopherRepetitionDefaults.paragraphs),
      lineCharacters: optional(share, gopherRepetitionDefaults.lineCharacters),
      paragraphCharacters: optional(share, gopherRepetitionDefaults.paragraphCharacters),
      topGrams: optional(record(share), { ...gopherRepetitionDefaults.topGrams }),
      repeatedGrams: optional(record(share), { ...gopherRepetitionDefaults.repeatedGrams }),
    }),
    create: (options) => gopherRepetition(options),
  }),
  fineweb: row({
    options: object({
      minimumMarkedLines: optional(share, fineWebDefaults.minimumMarkedLines),
      allowNone: optional(flag, fineWebDefaults.allowNone),
      maximumShortLines: optional(share, fineWebDefaults.maximumShortLines),
      shortLine: optional(integer(), fineWebDefaults.shortLine),
      maximumRepeatedCharacters: optional(share, fineWebDefaults.maximumRepeatedCharacters),
      maximumLinesPerWord: optional(number({ min: 0 }), fineWebDefaults.maximumLinesPerWord),
      endMarks: optional(list(text), [...fineWebDefaults.endMarks]),
    }),
    create: (options) => fineWeb(options),
  }),
  'redpajama-signals': row({ options: object({}), create: () => redPajamaSignals() }),
  'block-addresses': row({
    options: object({
      domains: optional(list(text), []),
      urls: optional(list(text), []),
      words: optional(list(text), []),
      softWords: optional(list(text), []),
      softWordCount: optional(integer({ min: 1 }), 2),
      parts: optional(list(text), []),
    }),
    create: ({ softWordCount, ...files }, environment) => {
      const entries = (paths: readonly string[]) => paths.flatMap((path) => listEntries(environment.textFile(path)));
      return blockAddresses({
        softWordCount,
        domains: entries(files.domains),
        urls: entries(files.urls),
        words: entries(files.words),
        softWords: entries(files.softWords),
        parts: entries(files.parts),
      });
    },
    files: ({ domains, urls, words, softWords, parts }) => [...domains, ...urls, ...words, ...softWords, ...parts],
    isCheap: true,
  }),
  secrets: row({
    options: object({
      kinds: optional(list(choice(secretKinds)), secretKinds),
      action: optional(choice(['mask', 'drop']), 'mask'),
    }),
    create: ({ kinds, action }) => removeSecrets(kinds, action),
  }),
  decontaminate: row({
    options: object({ model: text, minimumRuns: optional(integer({ min: 1 }), 1) }),
    create: ({ model, minimumRuns }, environment) => decontaminate(environment.evaluationGrams(model), minimumRuns),
    models: ({ model }) => [model],
  }),
} as const;

export type StageName = keyof typeof stageTable;
export type StageChoice = Tagged<StageName, unknown>;
export const stageRule = tagged(stageTable, 'stage') as Rule<StageChoice>;

type AnyRow = StageRow<unknown>;

/** How this stage finds duplicates, for those that do. */
export function dedupPlan({ name, options }: StageChoice): DedupPlan | undefined {
  return (stageTable[name] as AnyRow).dedup?.(options);
}

/** Whether a pass that needs these stages' outcome may as well run them again. */
export function areCheap(stages: readonly StageChoice[]): boolean {
  return stages.every(({ name }) => {
    const { isCheap, dedup } = stageTable[name] as AnyRow;
    return isCheap === true || dedup !== undefined;
  });
}

export function modelsOf({ name, options }: StageChoice): string[] {
  return (stageTable[name] as AnyRow).models?.(options) ?? [];
}

export function filesOf({ name, options }: StageChoice): string[] {
  return (stageTable[name] as AnyRow).files?.(options) ?? [];
}

/** By what name the books know it. */
export function stageName({ name, options }: StageChoice): string {
  return name === 'classifier' ? `classifier ${(options as { attribute: string }).attribute}` : name;
}

/** Makes an ordinary stage; those with a dedup plan are made by the pipeline. */
export function createStage({ name, options }: StageChoice, environment: StageEnvironment): Stage {
  return (stageTable[name] as AnyRow).create!(options, environment);
}
