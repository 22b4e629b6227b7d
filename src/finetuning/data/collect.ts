/** Rows of a data set → samples. What cannot be used is refused by row with the reason; every row is counted somewhere. */

import { ConfigError } from '../../base/errors.ts';
import { groupBy } from '../../base/es2024.ts';
import type { PreferenceRating } from '../losses/reward-model.ts';
import { type EncodedSample, type Encoder, encodeSample, noTemplate } from './encode.ts';
import { cutSample, splitText, type TooLong } from './fit.ts';
import { detectFormat, type FormatName, formatNames, formats, renamed } from './formats.ts';
import { pairOf, promptOf, ratedOf } from './preferences.ts';
import { fieldsOf, type Row } from './rows.ts';
import { type PromptSample, Refusal, type SftSample } from './sample.ts';

/** A row with the place it came from, for people. */
export interface SourceRow {
  readonly value: unknown;
  readonly where: string;
  /** What was mended to read it. */
  readonly mended?: string;
}

export interface RefusedRow {
  readonly where: string;
  readonly reason: string;
}

/** What became of the rows. */
export interface Census {
  rows: number;
  used: number;
  /** Samples that lost tokens, and how many tokens. */
  cut: number;
  cutTokens: number;
  /** Long texts that go on in further samples. */
  split: number;
  readonly refused: RefusedRow[];
  /** Things that are allowed, and often a mistake. */
  readonly notes: Map<string, number>;
}

export interface CollectOptions {
  readonly encoder: Encoder;
  /** null: by the fields of each row. */
  readonly format: FormatName | null;
  /** Our names of fields → the rows' own. */
  readonly fields: Readonly<Record<string, string>>;
  readonly isAlpaca: boolean;
  /** Texts of prompts and completions are turns of a conversation. */
  readonly asChat: boolean;
  readonly tooLong: TooLong;
  readonly contextLength: number;
}

export interface EncodedPair {
  readonly chosen: EncodedSample;
  readonly rejected: EncodedSample;
  readonly margin: number | null;
  readonly rating: PreferenceRating | null;
}

export interface EncodedRated {
  readonly answer: EncodedSample;
  readonly isLiked: boolean;
}

export interface EncodedPrompt {
  readonly ids: Uint32Array;
  /** What an answer is trained behind: the same, but of a ghost-attention prompt with the instruction in its first turn only. */
  readonly trainIds: Uint32Array;
  readonly isSafety: boolean;
  readonly answer: string | null;
}

type Rows = AsyncIterable<SourceRow> | Iterable<SourceRow>;
export interface Collected<T> {
  readonly samples: readonly T[];
  readonly census: Census;
}

export function collectSft(rows: Rows, options: CollectOptions): Promise<Collected<EncodedSample>> {
  return collect(rows, options, (row, census) => {
    const sample = sftSampleOf(row, options, census);
    if (sample instanceof Refusal) return sample;
    const encoded = encodeSample(sample, options.encoder);
    if (encoded instanceof Refusal) return encoded;
    if (sample.kind === 'text' && encoded.ids.length > options.contextLength) {
      census.split++;
      return splitText(encoded, options.contextLength);
    }
    const fitting = fit(encoded, options, census);
    return fitting instanceof Refusal ? fitting : [fitting];
  });
}

export function collectPairs(rows: Rows, options: CollectOptions): Promise<Collected<EncodedPair>> {
  return collect(rows, options, (row, census) => {
    const pair = pairOf(row, options);
    if (pair instanceof Refusal) return pair;
    const chosen = encodeAnswer(pair.chosen, options, census);
    if (chosen instanceof Refusal) return new Refusal(`chosen: ${chosen.reason}`);
    const rejected = encodeAnswer(pair.rejected, options, census);
    if (rejected instanceof Refusal) return new Refusal(`rejected: ${rejected.reason}`);
    return [{ chosen, rejected, margin: pair.margin ?? null, rating: pair.rating ?? null }];
  });
}

