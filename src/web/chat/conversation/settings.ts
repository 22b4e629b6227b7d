/** What the reader sets, and what a request says of it. The samplers are the engine's own table. */
import { type OptionSpec, wireName } from '../../../inference/option-table.ts';
import { type SamplingOptions, samplingOptions } from '../../../inference/sampler/options.ts';

export type SamplerKey = keyof typeof samplingOptions;

export interface Settings {
  /** What differs from the server's own settings. */
  readonly sampling: SamplingOptions;
  /** null: to the end of the context. */
  readonly maxTokens: number | null;
  readonly probabilities: boolean;
  /** What the answer is valid for, as it was typed; empty: any text. */
  readonly schema: string;
  /** The model or adapter that answers; null: the first that is served. */
  readonly model: string | null;
  /** What new conversations begin with. */
  readonly system: string;
  readonly apiKey: string;
  readonly language: 'en' | 'ko';
  readonly theme: 'system' | 'light' | 'dark';
}

export const defaultSettings: Settings = {
  sampling: {},
  maxTokens: null,
  probabilities: false,
  schema: '',
  model: null,
  system: '',
  apiKey: '',
  language: 'en',
  theme: 'system',
};

/** The samplers that are always in sight; the others unfold. */
export const commonSamplers = [
  'temperature',
  'topP',
  'topK',
  'minP',
  'repeatPenalty',
  'seed',
] as const satisfies SamplerKey[];

export const samplerEntries = Object.entries(samplingOptions) as [SamplerKey, OptionSpec][];

/** What was kept, with what is known of it; the page's first version kept the samplers among the rest. */
export function settingsFrom(kept: Readonly<Record<string, unknown>>): Partial<Settings> {
  const known = Object.fromEntries(
    Object.entries(kept).filter(([name]) => name in defaultSettings),
  ) as Partial<Settings>;
  if (known.sampling !== undefined) return known;
  const old = samplerEntries.filter(([key, spec]) => kept[key] != null && kept[key] !== spec.default);
  return { ...known, sampling: Object.fromEntries(old.map(([key]) => [key, kept[key]])) as SamplingOptions };
}

/** The fields of a request, under llama-server's names. What is as the table has it is left to the server. */
export function requestFields(settings: Settings): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [key, spec] of samplerEntries) {
    const value = settings.sampling[key];
    if (value !== undefined) fields[wireName(key, spec)] = value;
  }
  if (settings.maxTokens !== null) fields.max_tokens = settings.maxTokens;
  const schema = schemaOf(settings.schema);
  if (schema !== null && schema !== 'wrong') fields.json_schema = schema;
  return fields;
}

/** The schema that was typed; null: none; 'wrong': it is no JSON object. */
export function schemaOf(text: string): object | null | 'wrong' {
  if (text.trim() === '') return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : 'wrong';
  } catch {
    return 'wrong';
  }
}
