/** Every reader by the name that recipes use, with its options. */
import { choice, object, optional, type Rule, record, type Tagged, tagged, text } from '../recipe/schema.ts';
import { readArxiv } from './arxiv.ts';
import { readCode } from './code.ts';
import { defaultFields, type FieldNames, readJsonl } from './jsonl.ts';
import { readParquet } from './parquet.ts';
import type { Reader } from './reader.ts';
import { readStackExchange } from './stackexchange.ts';
import { readText } from './text.ts';
import { readWarc, type WarcOptions } from './warc.ts';
import { readWikipedia } from './wikipedia.ts';

const fieldOptions = object({
  text: optional(text, defaultFields.text),
  id: optional(text, defaultFields.id),
  url: optional(text, defaultFields.url),
  title: optional(text, defaultFields.title),
  date: optional(text, defaultFields.date),
  attributes: optional(record(text), {}),
}) satisfies Rule<FieldNames>;

/** BigQuery's GitHub export: contents joined with files and licenses. */
const githubFields = object({
  text: optional(text, 'content'),
  id: optional(text, 'id'),
  url: optional(text, 'url'),
  title: optional(text, 'path'),
  date: optional(text, 'date'),
  attributes: optional(record(text), { path: 'path', repository: 'repo_name', licence: 'license' }),
}) satisfies Rule<FieldNames>;

const none = object({});

export const readerTable = {
  wet: {
    options: none,
    create: (): Reader => (file, context) => readWarc(file, context, { records: 'conversion', content: 'all' }),
  },
  warc: {
    options: object({
      records: optional(choice(['conversion', 'response', 'both']), 'response' as const),
      content: optional(choice(['main', 'all']), 'main' as const),
    }) satisfies Rule<WarcOptions>,
    create:
      (options: WarcOptions): Reader =>
      (file, context) =>
        readWarc(file, context, options),
    isCostly: true,
  },
  jsonl: {
    options: fieldOptions,
    create:
      (fields: FieldNames): Reader =>
      (file, context) =>
        readJsonl(file, context, fields),
  },
  parquet: {
    options: fieldOptions,
    create:
      (fields: FieldNames): Reader =>
      (file, context) =>
        readParquet(file, context, fields),
  },
  'github-export': {
    options: githubFields,
    create:
      (fields: FieldNames): Reader =>
      (file, context) =>
        readJsonl(file, context, fields),
  },
  code: { options: none, create: (): Reader => readCode },
  wikipedia: { options: none, create: (): Reader => readWikipedia, isCostly: true },
  stackexchange: { options: none, create: (): Reader => readStackExchange, isCostly: true },
  arxiv: { options: none, create: (): Reader => readArxiv, isCostly: true },
  text: {
    options: object({ separator: optional(text) }),
    create:
      (options: { separator: string | undefined }): Reader =>
      (file, context) =>
        readText(file, context, options),
  },
} as const;

export const readerRule = tagged(readerTable, 'reader');
export type ReaderChoice = Tagged<keyof typeof readerTable, unknown>;

/** Whether to read twice costs more than to write aside what was read: markup is parsed, or bzip2 unpacked. */
export function isCostly({ name }: ReaderChoice): boolean {
  return 'isCostly' in readerTable[name];
}

export function createReader({ name, options }: ReaderChoice): Reader {
  const create = readerTable[name].create as (options: unknown) => Reader;
  return create(options);
}
