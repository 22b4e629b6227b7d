// Source maps of lines: of each line's many segments the first is kept. A stack trace needs no more, and the maps shrink to a seventh.
// They name a source, cria:///src/base/errors.ts, and do not hold its text: tools warn of paths that lead out of a package, not of URLs.
// Source: ECMA-426, source map format.
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** `source`: the path of the source from the root of the repository. */
export function linesOnly(text, source) {
  const map = JSON.parse(text);
  const read = [0, 0, 0]; // source, line and column so far, as each segment says the difference to the one before
  const written = [0, 0, 0];
  const lines = map.mappings.split(';').map((line) => {
    let first = null;
    for (const segment of line === '' ? [] : line.split(',')) {
      const [, ...place] = decode(segment);
      for (let i = 0; i < 3 && i < place.length; i++) read[i] += place[i];
      first ??= place.length > 0 ? [...read] : null;
    }
    if (first === null) return '';
    const differences = first.map((value, i) => value - written[i]);
    first.forEach((value, i) => {
      written[i] = value;
    });
    return encode([0, ...differences]);
  });
  return JSON.stringify({ ...map, sources: [`cria:///${source}`], names: [], mappings: lines.join(';') });
}

function decode(segment) {
  const values = [];
  let value = 0;
  let shift = 0;
  for (const letter of segment) {
    const digit = DIGITS.indexOf(letter);
    value |= (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    values.push(value & 1 ? -(value >> 1) : value >> 1);
    value = shift = 0;
  }
  return values;
}

function encode(values) {
  let text = '';
  for (const value of values) {
    let rest = value < 0 ? (-value << 1) | 1 : value << 1;
    do {
      const digit = rest & 31;
      rest >>= 5;
      text += DIGITS[rest > 0 ? digit | 32 : digit];
    } while (rest > 0);
  }
  return text;
}