/** Single answers that were liked or not; a pair is two of them. */
export function collectRated(rows: Rows, options: CollectOptions): Promise<Collected<EncodedRated>> {
  return collect(rows, options, (row, census) => {
    if ('chosen' in row || 'rejected' in row || 'preferred_output' in row) {
      const pair = pairOf(row, options);
      if (pair instanceof Refusal) return pair;
      const both = [pair.chosen, pair.rejected].map((sample) => encodeAnswer(sample, options, census));
      const refused = both.find((each) => each instanceof Refusal);
      if (refused instanceof Refusal) return refused;
      return both.map((answer, i) => ({ answer: answer as EncodedSample, isLiked: i === 0 }));
    }
    const rated = ratedOf(row, options);
    if (rated instanceof Refusal) return rated;
    const answer = encodeAnswer(rated.sample, options, census);
    return answer instanceof Refusal ? answer : [{ answer, isLiked: rated.isLiked }];
  });
}

/** Prompts that leave room for `answerTokens` in the context. */
export function collectPrompts(
  rows: Rows,
  options: CollectOptions,
  answerTokens: number,
): Promise<Collected<EncodedPrompt>> {
  return collect(rows, options, (row) => {
    const prompt = promptOf(row, options);
    if (prompt instanceof Refusal) return prompt;
    const sample = options.asChat && prompt.kind === 'completion' ? asChatPrompt(prompt) : prompt;
    const ids = encodePrompt(sample, options.encoder);
    if (ids instanceof Refusal) return ids;
    if (ids.length + answerTokens > options.contextLength) {
      return new Refusal('the prompt leaves no room for an answer of the longest kind in the context');
    }
    const behind = prompt.trainedAs === undefined ? ids : encodePrompt(prompt.trainedAs, options.encoder);
    if (behind instanceof Refusal) return behind;
    return [{ ids, trainIds: behind, isSafety: prompt.isSafety ?? false, answer: prompt.answer ?? null }];
  });
}

function asChatPrompt({ prompt, ...extras }: PromptSample & { kind: 'completion' }): PromptSample {
  return { ...extras, kind: 'chat', messages: [{ role: 'user', content: prompt }] };
}

function encodePrompt(sample: PromptSample, { tokenizer, template }: Encoder): Uint32Array | Refusal {
  const withBos = (ids: Uint32Array) =>
    tokenizer.bosId === null || !tokenizer.addBos || ids[0] === tokenizer.bosId
      ? ids
      : Uint32Array.of(tokenizer.bosId, ...ids);
  if (sample.kind === 'completion') return withBos(tokenizer.encode(sample.prompt));
  if (template === null) return noTemplate(tokenizer);
  try {
    const { segments } = template.render(sample.messages, {
      tools: sample.tools ?? null,
      addGenerationPrompt: true,
    });
    return withBos(tokenizer.encodeSegments(segments));
  } catch (error) {
    if (error instanceof Error && 'code' in error) return new Refusal(`the template refuses: ${error.message}`);
    throw error;
  }
}

async function collect<T>(
  rows: Rows,
  { fields }: CollectOptions,
  convert: (row: Row, census: Census) => readonly T[] | Refusal,
): Promise<Collected<T>> {
  const census: Census = { rows: 0, used: 0, cut: 0, cutTokens: 0, split: 0, refused: [], notes: new Map() };
  const samples: T[] = [];
  for await (const { value, where, mended } of rows) {
    census.rows++;
    const row = value instanceof Refusal ? value : renamed(value, fields);
    const made = row instanceof Refusal ? row : convert(row, census);
    if (made instanceof Refusal) census.refused.push({ where, reason: made.reason });
    else {
      census.used++;
      if (mended !== undefined) note(census, mended);
      samples.push(...made);
    }
  }
  return { samples, census };
}

