/**
 * JSON Schema to a grammar of the JSON texts that are valid, in one order of properties and with the white space that JSON.stringify
 * puts. Drafts 4 to 2020-12 as far as they agree, and OpenAPI's nullable. What it cannot express exactly is refused, all at once.
 *
 * Each schema that something refers to is a rule, so recursion is the grammar's. What only holds together (allOf, siblings of $ref
 * or anyOf) is gathered first, see facts.ts.
 */
import { ArgumentError } from '../../../base/errors.ts';
import { choice, type Expression, type Grammar, impossible, repeat, rule, sequence, text } from '../expression.ts';
import { buildNetwork } from '../network/network.ts';
import { areDisjoint, satisfies } from './check-value.ts';
import { type Conjunction, type Located, SchemaDocument } from './document.ts';
import { assertions, type Facts, factsOf, schemasIn, typeNames } from './facts.ts';
import { anyInteger, anyNumber, numberExpression } from './numbers.ts';
import { arrayExpression, jsonRules, objectExpression, type Rules } from './objects.ts';
import { anySpelling, stringExpression } from './strings.ts';

export interface SchemaOptions {
  /** Objects that do not say what else they may hold (additionalProperties) hold nothing else; JSON Schema itself lets them. */
  readonly strict?: boolean;
}

const MAX_RULES = 20_000;

/** Throws ArgumentError `schema.invalid`, `schema.unsupported` (with every problem), `schema.too-large`, `schema.impossible`. */
export function compileSchema(schema: unknown, options: SchemaOptions = {}): Grammar {
  const grammar = new SchemaCompiler(new SchemaDocument(schema), options.strict ?? false).compile();
  try {
    buildNetwork(grammar);
  } catch (error) {
    throw error instanceof ArgumentError ? ofSchema(error) : error;
  }
  return grammar;
}

/** Any JSON object, or any JSON value. */
export function jsonGrammar(root: 'object' | 'value'): Grammar {
  return { rules: new Map([['root', rule(root)], ...sharedRules()]), root: 'root' };
}

function sharedRules(): [string, Expression][] {
  return [
    ...Object.entries(jsonRules),
    ['string', sequence('"', repeat(anySpelling, 0, null), '"')],
    ['character', anySpelling],
    ['number', anyNumber],
    ['integer', anyInteger],
  ];
}

class SchemaCompiler implements Rules {
  readonly document: SchemaDocument;
  readonly isStrict: boolean;
  private readonly rules = new Map<string, Expression>();
  private readonly waiting: { readonly name: string; readonly conjunction: Conjunction }[] = [];

  constructor(document: SchemaDocument, isStrict: boolean) {
    this.document = document;
    this.isStrict = isStrict;
    this.rules.set('root', impossible);
    for (const [name, expression] of sharedRules()) this.rules.set(name, expression);
  }

  compile(): Grammar {
    this.rules.set('root', this.valueOf([this.document.root]));
    // Not by recursion: a chain of references may be long.
    for (let next = this.waiting.pop(); next !== undefined; next = this.waiting.pop()) {
      if (this.rules.size > MAX_RULES) {
        throw new ArgumentError(
          'schema.too-large',
          `json schema: expected at most ${MAX_RULES} different values, found more.`,
        );
      }
      this.rules.set(next.name, this.expressionOf(next.conjunction));
    }
    this.document.check();
    return { rules: this.rules, root: 'root' };
  }

  factsOf(conjunction: Conjunction): Facts[] {
    return factsOf(this.document, conjunction, (a, b) => areDisjoint(this, a, b));
  }

  shared(name: string, make: () => Expression): Expression {
    if (!this.rules.has(name)) this.rules.set(name, make());
    return rule(name);
  }

  valueOf(given: Conjunction): Expression {
    const byPointer = new Map<string, Located>();
    for (const located of given) {
      const target = this.dereference(located);
      if (target === null || target.schema === false) return impossible;
      if (assertions(target.schema).length > 0) byPointer.set(target.pointer, target);
    }
    const conjunction = [...byPointer.values()];
    if (conjunction.length === 0) return rule('value');
    const simple = conjunction.length === 1 ? simpleType(conjunction[0]!) : null;
    if (simple) return simple;
    const name = [...byPointer.keys()].sort().join(' & ');
    if (!this.rules.has(name)) {
      this.rules.set(name, impossible);
      this.waiting.push({ name, conjunction });
    }
    return rule(name);
  }

  /** Through schemas that are nothing but a reference. */
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
      const target = this.document.resolve(schema.$ref, pointer);
      if (target === null) return null;
      at = target;
    }
  }

  private expressionOf(conjunction: Conjunction): Expression {
    const [first] = conjunction;
    const keys = conjunction.length === 1 ? assertions(first!.schema) : [];
    if (keys.length === 1 && (keys[0] === 'anyOf' || keys[0] === 'oneOf') && typeof first!.schema === 'object') {
      // Alternatives as they stand, each a rule of its own.
      if (keys[0] === 'oneOf') this.factsOf(conjunction); // looks whether they exclude each other
      return choice(
        ...schemasIn(this.document, first!.schema, keys[0], first!.pointer).map((branch) => this.valueOf([branch])),
        impossible,
      );
    }
    return choice(...this.factsOf(conjunction).map((facts) => this.factsExpression(facts)), impossible);
  }

  private factsExpression(facts: Facts): Expression {
    if (facts.literals) {
      return choice(...facts.literals.filter((value) => satisfies(this, facts, value)).map(literal), impossible);
    }
    const options = [...facts.types].map((type): Expression => {
      switch (type) {
        case 'null':
          return text('null');
        case 'boolean':
          return choice('true', 'false');
        case 'number':
          return numberExpression(facts, (problem) => this.document.problem(facts.pointer, problem));
        case 'string':
          return stringExpression(this.document, facts);
        case 'array':
          return arrayExpression(this, facts);
        case 'object':
          return objectExpression(this, facts);
        default:
          return type satisfies never;
      }
    });
    return choice(...options, impossible);
  }
}

/** Schemas that only name a type use the rule that all share. */
function simpleType({ schema }: Located): Expression | null {
  if (typeof schema === 'boolean' || assertions(schema).join() !== 'type') return null;
  if (schema.type === 'integer') return rule('integer');
  if (!typeNames.some((name) => name === schema.type)) return null;
  if (schema.type === 'null') return text('null');
  return schema.type === 'boolean' ? choice('true', 'false') : rule(schema.type as string);
}

/** A value as JSON.stringify writes it, with white space as elsewhere. */
function literal(value: unknown): Expression {
  if (typeof value !== 'object' || value === null) return text(JSON.stringify(value));
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  const members = Array.isArray(value)
    ? value.map(literal)
    : Object.entries(value).map(([key, inner]) => sequence(JSON.stringify(key), ':', rule('space'), literal(inner)));
  return sequence(
    open!,
    ...members.flatMap((member, i) => [i === 0 ? '' : ',', rule('space'), member]),
    rule('space'),
    close!,
  );
}

/** What is wrong with the grammar of a schema, said of the schema. */
function ofSchema(error: ArgumentError): ArgumentError {
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
