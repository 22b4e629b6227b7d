/**
 * JSON strings. A free string may be spelled in any way that JSON allows (escapes as one likes, halves of surrogate pairs excepted); one
 * with a pattern or a format is spelled as JSON.stringify spells it.
 */
import { ArgumentError } from '../../../base/errors.ts';
import { anyCharacter, characterSet, complement } from '../characters.ts';
import { chars, choice, type Expression, impossible, repeat, rule, sequence } from '../expression.ts';
import { counted, determinize, intersect, toExpression } from '../regular.ts';
import type { SchemaDocument } from './document.ts';
import type { Facts } from './facts.ts';
import { formats } from './formats.ts';
import { compilePattern, PatternError, spellInJson } from './pattern.ts';

/** The longest length that is counted. */
export const MAX_LENGTH = 50_000;

const hex = chars('0-9a-fA-F');
/** One character of a string, spelled in any way. */
export const anySpelling: Expression = choice(
  {
    kind: 'characters',
    set: complement(
      characterSet([
        [0, 0x1f],
        [0x22, 0x22],
        [0x5c, 0x5c],
      ]),
    ),
  },
  sequence('\\', chars('"\\/bfnrt')),
  sequence(
    '\\u',
    choice(
      sequence(chars('0-9a-cA-CefEF'), hex, hex, hex),
      sequence(chars('dD'), chars('0-7'), hex, hex),
      sequence(chars('dD'), chars('89abAB'), hex, hex, '\\u', chars('dD'), chars('c-fC-F'), hex, hex),
    ),
  ),
);
const canonicalCharacter = spellInJson(anyCharacter);
export const canonicalText: Expression = repeat(canonicalCharacter, 0, null);

export function stringExpression(document: SchemaDocument, facts: Facts): Expression {
  const { minLength, maxLength } = facts;
  const isFree = facts.patterns.length + facts.formats.length === 0;
  if (minLength > maxLength) return impossible;
  if (isFree && minLength === 0 && maxLength === Number.POSITIVE_INFINITY) return rule('string');
  if (isFree && !isTooLong(document, facts)) return sequence('"', lengths(rule('character'), facts), '"');
  return sequence('"', textExpression(document, facts), '"');
}

/** What stands between the quotes, spelled as JSON.stringify does, without rules. */
export function textExpression(document: SchemaDocument, facts: Facts): Expression {
  const { minLength, maxLength, pointer } = facts;
  if (minLength > maxLength || isTooLong(document, facts)) return impossible;
  const parts = [
    ...facts.patterns.map((pattern) => patternExpression(document, pattern, pointer)),
    ...facts.formats.map((format) => formatExpression(document, format, pointer)),
  ];
  const isCounted = minLength > 0 || maxLength < Number.POSITIVE_INFINITY;
  if (!isCounted && parts.length < 2) return parts[0] ?? canonicalText;
  return guarded(document, pointer, () => {
    const automata = parts.map(determinize);
    if (isCounted) automata.push(counted(determinize(canonicalCharacter), minLength, maxLength));
    return toExpression(automata.reduce(intersect));
  });
}

export function patternExpression(document: SchemaDocument, pattern: string, pointer: string): Expression {
  const known = document.patterns.get(pattern);
  if (known) return known;
  try {
    const expression = compilePattern(pattern, spellInJson);
    document.patterns.set(pattern, expression);
    return expression;
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    document.problem(
      pointer,
      `pattern ${JSON.stringify(pattern)} is not supported: expected a regular expression, found ${error.message}`,
    );
    return impossible;
  }
}

/** Runs what may grow too large; if it does, that is a problem of the schema at this place. */
export function guarded(document: SchemaDocument, pointer: string, make: () => Expression): Expression {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof ArgumentError && error.code === 'grammar.too-large')) throw error;
    document.problem(pointer, error.message.replace(/^grammar: /, ''));
    return impossible;
  }
}

function formatExpression(document: SchemaDocument, format: string, pointer: string): Expression {
  const expression = Object.hasOwn(formats, format) ? formats[format] : undefined;
  if (expression) return expression;
  document.problem(
    pointer,
    `format ${JSON.stringify(format)} is not supported: expected ${Object.keys(formats).join(', ')}`,
  );
  return impossible;
}

function lengths(character: Expression, { minLength, maxLength }: Facts): Expression {
  return repeat(character, minLength, maxLength === Number.POSITIVE_INFINITY ? null : maxLength);
}

function isTooLong(document: SchemaDocument, { minLength, maxLength, pointer }: Facts): boolean {
  const longest = maxLength === Number.POSITIVE_INFINITY ? minLength : maxLength;
  if (longest <= MAX_LENGTH) return false;
  document.problem(pointer, `length ${longest} is not supported: expected at most ${MAX_LENGTH}`);
  return true;
}
