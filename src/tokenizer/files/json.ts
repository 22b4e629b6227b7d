/** Walking untrusted JSON: every step says where it stands and what it expected. */
import { badTokenizer, show } from '../vocabulary.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export function parseJson(file: string, text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw badTokenizer(file, 'JSON', `expected JSON, found text that does not parse (${(error as Error).message})`);
  }
}

/** A value inside a JSON file and the path to it. */
export class JsonNode {
  readonly file: string;
  readonly path: string;
  readonly value: Json | undefined;

  constructor(file: string, value: Json | undefined, path = '') {
    this.file = file;
    this.value = value;
    this.path = path;
  }

  get isMissing(): boolean {
    return this.value === undefined || this.value === null;
  }

  /** The member `key`; missing where this is no object. */
  at(key: string): JsonNode {
    const { value } = this;
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    const inner = isObject && Object.hasOwn(value, key) ? (value as { [key: string]: Json })[key] : undefined;
    return new JsonNode(this.file, inner, this.path === '' ? key : `${this.path}.${key}`);
  }

  items(): JsonNode[] {
    const { value } = this;
    if (!Array.isArray(value)) throw this.expected('a list');
    return value.map((inner: Json, i) => new JsonNode(this.file, inner, `${this.path}[${i}]`));
  }

  entries(): [string, Json][] {
    const { value } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.expected('an object');
    return Object.entries(value as { [key: string]: Json });
  }

  text(missing?: string): string {
    if (this.isMissing && missing !== undefined) return missing;
    if (typeof this.value === 'string') return this.value;
    throw this.expected('a string');
  }

  flag(missing: boolean): boolean {
    if (this.isMissing) return missing;
    if (typeof this.value === 'boolean') return this.value;
    throw this.expected('true or false');
  }

  count(): number {
    if (typeof this.value === 'number' && Number.isInteger(this.value) && this.value >= 0) return this.value;
    throw this.expected('a whole number');
  }

  /** A FormatError: expected `what` here, found what is here. */
  expected(what: string, advice?: string): Error {
    const found = this.value === undefined ? 'nothing' : show(JSON.stringify(this.value)?.slice(0, 60) ?? '');
    return badTokenizer(
      this.file,
      this.path === '' ? 'the whole' : this.path,
      `expected ${what}, found ${found}`,
      advice,
    );
  }
}
