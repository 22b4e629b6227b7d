import { FormatError } from '../../base/errors.ts';

/** Largest single value, in UTF-16 units. */
const MOST_UNITS = 1 << 28;

/**
 * The values of a JSON file one at a time, in bounded memory: the elements of a list, or values one after another, as JSON lines are.
 * Each comes as its text, not yet parsed. Throws FormatError `json.…` where the file is neither, or ends within a value.
 */
export async function* splitJsonValues(chunks: AsyncIterable<string>, file: string): AsyncGenerator<string> {
  const fail = (where: string, problem: string): never => {
    const advice = 'Expected a list of values, or one value per line. Is the file whole?';
    throw new FormatError({ code: 'json.values', file, where }, problem, advice);
  };
  let isList: boolean | null = null;
  let isClosed = false;
  let count = 0;
  let depth = 0;
  let isText = false;
  let isEscaped = false;
  /** Where the value that is open begins in `text`; −1: none is. */
  let begin = -1;
  let text = '';
  const place = () => `value ${count + 1}`;
  for await (const chunk of chunks) {
    let at = text.length;
    text += chunk;
    for (; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (isText) {
        if (isEscaped) isEscaped = false;
        else if (unit === BACKSLASH) isEscaped = true;
        else if (unit === QUOTE) isText = false;
        if (isText || depth > 0) continue;
        yield text.slice(begin, at + 1); // a bare text
        [begin, count] = [-1, count + 1];
        continue;
      }
      const isSpace = unit === 0x20 || (unit >= 9 && unit <= 13);
      const closes = unit === CLOSE_LIST || unit === CLOSE_OBJECT;
      if (begin < 0) {
        if (isSpace || (isList && unit === COMMA)) continue;
        if (isClosed) fail(place(), 'more text follows the end of the list');
        if (isList === null) {
          isList = unit === OPEN_LIST;
          if (isList) continue;
        }
        if (isList && unit === CLOSE_LIST) {
          isClosed = true;
          continue;
        }
        begin = at;
      }
      if (unit === QUOTE) isText = true;
      else if (unit === OPEN_LIST || unit === OPEN_OBJECT) depth++;
      else if (closes && depth > 0) {
        if (--depth > 0) continue;
        yield text.slice(begin, at + 1);
        [begin, count] = [-1, count + 1];
      } else if (depth === 0 && (isSpace || unit === COMMA || closes)) {
        yield text.slice(begin, at); // a number, true, false or null
        [begin, count] = [-1, count + 1];
        if (unit === CLOSE_LIST) isClosed = true;
      }
    }
    if (begin < 0) text = '';
    else if (begin > 0) [text, begin] = [text.slice(begin), 0];
    if (text.length > MOST_UNITS) fail(place(), `one value is longer than ${MOST_UNITS} characters`);
  }
  if (begin >= 0 && depth === 0 && !isText && !isList) yield text.slice(begin);
  else if (begin >= 0 || (isList && !isClosed)) fail(place(), 'the file ends before it is closed');
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
