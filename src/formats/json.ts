/** JSON of files that others wrote: parsed with the place of the fault named, and no key given twice. */
import { FormatError } from '../base/errors.ts';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object that a JSON text holds. Throws FormatError json.syntax | json.duplicate-key | json.not-an-object. */
export function parseJsonObject(file: string, text: string, where = 'its JSON'): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (error) {
    throw new FormatError(
      { code: 'json.syntax', file, where },
      `expected JSON, found a syntax error: ${(error as Error).message.slice(0, 200)}`,
      'The file is damaged, cut short or is no JSON.',
    );
  }
  if (!isObject(value)) {
    const found = Array.isArray(value) ? 'an array' : value === null ? 'null' : `a ${typeof value}`;
    throw new FormatError(
      { code: 'json.not-an-object', file, where },
      `expected a JSON object, found ${found}`,
      'Is this the right file?',
    );
  }
  const twice = duplicateKey(text);
  if (twice !== null) {
    throw new FormatError(
      { code: 'json.duplicate-key', file, where },
      `expected each key once, found ${show(twice)} twice in one object`,
      'Readers differ in which one they take, so neither is taken; write the file again.',
    );
  }
  return value;
}

/** A value for an error message: JSON, cut to a readable length. */
export function show(value: unknown): string {
  const plain = ArrayBuffer.isView(value)
    ? Array.from(value as Uint8Array | BigInt64Array, Number).slice(0, 40)
    : value;
  const text = typeof plain === 'bigint' ? String(plain) : (JSON.stringify(plain) ?? String(plain));
  return text.length <= 120 ? text : `${text.slice(0, 117)}…`;
}

/** The first key that an object of this valid JSON text holds twice, or null. JSON.parse would keep the last one silently. */
export function duplicateKey(text: string): string | null {
  const open: (Set<string> | null)[] = []; // null: an array
  let expectKey = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '{') {
      open.push(new Set());
      expectKey = true;
    } else if (c === '[') {
      open.push(null);
      expectKey = false;
    } else if (c === '}' || c === ']') {
      open.pop();
      expectKey = false;
    } else if (c === ',') {
      expectKey = open.at(-1) instanceof Set;
    } else if (c === '"') {
      const start = i++;
      while (text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
      const keys = open.at(-1);
      if (expectKey && keys) {
        const key = JSON.parse(text.slice(start, i + 1)) as string;
        if (keys.has(key)) return key;
        keys.add(key);
      }
      expectKey = false;
    }
  }
  return null;
}
