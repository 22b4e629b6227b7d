/**
 * What a Parquet file says of itself, held against what it holds, before hyparquet believes it: page sizes within their column, counts of values
 * that the row group has room for, runs no longer than their page. A damaged count otherwise becomes a loop of billions of steps, or one without end.
 *
 * Headers are walked before a row group is read (`checkColumnChunk`); what is packed is looked at as it is unpacked (`PageChecks.unpacked`).
 * Source: parquet-format's thrift definitions; "Data Pages" and "Encodings" of its documentation.
 */
import type { ColumnMetaData, SchemaTree } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { getMaxDefinitionLevel, getMaxRepetitionLevel } from 'hyparquet/src/schema.js';
import type { ByteSource } from '../../tensor/source.ts';

/** A page of one repeated value is a few bytes for any count; writers make pages of 20,000 values, or of a megabyte. */
const PAGE_VALUES = 1 << 22;
const VALUES_PER_BYTE = 8;
/** Bit-packed values come in eights: the last group may be padded. */
const PADDING = 8;

interface Page {
  readonly values: number;
  readonly encoding: string | undefined;
  /** Largest levels; in a page of the second kind they stand before the packed part and are checked by themselves. */
  readonly levels: readonly number[];
  readonly isBoolean: boolean;
}

/** Pages by where their packed bytes begin in the file. */
export class PageChecks {
  private readonly pages = new Map<number, Page>();

  /** Throws Error with what is wrong. Reads the chunk's page headers, and the levels that are not packed. */
  checkColumnChunk(source: ByteSource, meta: ColumnMetaData, schemaPath: SchemaTree[], groupRows: number): void {
    const name = meta.path_in_schema.join('.');
    const fail = (what: string): never => {
      throw new Error(`column ${name}: ${what}`);
    };
    const start = Number(meta.dictionary_page_offset || meta.data_page_offset);
    const length = Number(meta.total_compressed_size);
    if (!(start >= 0 && length >= 0 && start + length <= source.byteLength))
      fail(`bytes ${start} to ${start + length} of a file of ${source.byteLength}`);
    const bytes = new Uint8Array(length);
    source.readInto(bytes, start);
    const reader = { view: new DataView(bytes.buffer), offset: 0 };
    const repetition = getMaxRepetitionLevel(schemaPath);
    const levels = [schemaPath.length > 1 ? repetition : 0, getMaxDefinitionLevel(schemaPath)].filter(
      (most) => most > 0,
    );
    const isBoolean = meta.type === 'BOOLEAN';
    let values = 0;
    while (reader.offset < length - 1) {
      const header = parquetHeader(reader);
      const { compressed_page_size: packed, uncompressed_page_size: unpacked } = header;
      if (!isCount(packed) || !isCount(unpacked) || packed > length - reader.offset)
        fail(`a page of ${packed} bytes, ${unpacked} unpacked, where ${length - reader.offset} are left`);
      const { data_page_header: first, data_page_header_v2: second, dictionary_page_header: dictionary } = header;
      const count = (first ?? second ?? dictionary)?.num_values;
      if (!isCount(count) || count > Math.max(PAGE_VALUES, unpacked * VALUES_PER_BYTE))
        fail(`a page of ${unpacked} bytes says that it holds ${count} values`);
      const page = { values: count!, encoding: first?.encoding, levels, isBoolean };
      if (dictionary) this.pages.set(start + reader.offset, { ...page, levels: [], encoding: 'PLAIN' });
      else {
        values += count!;
        if (second)
          this.checkSecond(bytes, reader.offset, start, { ...page, encoding: second.encoding }, second, packed);
        else if (meta.codec === 'UNCOMPRESSED') checkPage(bytes.subarray(reader.offset, reader.offset + packed), page);
        else this.pages.set(start + reader.offset, page);
      }
      reader.offset += packed;
    }
    if (values !== Number(meta.num_values)) fail(`${values} values in its pages, ${meta.num_values} in the footer`);
    if (repetition === 0 && values !== groupRows) fail(`${values} values for ${groupRows} rows`);
  }

  /** What a page's bytes at this place of the file became. Throws Error for runs that are longer than the page. */
  unpacked(fileOffset: number, bytes: Uint8Array): void {
    const page = this.pages.get(fileOffset);
    if (page) checkPage(bytes, page);
  }

  private checkSecond(
    bytes: Uint8Array,
    at: number,
    start: number,
    page: Page,
    header: {
      num_nulls: number;
      definition_levels_byte_length: number;
      repetition_levels_byte_length: number;
      is_compressed?: boolean;
    },
    packed: number,
  ): void {
    const { definition_levels_byte_length: definitions, repetition_levels_byte_length: repetitions } = header;
    if (
      !isCount(definitions) ||
      !isCount(repetitions) ||
      definitions + repetitions > packed ||
      !isCount(header.num_nulls)
    )
      throw new Error(
        `levels of ${repetitions ?? 'unknown'} and ${definitions ?? 'unknown'} bytes in a page of ${packed}`,
      );
    let from = at;
    const lengths = page.levels.length === 2 ? [repetitions, definitions] : [repetitions + definitions];
    for (const [i, most] of page.levels.entries()) {
      if (lengths[i]! > 0) checkRuns(bytes.subarray(from, from + lengths[i]!), bitsOf(most), page.values);
      from += lengths[i]!;
    }
    const rest = { ...page, values: page.values - header.num_nulls, levels: [] };
    const valuesAt = at + repetitions + definitions;
    if (header.is_compressed === false) checkPage(bytes.subarray(valuesAt, at + packed), rest);
    else this.pages.set(start + valuesAt, rest);
  }
}

/** Levels with their lengths before them, then the values. */
function checkPage(bytes: Uint8Array, { values, encoding, levels, isBoolean }: Page): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  for (const most of levels) {
    const length = view.getUint32(at, true);
    if (length > bytes.length - at - 4) throw new Error(`levels of ${length} bytes in a page of ${bytes.length}`);
    checkRuns(bytes.subarray(at + 4, at + 4 + length), bitsOf(most), values);
    at += 4 + length;
  }
  if (at >= bytes.length) return;
  if (encoding === 'RLE' && isBoolean) checkRuns(bytes.subarray(at + 4), 1, values);
  else if (encoding === 'RLE_DICTIONARY' || encoding === 'PLAIN_DICTIONARY') {
    const width = bytes[at]!;
    if (width > 32) throw new Error(`indices of ${width} bits`);
    if (width > 0) checkRuns(bytes.subarray(at + 1), width, values);
  }
}

/** The run-length and bit-packed hybrid: no run may give more than the `values` that the page has. */
function checkRuns(bytes: Uint8Array, width: number, values: number): void {
  let at = 0;
  for (let seen = 0; seen < values && at < bytes.length; ) {
    let header = 0;
    let shift = 1;
    for (; at < bytes.length; shift *= 128) {
      const byte = bytes[at++]!;
      header += (byte & 127) * shift;
      if (byte < 128 || shift > 2 ** 35) break;
    }
    const isPacked = header % 2 === 1;
    const count = Math.floor(header / 2) * (isPacked ? 8 : 1);
    if (count > values - seen + (isPacked ? PADDING + values : 0))
      throw new Error(`a run of ${count} values where ${values - seen} are left`);
    at += isPacked ? (count / 8) * width : Math.ceil(width / 8);
    seen += count;
  }
}

function bitsOf(most: number): number {
  return Math.ceil(Math.log2(most + 1));
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
