/** A JSON Schema as a document: its size is bounded, its references are found, and what is wrong with it or not held is collected. */

import { ArgumentError } from '../../../base/errors.ts';
import { counted } from '../../../base/units.ts';
import { Budget, type Term, Terms } from '../regex/terms.ts';
import { isSchema, type JsonSchema } from './json-schema.ts';

/** A schema and where it stands, as a JSON pointer: `#/properties/name`. */
export interface Located {
  readonly schema: JsonSchema;
  readonly pointer: string;
}

/** All of these hold together; none: anything. */
export type Conjunction = readonly Located[];

const MAX_NODES = 200_000;
const MAX_DEPTH = 200;
const MAX_PROBLEMS = 50;
/** Letters of a place, or of what is said of it. */
const LONGEST_SAID = 300;
/**
 * Steps of one compilation: keywords gathered, values compared, states of patterns and of the grammar. Where what cannot be held is let
 * go, less is tried for it: so many steps are at most a tenth of a second.
 */
const MAX_STEPS = { exact: 600_000, loose: 200_000 } as const;
/** Values of these are no schemas, whatever they look like. */
const values = new Set(['enum', 'const', 'default', 'example', 'examples']);
/** Where a document without an address stands. */
const NOWHERE = 'cria:/';

export class SchemaDocument {
  readonly root: Located;
  readonly budget: Budget;
  readonly terms: Terms;
  /** Patterns that were compiled already; null: they cannot be held. */
  readonly patterns = new Map<string, Term | null>();
  /** Objects that do not say what else they may hold hold nothing else. */
  readonly isStrict: boolean;
  /** What cannot be held is refused; otherwise it is let go, and said. */
  private readonly isExact: boolean;
  private readonly problems = new Set<string>();
  private readonly unheldParts = new Set<string>();
  private readonly remarks = new Set<string>();
  /** Schemas by address, and by address with an anchor. */
  private readonly resources = new Map<string, Located>();
  private readonly bases = new Map<string, string>();
  private muted = 0;

  /** Throws ArgumentError `schema.invalid` where it is no schema at all. */
  constructor(schema: unknown, isStrict: boolean, isExact = isStrict) {
    this.isStrict = isStrict;
    this.isExact = isExact;
    this.budget = new Budget(isExact ? MAX_STEPS.exact : MAX_STEPS.loose);
    this.terms = new Terms(this.budget);
    if (!isSchema(schema)) {
      throw new ArgumentError(
        'schema.invalid',
        `json schema: expected an object, true or false, found ${Array.isArray(schema) ? 'an array' : schema === null ? 'null' : typeof schema}. Give { "type": … }.`,
      );
    }
    this.root = { schema, pointer: '#' };
    this.bases.set('#', NOWHERE);
    this.budget.spend(this.walk(schema));
  }

