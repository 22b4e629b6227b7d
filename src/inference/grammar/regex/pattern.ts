/**
 * Patterns as terms: the texts in which a pattern is found. Anchors, word borders and looks may stand anywhere but in what is repeated
 * without end: what follows a part is worked out first, for each kind of character that may stand before it, so that a look ahead
 * is "and" with what follows, and a border a choice by what stands before.
 */
import { complement, intersection } from '../characters.ts';
import { type Node, PatternError, parsePattern, wordCharacters } from './parse.ts';
import type { Term, Terms } from './terms.ts';

/** What may follow, by what stands before: nothing, a letter of a word, another character. */
interface Following {
  readonly start: Term;
  readonly word: Term;
  readonly other: Term;
}

/** A repetition with an anchor or a look in it is written out up to so many times. */
const MAX_WRITTEN_OUT = 32;
const otherCharacters = complement(wordCharacters);

/** Throws PatternError; ArgumentError `grammar.too-large`. */
export function patternTerm(terms: Terms, pattern: string): Term {
  const compiler = new PatternCompiler(terms);
  const node = parsePattern(pattern);
  const { anything } = terms;
  const [whole] = compiler.splitBehind(node);
  if (whole) return terms.sequence(whole.before, compiler.compile(whole.rest, compiler.always(anything)).other);
  const { start, word, other } = compiler.compile(node, compiler.always(anything));
  if (start === word && word === other) return terms.sequence(anything, start);
  return terms.or(start, terms.sequence(compiler.endingInWord, word), terms.sequence(compiler.endingInOther, other));
}

class PatternCompiler {
  private readonly terms: Terms;
  /** Texts whose last character is, or is not, of a word. */
  readonly endingInWord: Term;
  readonly endingInOther: Term;
  private readonly beginningInWord: Term;

  constructor(terms: Terms) {
    this.terms = terms;
    const [word, other] = [terms.set(wordCharacters), terms.set(otherCharacters)];
    this.endingInWord = terms.sequence(terms.anything, word);
    this.endingInOther = terms.sequence(terms.anything, other);
    this.beginningInWord = terms.sequence(word, terms.anything);
  }

  always(term: Term): Following {
    return { start: term, word: term, other: term };
  }

  /** A look behind at the very beginning: what stands before ends so. */
  splitBehind(node: Node): { readonly before: Term; readonly rest: Node }[] {
    if (node.kind !== 'sequence' || node.parts[0]?.kind !== 'behind') return [];
    const [{ of, negated }, ...parts] = node.parts as [Extract<Node, { kind: 'behind' }>, ...Node[]];
    if (parts.some(looksBack) || looks(of)) throw new PatternError('a look behind together with another');
    const ending = this.terms.sequence(this.terms.anything, this.plain(of));
    return [{ before: negated ? this.terms.not(ending) : ending, rest: { kind: 'sequence', parts } }];
  }

  compile(node: Node, next: Following): Following {
    if (!looks(node)) return this.plainThen(this.plain(node), next);
    const { terms } = this;
    const each = (change: (following: Term, before: keyof Following) => Term): Following => ({
      start: change(next.start, 'start'),
      word: change(next.word, 'word'),
      other: change(next.other, 'other'),
    });
    switch (node.kind) {
      case 'sequence':
        return node.parts.reduceRight((following, part) => this.compile(part, following), next);
      case 'choice': {
        const options = node.options.map((option) => this.compile(option, next));
        return {
          start: terms.or(...options.map(({ start }) => start)),
          word: terms.or(...options.map(({ word }) => word)),
          other: terms.or(...options.map(({ other }) => other)),
        };
      }
      case 'repeat':
        return this.writtenOut(node, next);
      case 'begin':
        return { start: next.start, word: terms.nothing, other: terms.nothing };
      case 'end':
        return each((following) => (following.isNullable ? terms.empty : terms.nothing));
      case 'ahead': {
        const ahead = this.compile(node.of, this.always(terms.anything));
        return each((following, before) => {
          const seen = ahead[before];
          return terms.and(node.negated ? terms.not(seen) : seen, following);
        });
      }
      case 'border':
        return each((following, before) => {
          const wantsWord = (before === 'word') === node.negated;
          return terms.and(wantsWord ? this.beginningInWord : terms.not(this.beginningInWord), following);
        });
      case 'behind':
        throw new PatternError('a look behind that is not at the beginning');
      default:
        throw new PatternError(`a ${node.kind} where none is expected`);
    }
  }

  /** A part without anchors and looks, then what follows it. */
  private plainThen(part: Term, next: Following): Following {
    const { terms } = this;
    if (next.start === next.word && next.word === next.other) return this.always(terms.sequence(part, next.start));
    const inWord = terms.sequence(this.endingIn(part, 'word'), next.word);
    const inOther = terms.sequence(this.endingIn(part, 'other'), next.other);
    const behind = (before: keyof Following) =>
      part.isNullable ? terms.or(next[before], inWord, inOther) : terms.or(inWord, inOther);
    return { start: behind('start'), word: behind('word'), other: behind('other') };
  }

  private endingIn(part: Term, kind: 'word' | 'other'): Term {
    const wanted = kind === 'word' ? wordCharacters : otherCharacters;
    if (part.kind === 'set') return this.terms.set(intersection(part.set, wanted));
    return this.terms.and(part, kind === 'word' ? this.endingInWord : this.endingInOther);
  }

  private writtenOut({ of, min, max }: Extract<Node, { kind: 'repeat' }>, next: Following): Following {
    if (max === null || max > MAX_WRITTEN_OUT) throw new PatternError('an anchor or a look that is repeated often');
    const { terms } = this;
    let following = next;
    for (let i = min; i < max; i++) {
      const once = this.compile(of, following);
      following = {
        start: terms.or(next.start, once.start),
        word: terms.or(next.word, once.word),
        other: terms.or(next.other, once.other),
      };
    }
    for (let i = 0; i < min; i++) following = this.compile(of, following);
    return following;
  }

  private plain(node: Node): Term {
    const { terms } = this;
    switch (node.kind) {
      case 'set':
        return terms.set(node.set);
      case 'sequence':
        return terms.sequence(...node.parts.map((part) => this.plain(part)));
      case 'choice':
        return terms.or(...node.options.map((option) => this.plain(option)));
      case 'repeat':
        return terms.repeat(this.plain(node.of), node.min, node.max ?? Number.POSITIVE_INFINITY);
      default:
        throw new PatternError(`a ${node.kind} where none is expected`);
    }
  }
}

/** There is an anchor, a border or a look in it. */
function looks(node: Node): boolean {
  return has(node, ['begin', 'end', 'ahead', 'behind', 'border']);
}

/** What stands before it decides. */
function looksBack(node: Node): boolean {
  return has(node, ['begin', 'behind', 'border']);
}

function has(node: Node, kinds: readonly Node['kind'][]): boolean {
  if (kinds.includes(node.kind)) return true;
  switch (node.kind) {
    case 'sequence':
      return node.parts.some((part) => has(part, kinds));
    case 'choice':
      return node.options.some((option) => has(option, kinds));
    case 'repeat':
    case 'ahead':
    case 'behind':
      return has(node.of, kinds);
    default:
      return false;
  }
}
