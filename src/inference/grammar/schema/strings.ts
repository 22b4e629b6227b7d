/**
 * JSON strings. A free string may be spelled in any way that JSON allows (escapes as one likes, halves of surrogate pairs excepted); one
 * with a pattern or a format is spelled as JSON.stringify spells it.
 */
import { type CharacterSet, characterSet, complement, contains } from '../characters.ts';
import { chars, choice, type Expression, impossible, repeat, rule, sequence } from '../expression.ts';
import { expressionTerm, termExpression } from '../regex/automaton.ts';
import { PatternError } from '../regex/parse.ts';
import { patternTerm } from '../regex/pattern.ts';
import type { Term } from '../regex/terms.ts';
import type { SchemaDocument } from './document.ts';
import type { Facts } from './facts.ts';
import { formats } from './formats.ts';
import type { Rules } from './rules.ts';
import { spellInJson } from './spelling.ts';

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

export function stringExpression(rules: Rules, facts: Facts): Expression {
  const { minLength, maxLength, patterns, notPatterns, formats: wanted } = facts;
  const excluded = facts.excluded.filter((value) => typeof value === 'string');
  const isFree = patterns.length + notPatterns.length + wanted.length + excluded.length === 0;
  if (minLength > maxLength) return impossible;
  if (!isFree) {
    const { document } = rules;
    const whole = document.guarded(facts.pointer, () => {
      const term = textTerm(document, facts);
      return term === document.terms.anything ? rule('string') : quoted(rules, term);
    });
    if (whole) return whole;
  }
  const longest = maxLength === Number.POSITIVE_INFINITY ? minLength : maxLength;
  if (longest > MAX_LENGTH) {
    rules.document.unheld(facts.pointer, `length ${longest} is not held: expected at most ${MAX_LENGTH}`);
    return rule('string');
  }
  if (minLength === 0 && maxLength === Number.POSITIVE_INFINITY) return rule('string');
  const most = maxLength === Number.POSITIVE_INFINITY ? null : maxLength;
  return sequence('"', repeat(rule('character'), minLength, most), '"');
}

/** The texts of a term as JSON strings, spelled as JSON.stringify does. */
export function quoted(rules: Rules, term: Term): Expression {
  const { terms } = rules.document;
  return sequence(
    '"',
    termExpression(terms, term, (set) => spelled(rules, set)),
    '"',
  );
}

/** A character of a set within a JSON string. Small sets stand where they are used; others are rules that all share. */
export function spelled(rules: Rules, set: CharacterSet): Expression {
  const isSmall = set.length <= 3 && set.at(-1)![1] < 0x80 && set[0]![0] > 0x22 && !contains(set, 0x5c);
  if (isSmall) return { kind: 'characters', set };
  return rules.shared(`chars ${set.map(([from, to]) => `${from}-${to}`).join()}`, () => spellInJson(set));
}

/** What a string must be. Throws ArgumentError `grammar.too-large`. */
export function textTerm(document: SchemaDocument, facts: Facts): Term {
  const { terms } = document;
  const { minLength, maxLength, pointer } = facts;
  const parts: (Term | null)[] = [
    ...facts.patterns.map((pattern) => patternOf(document, pattern, pointer)),
    ...facts.formats.map((format) => expressionTerm(terms, formats[format]!)),
    ...facts.notPatterns.map((pattern) => {
      const term = patternOf(document, pattern, pointer);
      return term && terms.not(term);
    }),
  ];
  const excluded = facts.excluded.filter((value) => typeof value === 'string');
  if (excluded.length > 0) parts.push(terms.not(terms.words(excluded)));
  if (minLength > 0 || maxLength < Number.POSITIVE_INFINITY) {
    const longest = maxLength === Number.POSITIVE_INFINITY ? minLength : maxLength;
    if (longest <= MAX_LENGTH) parts.push(terms.repeat(terms.anyOne, minLength, maxLength));
  }
  return terms.and(...parts.filter((part) => part !== null));
}

/** The texts in which a pattern is found; null, said, where it is none that can be held. */
export function patternOf(document: SchemaDocument, pattern: string, pointer: string): Term | null {
  const known = document.patterns.get(pattern);
  if (known !== undefined) return known;
  let term: Term | null = null;
  try {
    term = document.guarded(pointer, () => patternTerm(document.terms, pattern), 0.5) ?? null;
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    document.unheld(pointer, `pattern ${JSON.stringify(pattern)} is not held: it has ${error.message}`);
  }
  document.patterns.set(pattern, term);
  return term;
}
