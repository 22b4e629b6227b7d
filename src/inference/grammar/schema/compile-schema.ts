/**
 * JSON Schema to a grammar of the JSON texts that are valid, in one order of properties and with the white space that JSON.stringify
 * puts. Drafts 4 to 2020-12 as far as they agree, and OpenAPI's nullable. What it cannot hold exactly is refused where it is strict, all
 * at once; otherwise it is let go, and told.
 *
 * Each schema that something refers to is a rule, so recursion is the grammar's. What only holds together (allOf, siblings of $ref
 * or anyOf) is gathered first, see facts.ts.
 */
import { ArgumentError } from '../../../base/errors.ts';
import { choice, type Expression, type Grammar, impossible, rule, sizeOf, text } from '../expression.ts';
import { buildNetwork } from '../network/network.ts';
import { arrayExpression } from './arrays.ts';
import { areDisjoint, type Checker, isImpossible, satisfies } from './check-value.ts';
import { type Conjunction, type Located, SchemaDocument } from './document.ts';
import { type Facts, factsOf, looseFactsOf } from './facts.ts';
import { jsonRules, literal } from './json.ts';
import { assertions, noteUnknown, schemasIn } from './keywords.ts';
import { numberExpression } from './numbers.ts';
import { objectExpression } from './objects.ts';
import type { Rules } from './rules.ts';
import { stringExpression } from './strings.ts';
import { typeNames, typesOf } from './types.ts';

export interface SchemaOptions {
  /**
   * Refuses what cannot be held, and closes objects that do not say what else they may hold (additionalProperties); JSON Schema itself
   * lets them.
   */
  readonly strict?: boolean;
  /** Refuses what cannot be held; absent: where it is strict. */
  readonly exact?: boolean;
}

const MAX_RULES = 50_000;
/** The whole grammar's share of what is left for one value. */
const SHARE = 0.5;

/**
 * The grammar, with notes on what of the schema it does not hold.
 * Throws ArgumentError `schema.invalid`, `schema.unsupported` (with every problem), `schema.too-large`, `schema.impossible`.
 */
export function compileSchema(schema: unknown, { strict = false, exact = strict }: SchemaOptions = {}): Grammar {
  try {
    return new SchemaCompiler(new SchemaDocument(schema, strict, exact)).compile();
  } catch (error) {
    throw ofSchema(error);
  }
}

/** The same, and it has a text: `schema.impossible` is thrown only when the grammar is built. */
export function compilePossibleSchema(schema: unknown, options: SchemaOptions = {}): Grammar {
  const grammar = compileSchema(schema, options);
  try {
    buildNetwork(grammar);
  } catch (error) {
    throw ofSchema(error);
  }
  return grammar;
}

/** Any JSON object, or any JSON value. */
export function jsonGrammar(root: 'object' | 'value'): Grammar {
  return { rules: new Map([['root', rule(root)], ...Object.entries(jsonRules)]), root: 'root' };
}

class SchemaCompiler implements Rules, Checker {
  readonly document: SchemaDocument;
  private readonly rules = new Map<string, Expression>();
  private readonly waiting: { readonly name: string; readonly conjunction: Conjunction }[] = [];
  private readonly loose = new Map<string, Facts[]>();

  constructor(document: SchemaDocument) {
    this.document = document;
    this.rules.set('root', impossible);
    for (const [name, expression] of Object.entries(jsonRules)) this.rules.set(name, expression);
  }

  compile(): Grammar {
    this.rules.set('root', this.valueOf([this.document.root]));
    // Not by recursion, as a chain of references may be long. The list grows meanwhile.
    for (const { name, conjunction } of this.waiting) {
      if (this.rules.size > MAX_RULES) {
        throw new ArgumentError(
          'schema.too-large',
          `json schema: expected at most ${MAX_RULES} different values, found more.`,
        );
      }
      const make = () => {
        const expression = this.expressionOf(conjunction);
        this.document.budget.spend(sizeOf(expression));
        return expression;
      };
      this.rules.set(name, this.document.guarded(conjunction[0]!.pointer, make, SHARE) ?? anyOfType(conjunction));
    }
    this.document.check();
    return { rules: this.rules, root: 'root', notes: this.document.notes };
  }

  factsOf(conjunction: Conjunction): Facts[] {
    return factsOf(this.document, conjunction, {
      areDisjoint: (a, b) => areDisjoint(this, a, b),
      isImpossible: (facts) => isImpossible(this, facts),
    });
  }

  looseFactsOf(conjunction: Conjunction): Facts[] {
    const key = conjunction.map(({ pointer }) => pointer).join(' & ');
    let found = this.loose.get(key);
    if (!found) this.loose.set(key, (found = looseFactsOf(this.document, conjunction)));
    return found;
  }

  shared(name: string, make: () => Expression): Expression {
    if (!this.rules.has(name)) {
      this.rules.set(name, impossible);
      const expression = make();
      this.document.budget.spend(sizeOf(expression));
      this.rules.set(name, expression);
    }
    return rule(name);
  }

