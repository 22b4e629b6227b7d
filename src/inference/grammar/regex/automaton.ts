/** Terms as deterministic automata over characters, and those as parts of a grammar. */
import { ArgumentError } from '../../../base/errors.ts';
import { type CharacterSet, characterSet } from '../characters.ts';
import { type Expression, type GraphEdge, impossible } from '../expression.ts';
import type { Term, Terms } from './terms.ts';

const MAX_STATES = 20_000;

/** `spell`: a character of a set as it stands in the grammar's text. Throws ArgumentError `grammar.too-large`. */
export function termExpression(terms: Terms, term: Term, spell: (set: CharacterSet) => Expression): Expression {
  const ids = new Map<Term, number>([[term, 0]]);
  const edges: { from: number; to: number; set: CharacterSet }[] = [];
  const before: number[][] = [[]];
  for (const [state, from] of ids) {
    const targets = new Map<Term, CharacterSet[]>();
    for (const block of terms.classes(state)) {
      const next = terms.derivative(state, block[0]![0]);
      if (next === terms.nothing) continue;
      const sets = targets.get(next);
      if (sets) sets.push(block);
      else targets.set(next, [block]);
    }
    for (const [next, sets] of targets) {
      let to = ids.get(next);
      if (to === undefined) {
        to = ids.size;
        if (to >= MAX_STATES) throw tooLarge();
        ids.set(next, to);
        before.push([]);
      }
      before[to]!.push(from);
      edges.push({ from, to, set: sets.length === 1 ? sets[0]! : characterSet(sets.flat()) });
    }
  }
  const finals = [...ids].filter(([{ isNullable }]) => isNullable).map(([, id]) => id);
  if (finals.length === 0) return impossible;
  // Without the ways that lead to no end.
  const alive = new Set(finals);
  for (const state of alive) for (const from of before[state]!) alive.add(from);
  const spelled = new Map<CharacterSet, Expression>();
  const label = (set: CharacterSet) => {
    let expression = spelled.get(set);
    if (!expression) spelled.set(set, (expression = spell(set)));
    return expression;
  };
  const living = edges.filter(({ from, to }) => alive.has(from) && alive.has(to));
  const labelled = living.map(({ from, to, set }): GraphEdge => ({ from, to, label: label(set) }));
  return { kind: 'graph', stateCount: ids.size, finals, edges: labelled };
}

/** No text is one of its. Throws ArgumentError `grammar.too-large`. */
export function isEmptyTerm(terms: Terms, term: Term): boolean {
  const seen = new Set([term]);
  for (const state of seen) {
    if (state.isNullable) return false;
    if (seen.size > MAX_STATES) throw tooLarge();
    for (const block of terms.classes(state)) seen.add(terms.derivative(state, block[0]![0]));
  }
  return true;
}

export function matchesTerm(terms: Terms, term: Term, text: string): boolean {
  let at = term;
  for (const character of text) {
    at = terms.derivative(at, character.codePointAt(0)!);
    if (at === terms.nothing) return false;
  }
  return at.isNullable;
}

/** An expression of texts and characters, without rules, as a term. */
export function expressionTerm(terms: Terms, expression: Expression): Term {
  switch (expression.kind) {
    case 'bytes':
      return terms.text(new TextDecoder().decode(expression.bytes));
    case 'byte':
      return terms.set([[expression.from, expression.to]]); // of ASCII
    case 'characters':
      return terms.set(expression.set);
    case 'sequence':
      return terms.sequence(...expression.parts.map((part) => expressionTerm(terms, part)));
    case 'choice':
      return terms.or(...expression.options.map((option) => expressionTerm(terms, option)));
    case 'repeat': {
      const { of, min, max } = expression;
      return terms.repeat(expressionTerm(terms, of), min, max ?? Number.POSITIVE_INFINITY);
    }
    default:
      throw new ArgumentError('grammar.no-term', `grammar: expected texts and characters, found a ${expression.kind}.`);
  }
}

function tooLarge(): ArgumentError {
  return new ArgumentError(
    'grammar.too-large',
    `grammar: what must hold together (pattern, length, format, range) needs too many states, expected at most ${MAX_STATES}. Ask for less of it at once.`,
  );
}
