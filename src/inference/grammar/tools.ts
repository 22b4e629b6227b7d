/**
 * Calls of tools as text: what a model may write when it is offered functions, and back. The notation is the model's own; see
 * toolFormatOf().
 */
import { ArgumentError } from '../../base/errors.ts';
import { anyCharacter } from './characters.ts';
import {
  choice,
  type Expression,
  type Grammar,
  nothing,
  optional,
  repeat,
  rule,
  sequence,
  text,
} from './expression.ts';
import { keywordArguments } from './pythonic.ts';
import { termExpression } from './regex/automaton.ts';
import { Budget, Terms } from './regex/terms.ts';
import { compilePossibleSchema, jsonGrammar } from './schema/compile-schema.ts';
import type { JsonSchema } from './schema/json-schema.ts';

export interface ToolFunction {
  readonly name: string;
  /** The schema of its arguments; absent: any object. */
  readonly parameters?: JsonSchema | null | undefined;
  /** Objects of the schema are closed unless they say otherwise. */
  readonly strict?: boolean | null | undefined;
}

export interface ToolsSpec {
  readonly kind: 'tools';
  readonly tools: readonly ToolFunction[];
  /** 'auto': text, calls or both; 'required': at least one call; a name: that function. */
  readonly choice: 'auto' | 'required' | { readonly name: string };
  /** More than one call at a time. */
  readonly parallel: boolean;
  readonly format: ToolFormat;
  /** What is written where nothing is called: JSON of this schema; absent: any text. */
  readonly answer?: JsonSchema | null | undefined;
}

export interface Notation {
  /** Announces calls; null: a text that begins with `first` is one. A token of this name counts as this text. */
  readonly begin: string | null;
  readonly first: '{' | '[';
  readonly before: string;
  readonly between: string;
  readonly after: string;
  /** `begin`, `before` and `after` stand around each call, or around all of them. */
  readonly around: 'each' | 'all';
  readonly argumentsKey: string;
}

export const notations = {
  /** `<tool_call>` JSON `</tool_call>`: Hermes, Qwen, and models that know no notation of their own. */
  hermes: {
    begin: '<tool_call>',
    first: '{',
    before: '\n',
    between: '\n',
    after: '\n</tool_call>',
    around: 'each',
    argumentsKey: 'arguments',
  },
  /** Llama 3.1 to 3.3: the JSON object alone. */
  llama3: { begin: null, first: '{', before: '', between: '; ', after: '', around: 'each', argumentsKey: 'parameters' },
  /** `[TOOL_CALLS]` and a list. */
  mistral: {
    begin: '[TOOL_CALLS]',
    first: '[',
    before: '[',
    between: ', ',
    after: ']',
    around: 'all',
    argumentsKey: 'arguments',
  },
  /** Newer Mistral: `[TOOL_CALLS]` name `[ARGS]` arguments, each. */
  mistralArgs: {
    begin: '[TOOL_CALLS]',
    first: '[',
    before: '',
    between: '',
    after: '',
    around: 'each',
    argumentsKey: '',
  },
  /** Llama 3.2 and 4: Python's calls in a list. */
  pythonic: { begin: null, first: '[', before: '[', between: ', ', after: ']', around: 'all', argumentsKey: '' },
} as const satisfies Record<string, Notation>;

/** An announcement is a word. */
const MAX_STEPS = 100_000;

export type ToolFormat = keyof typeof notations;

