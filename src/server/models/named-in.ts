/** Which model a request's body names, without parsing the body: that is done, with limits, by the workers of that model. */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Longer keys are none that is looked for, and longer values no model's name. */
const LONGEST = 2048;

/**
 * The first text among the object's own members that has one of these keys; null where there is none, or where the body is not such an
 * object. An earlier key of the list wins. Cost: one pass over the bytes, which ends at the first of the keys.
 */
export function memberNamed(body: Uint8Array, keys: readonly string[]): string | null {
  const found = new Map<string, string>();
  for (const [key, value] of scalarsOf(body)) {
    if (typeof value === 'boolean' || !keys.includes(key)) continue;
    if (key === keys[0]) return value;
    found.set(key, value);
  }
  return keys.map((one) => found.get(one)).find((text) => text !== undefined) ?? null;
}

/** Whether the object's own member of this key is `true`. */
export function memberIsTrue(body: Uint8Array, key: string): boolean {
  let isTrue = false;
  for (const [name, value] of scalarsOf(body)) if (name === key) isTrue = value === true;
  return isTrue;
}

/** The object's own members that are texts, true or false. */
function* scalarsOf(body: Uint8Array): Generator<readonly [key: string, value: string | boolean], void> {
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
        const end = endOfString(body, i);
        if (end < 0) return;
        if (depth === 1) {
          const text = end - i < LONGEST ? textOf(body.subarray(i, end + 1)) : null;
          if (isKey) key = text;
          else if (text !== null && key !== null) yield [key, text];
          isKey = false;
        }
        i = end;
        break;
      }
    }
  }
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
