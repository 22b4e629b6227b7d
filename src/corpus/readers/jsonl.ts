import type { Attributes, Document } from '../document.ts';
import { isPlainObject } from '../recipe/schema.ts';
import { ByteQueue } from './byte-queue.ts';
import { decodeUtf8, type InputFile, type ReadContext } from './reader.ts';

/** Names of the fields that become parts of the document; a dot goes into an object. */
export interface FieldNames {
  readonly text: string;
  readonly id: string;
  readonly url: string;
  readonly title: string;
  readonly date: string;
  /** attribute → field */
  readonly attributes: Readonly<Record<string, string>>;
}

export const defaultFields: FieldNames = {
  text: 'text',
  id: 'id',
  url: 'url',
  title: 'title',
  date: 'date',
  attributes: {},
};

/** One JSON object per line, as documents. */
export async function* readJsonl(file: InputFile, context: ReadContext, fields: FieldNames): AsyncGenerator<Document> {
  for await (const { value, line } of readJsonLines(file, context)) {
    const document = documentFromRecord(value, `${file.name}#${line - 1}`, fields);
    if (document) yield document;
    else {
      const where = `${file.name} line ${line}`;
      context.problem('no-text', `${where}: no text in field ${JSON.stringify(fields.text)}, skipped`);
    }
  }
}

/** One JSON value per line. Lines end at \n only: U+2028 and U+0085 may stand inside strings. Lines count from 1. */
export async function* readJsonLines(
  file: Pick<InputFile, 'name' | 'chunks'>,
  context: Pick<ReadContext, 'problem' | 'maximumRecordBytes'>,
): AsyncGenerator<{ readonly value: unknown; readonly line: number }> {
  const queue = new ByteQueue(file.chunks());
  for (let index = 0; ; index++) {
    const line = await queue.until(10, context.maximumRecordBytes);
    if (line === undefined) return;
    const where = `${file.name} line ${index + 1}`;
    if (line === 'too-long') {
      context.problem(
        'record-too-large',
        `${where}: a line of more than ${context.maximumRecordBytes} bytes was skipped`,
      );
      continue;
    }
    const text = decodeUtf8(line, context, where);
    if (text.trim() === '') continue;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      context.problem('broken-record', `${where}: not JSON, skipped`);
      continue;
    }
    yield { value, line: index + 1 };
  }
}

/** A document from an object with named fields; undefined when it has no text. */
export function documentFromRecord(value: unknown, fallbackId: string, fields: FieldNames): Document | undefined {
  const text = lookUp(value, fields.text);
  if (typeof text !== 'string') return undefined;
  const attributes: Attributes = {};
  for (const [name, field] of Object.entries(fields.attributes)) {
    const found = lookUp(value, field);
    if (typeof found === 'string' || typeof found === 'number' || typeof found === 'boolean') attributes[name] = found;
  }
  const document: Document = { id: fallbackId, text, attributes };
  const id = lookUp(value, fields.id);
  if (typeof id === 'string' || typeof id === 'number') document.id = `${fallbackId}:${id}`;
  for (const key of ['url', 'title', 'date'] as const) {
    const found = lookUp(value, fields[key]);
    if (typeof found === 'string') document[key] = found;
  }
  return document;
}

function lookUp(value: unknown, path: string): unknown {
  if (isPlainObject(value) && Object.hasOwn(value, path)) return value[path];
  let at: unknown = value;
  for (const key of path.split('.')) {
    if (!isPlainObject(at) || !Object.hasOwn(at, key)) return undefined;
    at = at[key];
  }
  return at;
}
