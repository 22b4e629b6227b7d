import { FormatError } from '../../base/errors.ts';

/** Largest record, in UTF-16 units. */
const MOST_UNITS = 1 << 28;

/**
 * The records of comma- or tab-separated text, each a list of fields, in bounded memory. Fields in double quotes may hold separators,
 * line ends and, doubled, quotes. Empty lines are no records.
 * Source   RFC 4180. Throws FormatError `csv.…` for a quote that never ends.
 */
export async function* readRecords(
  chunks: AsyncIterable<string>,
  separator: ',' | '\t',
  file: string,
): AsyncGenerator<readonly string[]> {
  const fail = (problem: string): never => {
    const advice = 'A quote within a quoted field is written twice.';
    throw new FormatError({ code: 'csv.record', file, where: `record ${count + 1}` }, problem, advice);
  };
  const divides = separator.charCodeAt(0);
  let count = 0;
  let fields: string[] = [];
  let field = '';
  let units = 0;
  let state: 'start' | 'plain' | 'quoted' | 'after quote' = 'start';
  for await (const text of chunks) {
    /** Where the part of the field that is not in `field` yet begins. */
    let from = 0;
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (state === 'quoted') {
        if (unit !== QUOTE) continue;
        field += text.slice(from, at);
        from = at + 1;
        state = 'after quote';
        continue;
      }
      if (unit === QUOTE && state !== 'plain') {
        if (state === 'after quote') field += '"';
        state = 'quoted';
        from = at + 1;
      } else if (unit === divides || unit === NEW_LINE) {
        field += text.slice(from, at);
        from = at + 1;
        if (unit === NEW_LINE && field.endsWith('\r')) field = field.slice(0, -1);
        fields.push(field);
        units += field.length;
        field = '';
        state = 'start';
        if (unit !== NEW_LINE) continue;
        if (fields.length > 1 || fields[0] !== '') yield fields;
        [fields, units, count] = [[], 0, count + 1];
      } else if (state === 'start') state = 'plain';
    }
    field += text.slice(from);
    if (units + field.length > MOST_UNITS) fail(`one record is longer than ${MOST_UNITS} characters`);
  }
  if (state === 'quoted') fail('the file ends within a quoted field');
  if (field === '' && fields.length === 0) return;
  yield [...fields, field.endsWith('\r') ? field.slice(0, -1) : field];
}

const QUOTE = 0x22;
const NEW_LINE = 0x0a;
