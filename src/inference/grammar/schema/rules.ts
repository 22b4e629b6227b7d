import type { Expression } from '../expression.ts';
import type { Conjunction, SchemaDocument } from './document.ts';
import type { Facts } from './facts.ts';

/** What the schema compiler offers to its parts. */
export interface Rules {
  readonly document: SchemaDocument;
  factsOf(conjunction: Conjunction): Facts[];
  /** The expression of a value for which all of these hold. */
  valueOf(conjunction: Conjunction): Expression;
  /** A rule of this name, made when it is first asked for. */
  shared(name: string, make: () => Expression): Expression;
}
