import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  snappyUncompress,
} from 'hyparquet';
import { getSchemaPath } from 'hyparquet/src/schema.js';
import type { ByteSource } from '../../tensor/source.ts';
import type { Document } from '../document.ts';
import { documentFromRecord, type FieldNames } from './jsonl.ts';
import { PageChecks } from './parquet-check.ts';
import { type InputFile, isOfTheMachine, type ReadContext } from './reader.ts';

/** A row group is read whole, as Parquet stores it; one of more bytes is skipped. */
const ROW_GROUP_LIMIT = 1 << 30;

const MAGIC = 'PAR1';

/** Parquet files by row group (hyparquet). Only the columns that the fields name are read. */
export async function* readParquet(
  file: InputFile,
  context: ReadContext,
  fields: FieldNames,
): AsyncGenerator<Document> {
  const wanted = [fields.text, fields.id, fields.url, fields.title, fields.date, ...Object.values(fields.attributes)];
  const names = (column: string, field: string) => field === column || field.startsWith(`${column}.`);
  const choose = (present: readonly string[]) => {
    if (present.some((name) => names(name, fields.text)))
      return present.filter((name) => wanted.some((f) => names(name, f)));
    context.problem('no-text', `${file.name}: no column ${fields.text}; there are ${present.join(', ')}`);
    return [];
  };
  for await (const { value, row } of readParquetRows(file, context, choose)) {
    const document = documentFromRecord(value, `${file.name}#${row}`, fields);
    if (document) yield document;
    else context.problem('no-text', `${file.name} row ${row}: ${fields.text} is not a text, skipped`);
  }
}

/** The rows of a file as objects, with the columns that `choose` picks of those present; none: nothing is read. */
export async function* readParquetRows(
  file: InputFile,
  context: ReadContext,
  choose: (present: readonly string[]) => readonly string[],
): AsyncGenerator<{ readonly value: Record<string, unknown>; readonly row: number }> {
  const source = file.source();
  try {
    const starts = new WeakMap<ArrayBufferLike, number>();
    const buffer = asyncBuffer(source, starts);
    checkMagic(source);
    const metadata = await parquetMetadataAsync(buffer);
    const columns = [...choose(parquetSchema(metadata).children.map(({ element }) => element.name))];
    if (columns.length === 0) return;
    let rowStart = 0;
    for (const [i, group] of metadata.row_groups.entries()) {
      const rowEnd = rowStart + Number(group.num_rows);
      if (Number(group.total_byte_size) > ROW_GROUP_LIMIT) {
        context.problem('record-too-large', `${file.name} row group ${i}: ${group.total_byte_size} bytes, skipped`);
      } else {
        const checks = checkRowGroup(source, metadata, i, columns);
        const rows = await parquetReadObjects({
          file: buffer,
          metadata,
          columns,
          rowStart,
          rowEnd,
          compressors: compressors(context, starts, checks),
        });
        for (const [row, value] of rows.entries()) yield { value, row: rowStart + row };
      }
      rowStart = rowEnd;
    }
  } catch (error) {
    if (isOfTheMachine(error)) throw error;
    context.problem('broken-file', `${file.name}: ${(error as Error).message}`);
  } finally {
    source.close();
  }
}

/** Throws Error where a file cannot be Parquet, or is not whole: its table of contents is at its end, between two marks. */
function checkMagic(source: ByteSource): void {
  const { byteLength } = source;
  const isMarked = [0, byteLength - MAGIC.length].every((at) => {
    if (byteLength < 3 * MAGIC.length) return false;
    const mark = new Uint8Array(MAGIC.length);
    source.readInto(mark, at);
    return String.fromCharCode(...mark) === MAGIC;
  });
  if (isMarked) return;
  throw new Error(
    `expected a Parquet file, which begins and ends with ${MAGIC}, found ${byteLength === 0 ? 'nothing' : `${byteLength} bytes without it`}; is it whole?`,
  );
}

/** Throws Error where the group's counts and sizes cannot be. */
function checkRowGroup(
  source: ByteSource,
  metadata: FileMetaData,
  index: number,
  columns: readonly string[],
): PageChecks {
  const checks = new PageChecks();
  const group = metadata.row_groups[index]!;
  for (const { meta_data: meta } of group.columns) {
    if (!meta || !columns.includes(meta.path_in_schema[0]!)) continue;
    checks.checkColumnChunk(source, meta, getSchemaPath(metadata.schema, meta.path_in_schema), Number(group.num_rows));
  }
  return checks;
}

/** `starts`: where in the file each buffer that was handed out begins. */
function asyncBuffer(source: ByteSource, starts: WeakMap<ArrayBufferLike, number>): AsyncBuffer {
  return {
    byteLength: source.byteLength,
    slice(start: number, end: number = source.byteLength): ArrayBuffer {
      const bytes = new Uint8Array(Math.max(0, Math.min(end, source.byteLength) - start));
      source.readInto(bytes, start);
      starts.set(bytes.buffer, start);
      return bytes.buffer;
    },
  };
}

/** Each page says how long it will be, and may not be longer; what comes out is checked before its counts are believed. */
function compressors(context: ReadContext, starts: WeakMap<ArrayBufferLike, number>, checks: PageChecks): Compressors {
  const checked =
    (unpack: (bytes: Uint8Array, length: number) => Uint8Array) => (bytes: Uint8Array, length: number) => {
      const page = unpack(bytes, length);
      checks.unpacked((starts.get(bytes.buffer) ?? 0) + bytes.byteOffset, page);
      return page;
    };
  return {
    SNAPPY: checked((bytes, length) => {
      const page = new Uint8Array(length);
      snappyUncompress(bytes, page);
      return page;
    }),
    GZIP: checked((bytes, length) => context.inflate('gzip', bytes, length)),
    ZSTD: checked((bytes, length) => context.inflate('zstd', bytes, length)),
    BROTLI: checked((bytes, length) => context.inflate('brotli', bytes, length)),
  };
}