function sftSampleOf(row: Row, options: CollectOptions, census: Census): SftSample | Refusal {
  const name = options.format ?? detectFormat(row);
  if (name === null) {
    if ('chosen' in row || 'rejected' in row)
      return new Refusal('a pair of answers: methods dpo and reward learn from those');
    return new Refusal(`its fields (${fieldsOf(row)}) are those of no layout: ${formatNames.join(', ')}`);
  }
  const sample = formats[name].convert(row, options);
  if (sample instanceof Refusal) return sample;
  if (name === 'alpaca' && /^(?:<?no ?input>?|n\/a|none)\.?$/i.test(String(row.input ?? '').trim())) {
    note(census, 'input is a word for none, such as "N/A" (it is trained on as it stands)');
  }
  if (sample.kind === 'completion') {
    if (options.asChat) return asChat(sample);
    if (!/\s$/.test(sample.prompt) && !/^\s/.test(sample.completion)) {
      note(census, 'no white space between prompt and completion');
    }
  }
  return sample;
}

function asChat(sample: SftSample): SftSample {
  if (sample.kind !== 'completion') return sample;
  const { prompt, completion } = sample;
  return {
    kind: 'chat',
    messages: [
      { role: 'user', content: prompt },
      { role: 'assistant', content: completion },
    ],
  };
}

function note(census: Census, what: string): void {
  census.notes.set(what, (census.notes.get(what) ?? 0) + 1);
}

function encodeAnswer(sample: SftSample, options: CollectOptions, census: Census): EncodedSample | Refusal {
  const encoded = encodeSample(options.asChat ? asChat(sample) : sample, options.encoder);
  return encoded instanceof Refusal ? encoded : fit(encoded, options, census);
}

function fit(sample: EncodedSample, options: CollectOptions, census: Census): EncodedSample | Refusal {
  const { contextLength, tooLong } = options;
  const fitting = cutSample(sample, contextLength, tooLong);
  if (fitting === null) {
    const what = tooLong === 'refuse' ? 'longer than' : 'no loss within';
    return new Refusal(`${what} the context of ${contextLength} tokens`);
  }
  if (fitting !== sample) {
    census.cut++;
    census.cutTokens += sample.ids.length - fitting.ids.length;
  }
  return fitting;
}

/** What became of the rows, in a few lines. */
export function describeCensus(name: string, { rows, used, cut, cutTokens, split, refused, notes }: Census): string[] {
  const lines = [`${name}: ${rows} rows, ${used} used, ${refused.length} refused`];
  if (cut > 0) lines.push(`  ${cut} samples were cut, ${cutTokens} tokens lost`);
  if (split > 0) lines.push(`  ${split} texts longer than the context go on in further samples`);
  const byReason = groupBy(refused, ({ reason }) => reason);
  const reasons = [...byReason].sort(([, a], [, b]) => b.length - a.length);
  for (const [reason, list] of reasons.slice(0, MOST_REASONS)) {
    const places = list.slice(0, 3).map(({ where }) => where);
    lines.push(`  ${list.length} refused: ${reason} (${places.join(', ')}${list.length > 3 ? ' …' : ''})`);
  }
  if (reasons.length > MOST_REASONS) lines.push(`  and ${reasons.length - MOST_REASONS} more reasons`);
  for (const [what, count] of notes) lines.push(`  ${count}: ${what}`);
  return lines;
}

const MOST_REASONS = 12;

/** Throws ConfigError `finetune.no-samples` where no row could be used, with the reasons. */
export function requireSamples(name: string, { samples, census }: Collected<unknown>): void {
  if (samples.length > 0) return;
  const [, ...reasons] = describeCensus(name, census);
  throw new ConfigError(
    name,
    census.rows === 0
      ? ['expected rows, found none']
      : [`none of its ${census.rows} rows can be used`, ...reasons.map((line) => line.trim())],
    'finetune.no-samples',
  );
}