  /** With a stack of our own, children after their parents. How many parts there are. */
  private walk(schema: JsonSchema): number {
    const stack: [value: unknown, pointer: string, base: string, depth: number][] = [[schema, '#', NOWHERE, 0]];
    let nodes = 0;
    this.resources.set(NOWHERE, this.root);
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      const [value, pointer, outer, depth] = top;
      if (typeof value !== 'object' || value === null) continue;
      if (++nodes > MAX_NODES || depth > MAX_DEPTH) {
        const what = nodes > MAX_NODES ? `${MAX_NODES} parts` : `${MAX_DEPTH} levels`;
        throw new ArgumentError('schema.too-large', `json schema: expected at most ${what}, found more. Split it up.`);
      }
      const base = Array.isArray(value) ? outer : this.register(value as Record<string, unknown>, pointer, outer);
      for (const [key, inner] of Object.entries(value)) {
        if (typeof inner !== 'object' || inner === null || values.has(key)) continue;
        stack.push([inner, `${pointer}/${escapePointer(key)}`, base, depth + 1]);
      }
    }
    return nodes;
  }

  private register(value: Record<string, unknown>, pointer: string, outer: string): string {
    const { $id, id, $anchor, $dynamicAnchor } = value;
    const located = { schema: value, pointer };
    const name = typeof $id === 'string' ? $id : typeof id === 'string' ? id : null;
    let base = outer;
    const address = name === null ? null : absolute(name, outer);
    if (address?.fragment === '') {
      base = address.document;
      this.bases.set(pointer, base);
      if (!this.resources.has(base)) this.resources.set(base, located);
    } else if (address) this.resources.set(`${address.document}#${address.fragment}`, located); // an anchor, before 2019
    for (const anchor of [$anchor, $dynamicAnchor]) {
      if (typeof anchor === 'string') this.resources.set(`${base}#${anchor}`, located);
    }
    return base;
  }

  /** What is no schema, or asks for what cannot be. */
  problem(pointer: string, text: string): void {
    if (this.muted === 0 && this.problems.size < MAX_PROBLEMS) this.problems.add(sentence(pointer, text));
  }

  /** What cannot be held. */
  unheld(pointer: string, text: string): void {
    if (this.isExact) this.problem(pointer, text);
    else if (this.muted === 0 && this.unheldParts.size < MAX_PROBLEMS) this.unheldParts.add(sentence(pointer, text));
  }

  /** What was read and changes nothing. */
  note(pointer: string, text: string): void {
    if (this.muted === 0 && this.remarks.size < MAX_PROBLEMS) this.remarks.add(sentence(pointer, text));
  }

  get notes(): readonly string[] {
    return [...this.unheldParts, ...this.remarks];
  }

  /** Looks at a part without saying what is wrong with it. */
  quietly<Value>(look: () => Value): Value {
    this.muted++;
    try {
      return look();
    } finally {
      this.muted--;
    }
  }

  /** Runs what may take too long; if it does, the rest of its share is lost and `make` is undefined. */
  guarded<Value>(pointer: string, make: () => Value, share = 0.8): Value | undefined {
    try {
      return this.budget.share(share, make);
    } catch (error) {
      if (!(error instanceof ArgumentError && error.code === 'grammar.too-large')) throw error;
      this.unheld(pointer, error.message.replace(/^grammar: /, 'is not held: '));
      return undefined;
    }
  }

  /** Throws ArgumentError `schema.unsupported` with everything that was found wrong. */
  check(): void {
    const problems = [...this.problems];
    if (problems.length === 0) return;
    const count = counted(problems.length, 'problem');
    throw new ArgumentError(
      'schema.unsupported',
      `json schema: ${count}\n${problems.map((text) => `  - ${text}`).join('\n')}`,
    );
  }

  /** What a reference names; null where it is nothing here. */
  resolve(reference: unknown, pointer: string): Located | null {
    if (typeof reference !== 'string') {
      this.problem(pointer, `expected a reference, found ${JSON.stringify(reference)}`);
      return null;
    }
    const found = this.locate(reference, pointer);
    if (!found) {
      const shown = JSON.stringify(reference);
      if (reference.startsWith('#'))
        this.problem(pointer, `expected a part of this schema, found ${shown}, which is none`);
      else this.unheld(pointer, `${shown} is another document, which is not here`);
    }
    return found;
  }

  private locate(reference: string, pointer: string): Located | null {
    const address = absolute(reference, this.baseOf(pointer));
    if (address === null) return null;
    const { document, fragment } = address;
    const resource = this.resources.get(document) ?? (reference.startsWith('#') ? this.root : undefined);
    if (fragment !== '' && !fragment.startsWith('/')) return this.resources.get(`${document}#${fragment}`) ?? null;
    return resource ? this.find(resource, fragment) : null;
  }

  private baseOf(pointer: string): string {
    if (this.bases.size === 1) return this.bases.get('#')!;
    for (let at = pointer; ; at = at.slice(0, at.lastIndexOf('/'))) {
      const base = this.bases.get(at);
      if (base !== undefined) return base;
      if (!at.includes('/')) return NOWHERE;
    }
  }

  private find({ schema, pointer }: Located, path: string): Located | null {
    let at: unknown = schema;
    for (const part of path.split('/').slice(1)) {
      const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
      if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return null;
      at = (at as Record<string, unknown>)[key];
    }
    return isSchema(at) ? { schema: at, pointer: pointer + path } : null;
  }
}

/** What is said of a place. A stranger's name or value in it may be as long as a request. */
function sentence(pointer: string, text: string): string {
  return `${clipped(pointer)}: ${clipped(text)}`;
}

function clipped(text: string): string {
  return text.length <= LONGEST_SAID ? text : `${text.slice(0, LONGEST_SAID)}…`;
}

/** An address as a document and a part of it. */
function absolute(reference: string, base: string): { readonly document: string; readonly fragment: string } | null {
  const hash = reference.indexOf('#');
  const fragment = hash < 0 ? '' : decode(reference.slice(hash + 1));
  const address = hash < 0 ? reference : reference.slice(0, hash);
  if (address === '') return { document: base, fragment };
  try {
    return { document: new URL(address, base).href, fragment };
  } catch {
    return null;
  }
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
