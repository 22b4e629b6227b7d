/** For tests and benchmarks: small vocabularies, grammars as automata, and what a text or a token does to them. */
import { Automaton, type Position } from '../automaton.ts';
import type { Expression, Grammar } from '../expression.ts';
import { parseGbnf } from '../gbnf.ts';
import { buildNetwork } from '../network/network.ts';
import { TokenMasks, type TokenSet } from '../token-masks.ts';
import { type GrammarVocabulary, vocabularyOf } from '../vocabulary.ts';

const utf8 = new TextEncoder();

/** Token 0 ends a text, token 1 is the special token `<think>`; then every byte, then the texts. */
export function testVocabulary(texts: readonly string[]): GrammarVocabulary {
  const bytesOf = [
    null,
    null,
    ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
    ...texts.map((text) => utf8.encode(text)),
  ];
  return vocabularyOf(bytesOf, bytesOf.length, [0], (text) => (text === '<think>' ? 1 : null));
}

export function masksOf(grammar: Grammar | string, vocabulary: GrammarVocabulary): TokenMasks {
  const parsed = typeof grammar === 'string' ? parseGbnf(grammar) : grammar;
  return new TokenMasks(new Automaton(buildNetwork(parsed)), vocabulary);
}

/** Where a text leads, byte by byte. */
export function follow(automaton: Automaton, text: string, from: Position | null = automaton.start): Position | null {
  let at = from;
  for (const byte of utf8.encode(text)) at = at && automaton.step(at, automaton.network.classOf[byte]!);
  return at;
}

export function accepts(grammar: Grammar | string, text: string): boolean {
  const parsed = typeof grammar === 'string' ? parseGbnf(grammar) : grammar;
  return follow(new Automaton(buildNetwork(parsed)), text)?.isAccepting === true;
}

export function idsOfSet(set: TokenSet): number[] {
  if ('ids' in set) return [...set.ids].sort((a, b) => a - b);
  return [...set.bits].flatMap((word, w) =>
    Array.from({ length: 32 }, (_, bit) => 32 * w + bit).filter((id) => (word >>> (id & 31)) & 1),
  );
}

/**
 * What a grammar means, by its definition: the ends of all ways to read the expression from `at`. Knows neither tokens nor left
 * recursion.
 */
export function readings(grammar: Grammar, expression: Expression, bytes: Uint8Array, at: number): Set<number> {
  const each = (starts: Iterable<number>, part: Expression) =>
    new Set([...starts].flatMap((start) => [...readings(grammar, part, bytes, start)]));
  switch (expression.kind) {
    case 'bytes':
      return new Set(expression.bytes.every((byte, i) => bytes[at + i] === byte) ? [at + expression.bytes.length] : []);
    case 'byte':
      return new Set(bytes[at]! >= expression.from && bytes[at]! <= expression.to ? [at + 1] : []);
    case 'characters': {
      const [point] = new TextDecoder().decode(bytes.subarray(at));
      const code = point?.codePointAt(0) ?? -1;
      const isIn = expression.set.some(([from, to]) => code >= from && code <= to);
      return new Set(isIn ? [at + utf8.encode(point!).length] : []);
    }
    case 'sequence':
      return expression.parts.reduce<Set<number>>((starts, part) => each(starts, part), new Set([at]));
    case 'choice':
      return new Set(expression.options.flatMap((option) => [...readings(grammar, option, bytes, at)]));
    case 'repeat': {
      let ends = new Set([at]);
      for (let i = 0; i < expression.min; i++) ends = each(ends, expression.of);
      const all = new Set(ends);
      for (let i = expression.min; ends.size > 0 && i < (expression.max ?? Number.POSITIVE_INFINITY); i++) {
        ends = new Set([...each(ends, expression.of)].filter((end) => !all.has(end)));
        for (const end of ends) all.add(end);
      }
      return all;
    }
    case 'rule':
      return readings(grammar, grammar.rules.get(expression.name)!, bytes, at);
    default:
      throw new Error(`readings: ${expression.kind} has no reading here`);
  }
}
