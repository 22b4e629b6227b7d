import { type AsyncBuffer, type Compressors, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
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
  const source = file.source();
  try {
    const buffer = asyncBuffer(source);
    const metadata = await parquetMetadataAsync(buffer);
    const present = metadata.schema.slice(1).map(({ name }) => name);
    const wanted = [fields.text, fields.id, fields.url, fields.title, fields.date, ...Object.values(fields.attributes)];
    const columns = present.filter((name) => wanted.some((field) => field === name || field.startsWith(`${name}.`)));
    if (!columns.some((name) => fields.text === name || fields.text.startsWith(`${name}.`))) {
      context.problem('no-text', `${file.name}: no column ${fields.text}; there are ${present.join(', ')}`);
      return;
    }
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
        for (const [row, value] of rows.entries()) {
          const document = documentFromRecord(value, `${file.name}#${rowStart + row}`, fields);
          if (document) yield document;
          else context.problem('no-text', `${file.name} row ${rowStart + row}: ${fields.text} is not a text, skipped`);
        }
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