  valueOf(given: Conjunction): Expression {
    const byPointer = new Map<string, Located>();
    for (const located of given) {
      const target = this.dereference(located);
      if (target === null) continue;
      if (target.schema === false) return impossible;
      if (assertions(target.schema).length > 0) byPointer.set(target.pointer, target);
      else if (target.schema !== true) noteUnknown(this.document, target.schema, target.pointer);
    }
    const conjunction = [...byPointer.values()];
    if (conjunction.length === 0) return rule('value');
    const simple = conjunction.length === 1 ? this.simpleType(conjunction[0]!) : null;
    if (simple) return simple;
    const name = [...byPointer.keys()].sort().join(' & ');
    if (!this.rules.has(name)) {
      this.rules.set(name, impossible);
      this.waiting.push({ name, conjunction });
    }
    return rule(name);
  }

  /** Through schemas that are nothing but a reference; null, said, where it is to nothing. */
  private dereference(located: Located): Located | null {
    const seen = new Set<string>();
    for (let at = located; ; ) {
      const { schema, pointer } = at;
      if (typeof schema === 'boolean' || schema.$ref === undefined || assertions(schema).length > 1) return at;
      if (seen.has(pointer)) {
        this.document.problem(pointer, 'refers to itself without anything in between');
        return null;
      }
      seen.add(pointer);
      const target = this.document.resolve(schema.$ref, `${pointer}/$ref`);
      if (target === null) return null;
      at = target;
    }
  }

  private expressionOf(conjunction: Conjunction): Expression {
    const [first] = conjunction;
    const keys = conjunction.length === 1 ? assertions(first!.schema) : [];
    if (keys.length === 1 && (keys[0] === 'anyOf' || keys[0] === 'oneOf') && typeof first!.schema === 'object') {
      // Alternatives as they stand, each a rule of its own.
      const branches = schemasIn(this.document, first!.schema, keys[0], first!.pointer);
      if (keys[0] === 'anyOf' || this.excludeEachOther(branches)) {
        noteUnknown(this.document, first!.schema, first!.pointer);
        return choice(...branches.map((branch) => this.valueOf([branch])), impossible);
      }
    }
    return choice(...this.factsOf(conjunction).map((facts) => this.factsExpression(facts)), impossible);
  }

  private excludeEachOther(branches: readonly Located[]): boolean {
    const differ = () => {
      const lists = branches.map((branch) => this.looseFactsOf([branch]));
      return lists.every((second, j) =>
        lists.slice(0, j).every((first) => second.every((b) => first.every((a) => areDisjoint(this, a, b)))),
      );
    };
    return this.document.quietly(() => this.document.guarded('#', differ)) ?? false;
  }

  private factsExpression(facts: Facts): Expression {
    if (facts.literals) {
      return choice(...facts.literals.filter((value) => satisfies(this, facts, value)).map(literal), impossible);
    }
    const { document } = this;
    const options = [...facts.types].map((type): Expression => {
      switch (type) {
        case 'null':
          return facts.excluded.includes(null) ? impossible : text('null');
        case 'boolean':
          return choice(...[true, false].filter((value) => !facts.excluded.includes(value)).map(literal), impossible);
        case 'number': {
          const excluded = facts.excluded.filter((value) => typeof value === 'number');
          const unheld = (problem: string) => document.unheld(facts.pointer, problem);
          return (
            document.guarded(facts.pointer, () => numberExpression(document.terms, { ...facts, excluded }, unheld)) ??
            rule(facts.isInteger ? 'integer' : 'number')
          );
        }
        case 'string':
          return stringExpression(this, facts);
        case 'array':
          return arrayExpression(this, facts, literal);
        case 'object':
          return objectExpression(this, facts);
        default:
          return type satisfies never;
      }
    });
    if (facts.excluded.some((value) => typeof value === 'object' && value !== null && Object.keys(value).length > 0)) {
      document.unheld(facts.pointer, 'is not held: that it is not a certain list or object');
    }
    return choice(...options, impossible);
  }

  /** Schemas that only name a type use the rule that all share. */
  private simpleType({ schema, pointer }: Located): Expression | null {
    if (typeof schema === 'boolean' || assertions(schema).join() !== 'type' || typeof schema.type !== 'string')
      return null;
    if (typesOf(schema.type).unknown) return null;
    noteUnknown(this.document, schema, pointer);
    return ofType(schema.type);
  }
}

function ofType(type: string): Expression {
  if (type === 'null') return text('null');
  return type === 'boolean' ? choice('true', 'false') : rule(type);
}

/** What is left of a value that takes too much work: its type. */
function anyOfType(conjunction: Conjunction): Expression {
  const named = conjunction.flatMap(({ schema }) =>
    typeof schema === 'object' && schema.type !== undefined ? [schema] : [],
  );
  const [first] = named;
  const { names } = typesOf(first?.type ?? [...typeNames]);
  const all = first?.nullable === true ? [...names, 'null'] : names;
  return choice(...all.map(ofType), impossible);
}

/** What is wrong with the grammar of a schema, said of the schema. */
export function ofSchema(error: unknown): unknown {
  if (!(error instanceof ArgumentError && error.code.startsWith('grammar.'))) return error;
  if (error.code === 'grammar.impossible') {
    return new ArgumentError(
      'schema.impossible',
      'json schema: expected at least one valid document, found none: what it requires contradicts itself or never ends. Make a part of it optional.',
    );
  }
  if (error.code === 'grammar.left-recursion') {
    return new ArgumentError('schema.unsupported', error.message.replace(/^grammar/, 'json schema'));
  }
  return new ArgumentError('schema.too-large', error.message.replace(/^grammar/, 'json schema'));
}
