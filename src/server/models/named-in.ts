/** Which model a request's body names, without parsing the body: that is done, with limits, by the workers of that model. */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Longer values are no model's name. */
const LONGEST = 2048;
/** Texts between two pauses: some milliseconds. */
const STRINGS_AT_ONCE = 10_000;
/** Letters that one letter may be written with, as in \u006d. */
const LONGEST_LETTER = 6;

/**
 * The first text among the object's own members that has one of these keys; null where there is none, or where the body is not such an
 * object. An earlier key of the list wins. Cost: one pass over the bytes, which ends at the first of the keys; `pause` is waited for
 * now and then, as a stranger's body may hold millions of texts and others are to be answered meanwhile.
 */
export async function memberNamed(
  body: Uint8Array,
  keys: readonly string[],
  pause: () => Promise<void>,
): Promise<string | null> {
  const found = new Map<string, string>();
  for await (const [key, value] of scalarsOf(body, keys, pause)) {
    if (typeof value === 'boolean') continue;
    if (key === keys[0]) return value;
    found.set(key, value);
  }
  return keys.map((one) => found.get(one)).find((text) => text !== undefined) ?? null;
}

/** Whether the object's own member of this key is `true`. Cost: one pass over the bytes. */
export async function memberIsTrue(body: Uint8Array, key: string, pause: () => Promise<void>): Promise<boolean> {
  let isTrue = false;
  for await (const [, value] of scalarsOf(body, [key], pause)) isTrue = value === true;
  return isTrue;
}

/** Of the object's own members with these keys those that are texts, true or false. */
async function* scalarsOf(
  body: Uint8Array,
  keys: readonly string[],
  pause: () => Promise<void>,
): AsyncGenerator<readonly [key: string, value: string | boolean], void> {
  const longestKey = 1 + LONGEST_LETTER * Math.max(...keys.map(({ length }) => length));
  let strings = 0;
  let depth = 0;
  let key: string | null = null;
  let isKey = false;
  for (let i = 0; i < body.length; i++) {
    switch (body[i]) {
      case 0x7b: // {
        isKey = ++depth === 1;
        key = null;
        break;
      case 0x5b: // [
        if (depth++ === 0) return;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        depth--;
        break;
      case 0x2c: // ,
        if (depth === 1) {
          isKey = true;
          key = null;
        }
        break;
      case 0x74: // true
      case 0x66: // false
        if (depth === 1 && !isKey && key !== null) yield [key, body[i] === 0x74];
        key = null;
        break;
      case QUOTE: {
        if (++strings % STRINGS_AT_ONCE === 0) await pause();
        const end = endOfString(body, i);
        if (end < 0) return;
        if (depth === 1) {
          if (isKey) key = end - i <= longestKey ? oneOf(keys, body.subarray(i, end + 1)) : null;
          else if (key !== null && end - i < LONGEST) {
            const text = textOf(body.subarray(i, end + 1));
            if (text !== null) yield [key, text];
          }
          isKey = false;
        }
        i = end;
        break;
      }
    }
  }
}

/** Of the keys the one that stands here, with its quotes; null: another. A body may have a million of those. */
function oneOf(keys: readonly string[], quoted: Uint8Array): string | null {
  if (quoted.includes(BACKSLASH)) {
    const text = textOf(quoted);
    return text !== null && keys.includes(text) ? text : null;
  }
  const isIt = (key: string) =>
    key.length === quoted.length - 2 &&
    Array.prototype.every.call(key, (letter: string, i) => letter.charCodeAt(0) === quoted[i + 1]);
  return keys.find(isIt) ?? null;
}

/** Where the string that begins at `start` has its closing quote; -1: nowhere. */
function endOfString(body: Uint8Array, start: number): number {
  for (let end = body.indexOf(QUOTE, start + 1); end >= 0; end = body.indexOf(QUOTE, end + 1)) {
    let before = end - 1;
    while (body[before] === BACKSLASH) before--;
    if ((end - before) % 2 === 1) return end;
  }
  return -1;
}

function textOf(bytes: Uint8Array): string | null {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as string;
  } catch {
    return null;
  }
}
