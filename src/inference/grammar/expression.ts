/** What a grammar says, as a tree: the GBNF parser and the schema compiler make it, the network is built from it. */
import { type CharacterSet, characterSet } from './characters.ts';

export type Expression =
  /** These bytes. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** One byte of a range. */
  | { readonly kind: 'byte'; readonly from: number; readonly to: number }
  /** One character, as UTF-8. */
  | { readonly kind: 'characters'; readonly set: CharacterSet }
  /** One token of the vocabulary, or any one but that. */
  | { readonly kind: 'token'; readonly token: TokenName; readonly negated: boolean }
  | { readonly kind: 'sequence'; readonly parts: readonly Expression[] }
  /** One of these; without options nothing at all, not even the empty text. */
  | { readonly kind: 'choice'; readonly options: readonly Expression[] }
  /** `max` null: without end. */
  | { readonly kind: 'repeat'; readonly of: Expression; readonly min: number; readonly max: number | null }
  | { readonly kind: 'rule'; readonly name: string }
  /** States with edges between them, where a tree would repeat itself. State 0 is where it begins. */
  | {
      readonly kind: 'graph';
      readonly stateCount: number;
      readonly finals: readonly number[];
      /** Without a label the edge costs nothing. */
      readonly edges: readonly GraphEdge[];
    };

export interface GraphEdge {
  readonly from: number;
  readonly to: number;
  readonly label: Expression | null;
}

/** A token by its id, or by its text, brackets included: `<think>`. */
export type TokenName = number | string;

export interface Grammar {
  /** By name; insertion order is the order of the text. */
  readonly rules: ReadonlyMap<string, Expression>;
  /** The rule that a whole text is. */
  readonly root: string;
  /** What was asked for and is not held, one sentence each. */
  readonly notes?: readonly string[];
}

const utf8 = new TextEncoder();
/** What JSON is full of: one expression each. */
const punctuation = new Map(
  [...'"{}[],:'].map((sign): [string, Expression] => [sign, { kind: 'bytes', bytes: utf8.encode(sign) }]),
);

export const nothing: Expression = { kind: 'sequence', parts: [] };
export const impossible: Expression = { kind: 'choice', options: [] };

export function text(value: string): Expression {
  const known = punctuation.get(value);
  if (known) return known;
  return { kind: 'bytes', bytes: utf8.encode(value) };
}

export function oneOf(...ranges: CharacterSet): Expression {
  return { kind: 'characters', set: characterSet(ranges) };
}

/** A set from its members: `chars('0-9a-f')`, where a minus between two characters makes a range. */
export function chars(spec: string): Expression {
  const points = Array.from(spec, (character) => character.codePointAt(0)!);
  const ranges: [number, number][] = [];
  for (let i = 0; i < points.length; i++) {
    const isRange = points[i + 1] === 0x2d && i + 2 < points.length;
    ranges.push([points[i]!, isRange ? points[i + 2]! : points[i]!]);
    if (isRange) i += 2;
  }
  return oneOf(...ranges);
}

export function sequence(...parts: readonly (Expression | string)[]): Expression {
  const expressions = parts.map((part) => (typeof part === 'string' ? text(part) : part));
  return expressions.length === 1 ? expressions[0]! : { kind: 'sequence', parts: expressions };
}

export function choice(...options: readonly (Expression | string)[]): Expression {
  const expressions = options.map((option) => (typeof option === 'string' ? text(option) : option));
  return expressions.length === 1 ? expressions[0]! : { kind: 'choice', options: expressions };
}

export function repeat(of: Expression, min: number, max: number | null = min): Expression {
  return { kind: 'repeat', of, min, max };
}

export function optional(of: Expression): Expression {
  return repeat(of, 0, 1);
}

export function rule(name: string): Expression {
  return { kind: 'rule', name };
}

/** About how many states it takes. */
export function sizeOf(expression: Expression): number {
  switch (expression.kind) {
    case 'bytes':
      return expression.bytes.length;
    case 'characters':
      return 1 + 3 * expression.set.length;
    case 'sequence':
      return expression.parts.reduce((sum, part) => sum + sizeOf(part), 0);
    case 'choice': {
      // Many words share their beginnings.
      const each = expression.options.reduce((sum, option) => sum + 1 + sizeOf(option), 1);
      return expression.options.length > 1000 ? each / 16 : each;
    }
    case 'repeat':
      return 2 + sizeOf(expression.of) * (expression.max ?? expression.min + 1);
    case 'graph':
      return expression.edges.reduce((sum, { label }) => sum + (label ? sizeOf(label) : 1), expression.stateCount);
    default:
      return 1;
  }
}
