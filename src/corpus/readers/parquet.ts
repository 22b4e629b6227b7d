import { type AsyncBuffer, type Compressors, parquetMetadataAsync, parquetReadObjects, parquetSchema } from 'hyparquet';
import type { ByteSource } from '../../tensor/source.ts';
import type { Document } from '../document.ts';
import { documentFromRecord, type FieldNames } from './jsonl.ts';
import type { InputFile, ReadContext } from './reader.ts';

/** A row group is read whole, as Parquet stores it; one of more bytes is skipped. */
const ROW_GROUP_LIMIT = 1 << 30;

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
    const buffer = asyncBuffer(source);
    const metadata = await parquetMetadataAsync(buffer);
    const columns = [...choose(parquetSchema(metadata).children.map(({ element }) => element.name))];
    if (columns.length === 0) return;
    let rowStart = 0;
    for (const [i, group] of metadata.row_groups.entries()) {
      const rowEnd = rowStart + Number(group.num_rows);
      if (Number(group.total_byte_size) > ROW_GROUP_LIMIT) {
        context.problem('record-too-large', `${file.name} row group ${i}: ${group.total_byte_size} bytes, skipped`);
      } else {
        const rows = await parquetReadObjects({
          file: buffer,
          metadata,
          columns,
          rowStart,
          rowEnd,
          compressors: compressors(context),
        });
        for (const [row, value] of rows.entries()) yield { value, row: rowStart + row };
      }
      rowStart = rowEnd;
    }
  } catch (error) {
    context.problem('broken-file', `${file.name}: ${(error as Error).message}`);
  } finally {
    source.close();
  }
}

function asyncBuffer(source: ByteSource): AsyncBuffer {
  return {
    byteLength: source.byteLength,
    slice(start: number, end: number = source.byteLength): ArrayBuffer {
      const bytes = new Uint8Array(Math.max(0, Math.min(end, source.byteLength) - start));
      source.readInto(bytes, start);
      return bytes.buffer;
    },
  };
}

/** Snappy is hyparquet's own; the rest is the platform's. Each page says how long it will be, and may not be longer. */
function compressors(context: ReadContext): Compressors {
  return {
    GZIP: (bytes: Uint8Array, length: number) => context.inflate('gzip', bytes, length),
    ZSTD: (bytes: Uint8Array, length: number) => context.inflate('zstd', bytes, length),
    BROTLI: (bytes: Uint8Array, length: number) => context.inflate('brotli', bytes, length),
  };
}
