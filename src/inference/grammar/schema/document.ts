/** A JSON Schema as a document: its size is bounded, its references are found, and what is wrong with it is collected. */
import { ArgumentError } from '../../../base/errors.ts';
import type { Expression } from '../expression.ts';

export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

/** A schema and where it stands, as a JSON pointer: `#/properties/name`. */
export interface Located {
  readonly schema: JsonSchema;
  readonly pointer: string;
}

/** All of these hold together; none: anything. */
export type Conjunction = readonly Located[];

const MAX_NODES = 100_000;
const MAX_DEPTH = 200;
const MAX_PROBLEMS = 50;
/** Keywords gathered and values compared, alternatives of alternatives counted each. */
const MAX_WORK = 30_000;

export class SchemaDocument {
  readonly root: Located;
  private readonly problems = new Set<string>();
  private readonly anchors = new Map<string, Located>();
  private work = 0;
  /** Patterns that were compiled already. */
  readonly patterns = new Map<string, Expression>();

  /** Throws ArgumentError `schema.invalid` where it is no schema at all. */
  constructor(schema: unknown) {
    if (!isSchema(schema)) {
      throw new ArgumentError(
        'schema.invalid',
        `json schema: expected an object, true or false, found ${Array.isArray(schema) ? 'an array' : schema === null ? 'null' : typeof schema}. Give { "type": … }.`,
      );
    }
    this.root = { schema, pointer: '#' };
    let nodes = 0;
    const walk = (value: unknown, pointer: string, depth: number): void => {
      if (typeof value !== 'object' || value === null) return;
      if (++nodes > MAX_NODES || depth > MAX_DEPTH) {
        const what = nodes > MAX_NODES ? `${MAX_NODES} parts` : `${MAX_DEPTH} levels`;
        throw new ArgumentError('schema.too-large', `json schema: expected at most ${what}, found more. Split it up.`);
      }
      const anchor = (value as { $anchor?: unknown }).$anchor;
      if (typeof anchor === 'string') this.anchors.set(anchor, { schema: value as JsonSchema, pointer });
      for (const [key, inner] of Object.entries(value)) walk(inner, `${pointer}/${escapePointer(key)}`, depth + 1);
    };
    walk(schema, '#', 0);
  }

  problem(pointer: string, text: string): void {
    if (this.problems.size < MAX_PROBLEMS) this.problems.add(`${pointer}: ${text}`);
  }

  /** Throws ArgumentError `schema.too-large` when a schema turns out to be more than its text. */
  spend(amount: number): void {
    if ((this.work += amount) <= MAX_WORK) return;
    throw new ArgumentError(
      'schema.too-large',
      `json schema: its alternatives multiply to more than ${MAX_WORK} parts, expected fewer. Use anyOf without siblings, and fewer in each other.`,
    );
  }

  /** Throws ArgumentError `schema.unsupported` with everything that was found wrong. */
  check(): void {
    const problems = [...this.problems];
    if (problems.length === 0) return;
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
    throw new ArgumentError(
      'schema.unsupported',
      `json schema: ${count}\n${problems.map((text) => `  - ${text}`).join('\n')}`,
    );
  }

  /** What a $ref names; null, with a problem, where it is nothing here. */
  resolve(reference: unknown, pointer: string): Located | null {
    const { schema } = this.root;
    const base = typeof schema === 'object' && typeof schema.$id === 'string' ? schema.$id.replace(/#$/, '') : '';
    let local = typeof reference === 'string' ? reference : '';
    if (base !== '' && local.startsWith(base)) local = local.slice(base.length) || '#';
    const found = local.startsWith('#') ? this.find(decode(local.slice(1))) : null;
    if (!found) {
      const shown = JSON.stringify(reference);
      this.problem(`${pointer}/$ref`, `expected a reference to a part of this schema, found ${shown}, which is none`);
    }
    return found;
  }

  private find(path: string): Located | null {
    if (path === '') return this.root;
    if (!path.startsWith('/')) return this.anchors.get(path) ?? null;
    let at: unknown = this.root.schema;
    for (const part of path.slice(1).split('/')) {
      const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
      if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return null;
      at = (at as Record<string, unknown>)[key];
    }
    return isSchema(at) ? { schema: at, pointer: `#${path}` } : null;
  }
}

/** A schema from its text, or from an object as a program has it. Throws ArgumentError `schema.invalid`. */
export function parseSchema(schema: JsonSchema | string): JsonSchema {
  try {
    return JSON.parse(typeof schema === 'string' ? schema : JSON.stringify(schema)) as JsonSchema;
  } catch (cause) {
    throw new ArgumentError(
      'schema.invalid',
      `json schema: expected JSON, found what is none: ${(cause as Error).message}.`,
      { cause },
    );
  }
}

export function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'boolean' || (typeof value === 'object' && value !== null && !Array.isArray(value));
}

export function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