/** The notation that a chat template teaches. */
export function toolFormatOf(template: string | null): ToolFormat {
  if (template?.includes('[TOOL_CALLS]')) return template.includes('[ARGS]') ? 'mistralArgs' : 'mistral';
  if (template?.includes('<tool_call>')) return 'hermes';
  if (template && /func_name1\(|pythonic/.test(template)) return 'pythonic';
  return template && /ipython|python_tag/.test(template) ? 'llama3' : 'hermes';
}

/** `hasToken`: whether the vocabulary has a token of this text. Throws ArgumentError `tools.invalid`, and what the schemas say. */
export function toolsGrammar(spec: ToolsSpec, hasToken: (text: string) => boolean): Grammar {
  const { choice: wanted, parallel } = spec;
  const tools = typeof wanted === 'object' ? spec.tools.filter(({ name }) => name === wanted.name) : spec.tools;
  checkTools(spec.tools, typeof wanted === 'object' && tools.length === 0 ? wanted.name : null);
  const notation: Notation = notations[spec.format];
  const rules = new Map<string, Expression>(jsonGrammar('object').rules);
  const notes: string[] = [];
  /** Rules of one schema are named after their places; those of all schemas keep their names. */
  const adopt = (prefix: string, grammar: Grammar): Expression => {
    notes.push(...(grammar.notes ?? []));
    const rename = (inner: string) => (inner === 'root' || /^(?:#|name )/.test(inner) ? `${prefix} ${inner}` : inner);
    for (const [inner, expression] of grammar.rules) rules.set(rename(inner), renameRules(expression, rename));
    return rule(`${prefix} root`);
  };
  const calls = tools.map(({ name, parameters, strict }, i) => {
    if (spec.format === 'pythonic') {
      const keywords = keywordsOf(parameters, strict ?? false, (key, { notes = [], ...grammar }) => {
        const said = notes.map((note) => `tools: ${name}: ${note.replaceAll('#/$defs/arguments/', '#/')}`);
        return adopt(`${i} ${key}`, { ...grammar, notes: said });
      });
      if (keywords) return sequence(`${name}(`, keywords, ')');
    }
    const grammar = parameters == null ? jsonGrammar('object') : argumentsGrammar(name, parameters, strict ?? false);
    const given = adopt(String(i), grammar);
    if (spec.format === 'pythonic') return sequence(`${name}(**`, given, ')');
    if (spec.format === 'mistralArgs') return sequence(name, tokenOrText('[ARGS]', hasToken), given);
    const space = rule('space');
    const head = sequence('{', space, '"name":', space, JSON.stringify(name), ',', space);
    return sequence(head, `${JSON.stringify(notation.argumentsKey)}:`, space, given, space, '}');
  });
  rules.set('call', choice(...calls));

  rules.set('calls', callsExpression(notation, parallel, hasToken));
  const otherwise = () =>
    spec.answer == null
      ? withText(notation)
      : choice(rule('calls'), adopt('answer', answerGrammar(spec.answer, notation)));
  // What models are taught to write: a call is on one line, as json.dumps has it.
  rules.set('space', choice('', ' '));
  rules.set('root', wanted === 'auto' ? otherwise() : rule('calls'));
  return { rules, root: 'root', notes: [...new Set(notes)] };
}

/** null: the arguments are written as one object, and what is wrong with their schema is said there. */
function keywordsOf(
  parameters: ToolFunction['parameters'],
  strict: boolean,
  adopt: Parameters<typeof keywordArguments>[2],
) {
  try {
    return parameters == null ? null : keywordArguments(parameters, strict, adopt);
  } catch (error) {
    if (error instanceof ArgumentError) return null;
    throw error;
  }
}

/** Throws ArgumentError `tools.answer` where JSON could be read as a call. */
function answerGrammar(schema: JsonSchema, { begin }: Notation): Grammar {
  if (begin !== null) return compilePossibleSchema(schema, { strict: false });
  throw new ArgumentError(
    'tools.answer',
    'tools: this model does not announce calls (as bare JSON, or in brackets), so that an answer in JSON could not be told from a call. Ask for one of the two: tools, or JSON.',
  );
}

function checkTools(tools: readonly ToolFunction[], missing: string | null): void {
  const fail = (problem: string): never => {
    throw new ArgumentError('tools.invalid', `tools: ${problem}.`);
  };
  if (tools.length === 0) fail('expected at least one function, found none');
  if (missing !== null)
    fail(`expected a function named ${JSON.stringify(missing)}, found ${tools.map(({ name }) => name).join(', ')}`);
  const names = new Set<string>();
  for (const { name } of tools) {
    if (!/^[\w.-]{1,128}$/.test(name))
      fail(`expected a name of letters, digits, _ . and -, found ${JSON.stringify(name)}`);
    if (names.has(name)) fail(`expected each name once, found ${JSON.stringify(name)} again`);
    names.add(name);
  }
}

/** A tool that cannot be compiled takes any object, unless it is strict: the others are not to be refused with it. */
function argumentsGrammar(name: string, parameters: JsonSchema, strict: boolean): Grammar {
  try {
    const { notes = [], ...grammar } = compilePossibleSchema(parameters, { strict });
    return { ...grammar, notes: notes.map((note) => `tools: ${name}: ${note}`) };
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error;
    const message = `tools: ${name}: ${error.message}`;
    if (strict) throw new ArgumentError('tools.schema', message, { cause: error });
    return { ...jsonGrammar('object'), notes: [`${message.replaceAll(/\n\s*-?\s*/g, ' ')}. Any object is taken.`] };
  }
}

function callsExpression(notation: Notation, parallel: boolean, hasToken: (text: string) => boolean): Expression {
  const { begin, before, between, after, around } = notation;
  const opening = begin === null ? nothing : tokenOrText(begin, hasToken);
  const call = around === 'each' ? sequence(opening, before, rule('call'), after) : rule('call');
  const list = parallel ? sequence(call, repeat(sequence(between, call), 0, null)) : call;
  return around === 'each' ? list : sequence(opening, before, list, after);
}

function tokenOrText(token: string, hasToken: (text: string) => boolean): Expression {
  return hasToken(token) ? choice({ kind: 'token', token, negated: false }, token) : text(token);
}

/** Calls, text without the announcement of a call, or first the one and then the other. */
function withText({ begin, first }: Notation): Expression {
  const any: Expression = repeat({ kind: 'characters', set: anyCharacter }, 0, null);
  if (begin === null) {
    const code = first.charCodeAt(0);
    const other: Expression = {
      kind: 'characters',
      set: anyCharacter.flatMap(([from, to]) =>
        from <= code && to >= code ? [[from, code - 1] as const, [code + 1, to] as const] : [[from, to] as const],
      ),
    };
    return choice(rule('calls'), sequence(other, any), nothing);
  }
  const terms = new Terms(new Budget(MAX_STEPS));
  const announced = terms.sequence(terms.anything, terms.text(begin), terms.anything);
  const plain = termExpression(terms, terms.not(announced), (set) => ({ kind: 'characters', set }));
  return sequence(plain, optional(rule('calls')));
}

function renameRules(expression: Expression, rename: (name: string) => string): Expression {
  const inner = (part: Expression) => renameRules(part, rename);
  switch (expression.kind) {
    case 'rule':
      return rule(rename(expression.name));
    case 'sequence':
      return { ...expression, parts: expression.parts.map(inner) };
    case 'choice':
      return { ...expression, options: expression.options.map(inner) };
    case 'repeat':
      return { ...expression, of: inner(expression.of) };
    case 'graph':
      return {
        ...expression,
        edges: expression.edges.map((edge) => ({ ...edge, label: edge.label && inner(edge.label) })),
      };
    default:
      return expression;
  }
}
