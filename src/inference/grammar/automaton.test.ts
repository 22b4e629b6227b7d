import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Automaton } from './automaton.ts';
import { choice, type Expression, type Grammar, repeat, rule, sequence, text } from './expression.ts';
import { buildNetwork } from './network/network.ts';
import { accepts, follow, idsOfSet, masksOf, readings, testVocabulary } from './testing/grammars.ts';

/** Random grammars over a and b: right, middle and no recursion, empty parts, repetitions within repetitions. */
const expressions = fc.letrec<{ node: Expression }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('a', 'b', 'ab', '').map(text),
    fc.constantFrom('root', 'one', 'two').map((name) => sequence('a', rule(name))),
    fc.constantFrom('root', 'one').map((name) => sequence('b', rule(name), 'a')),
    fc.constantFrom<Expression>(rule('leaf'), rule('maybe')),
    fc.array(tie('node'), { minLength: 0, maxLength: 3 }).map((parts) => sequence(...parts)),
    fc.array(tie('node'), { minLength: 1, maxLength: 3 }).map((options) => choice(...options)),
    fc
      .tuple(tie('node'), fc.constantFrom([0, null], [0, 1], [1, null], [1, 2], [0, 3]))
      .map(([of, [min, max]]) => repeat(of, min!, max as number | null)),
  ),
}));
const leaf = choice('a', 'bb');
const grammars: fc.Arbitrary<Grammar> = fc
  .tuple(expressions.node, expressions.node, expressions.node)
  .map(([root, one, two]) => ({
    root: 'root',
    rules: new Map([
      ['root', choice(root, 'abba')],
      ['one', choice(one, 'b')],
      ['two', choice(sequence('b', two), 'a')],
      ['leaf', leaf],
      ['maybe', choice('', sequence(leaf, 'b'))],
    ]),
  }));

function textsUpTo(length: number): string[] {
  return length === 0
    ? ['']
    : [
        ...textsUpTo(length - 1),
        ...Array.from({ length: 2 ** length }, (_, i) =>
          i.toString(2).padStart(length, '0').replaceAll('0', 'a').replaceAll('1', 'b'),
        ),
      ];
}

test('a text is accepted when the definition of the grammar says so; what can go on is not cut off', () => {
  const texts = textsUpTo(7);
  fc.assert(
    fc.property(grammars, (grammar) => {
      const automaton = new Automaton(buildNetwork(grammar));
      for (const value of texts) {
        const bytes = new TextEncoder().encode(value);
        const expected = readings(grammar, rule('root'), bytes, 0).has(bytes.length);
        strictEqual(follow(automaton, value)?.isAccepting === true, expected, JSON.stringify(value));
      }
    }),
    { numRuns: 150 },
  );
});

test('the mask allows exactly the tokens whose bytes can be read', () => {
  const tokens = textsUpTo(4).filter((value) => value.length > 1);
  const vocabulary = testVocabulary([...tokens, 'abc', '"']);
  fc.assert(
    fc.property(grammars, fc.array(fc.nat(50), { maxLength: 6 }), (grammar, choices) => {
      const masks = masksOf(grammar, vocabulary);
      let at = masks.automaton.start;
      for (const pick of choices) {
        const expected = [...vocabulary.bytesOf.keys()].filter((id) => masks.advance(at, id) !== null);
        if (at.isAccepting) expected.unshift(0);
        deepStrictEqual(idsOfSet(masks.maskOf(at)), expected);
        const next = expected.filter((id) => id !== 0);
        if (next.length === 0) break;
        at = masks.advance(at, next[pick % next.length]!)!;
      }
    }),
    { numRuns: 150 },
  );
});

test('from every position that a mask allows the end can be reached', () => {
  fc.assert(
    fc.property(grammars, fc.array(fc.nat(1), { maxLength: 12 }), (grammar, choices) => {
      const automaton = new Automaton(buildNetwork(grammar));
      let at = automaton.start;
      for (const pick of choices) {
        const ways = ['a', 'b'].map((letter) => follow(automaton, letter, at)).filter((next) => next !== null);
        if (ways.length === 0) break;
        at = ways[pick % ways.length]!;
      }
      const seen = new Set([at]);
      for (const position of seen) {
        if (position.isAccepting) return;
        for (const letter of ['a', 'b']) {
          const next = follow(automaton, letter, position);
          if (next && seen.size < 3000) seen.add(next);
        }
      }
      ok(seen.size >= 3000, 'a dead end');
    }),
    { numRuns: 100 },
  );
});

test('left recursion: rewritten where it is direct, refused with the names where it is not', () => {
  const sum = 'root ::= sum\nsum ::= sum "+" term | sum "-" term | term\nterm ::= [0-9]+';
  for (const [value, expected] of [
    ['1', true],
    ['1+2-33', true],
    ['1+', false],
    ['', false],
  ] as const) {
    strictEqual(accepts(sum, value), expected, value);
  }
  throws(
    () => accepts('root ::= a "x"\na ::= maybe b | "y"\nb ::= a "z"\nmaybe ::= "q"?', ''),
    /a → b → a, which begins with itself/,
  );
  throws(() => accepts('root ::= root', ''), /no text at all/);
  throws(() => accepts('root ::= "a" root', ''), /no text at all/);
});

test('hostile grammars stay bounded', () => {
  const long = 'a'.repeat(2000);
  // Exponentially many readings, polynomially many frames.
  strictEqual(accepts('root ::= "a" root "b" | "a" root "c" | "a"', `${'a'.repeat(200)}${'bc'.repeat(99)}b`), true);
  strictEqual(accepts('root ::= (("a"?)*)*', long), true);
  strictEqual(accepts('root ::= x x x x\nx ::= y y y\ny ::= ("a" | "aa" | "")*', long), true);
  strictEqual(accepts('root ::= ("a" | "a" "a")*', long), true);
  strictEqual(accepts('root ::= "x" root "y"? | "x"', 'x'.repeat(300)), true);
  strictEqual(accepts('root ::= "(" root ")" | "x"', `${'('.repeat(10_000)}x${')'.repeat(10_000)}`), true);
  strictEqual(accepts('root ::= "(" root | "x"', `${'('.repeat(50_000)}x`), true);
  throws(() => accepts('root ::= ((((("a"{1000}){1000}){1000})))', ''), { code: 'grammar.too-large' });
  throws(() => accepts('root ::= (((("" {9999}){9999}){9999}){9999})', ''), { code: 'grammar.too-large' });
  throws(() => accepts('root ::= ("a"? ){90000}', long), { code: 'grammar.too-ambiguous' });
});

test('a repetition as long as the limit, one step at a time', () => {
  strictEqual(accepts('root ::= c{2,60000}\nc ::= [a-z]', 'q'.repeat(3000)), true);
});

test('token literals: named, by number, anything but; text never becomes a special token', () => {
  const vocabulary = testVocabulary(['think', '<th']);
  const masks = masksOf('root ::= <think> !<[102]>{2} "<think>"', vocabulary);
  const at = masks.automaton.start;
  deepStrictEqual(idsOfSet(masks.maskOf(at)), [1]);
  const inside = masks.advance(at, 1)!;
  const allowed = idsOfSet(masks.maskOf(inside));
  strictEqual(allowed.length, vocabulary.size - 3); // neither the end, nor a special token, nor 102
  ok(!allowed.includes(102) && masks.advance(inside, 102) === null && masks.advance(inside, 1) === null);
  const after = masks.advance(masks.advance(inside, 50)!, 258)!;
  deepStrictEqual(idsOfSet(masks.maskOf(after)), [2 + 0x3c, 259]);
  throws(
    () => masksOf('root ::= <nothing>', vocabulary),
    /expected tokens of this model's vocabulary, found <nothing>/,
  );
});

test('characters split over tokens: any byte of a character of the class, nothing else', () => {
  const masks = masksOf('root ::= [가-힣]', testVocabulary([]));
  const lead = idsOfSet(masks.maskOf(masks.automaton.start));
  deepStrictEqual(
    lead,
    [0xea, 0xeb, 0xec, 0xed].map((byte) => byte + 2),
  );
  const second = masks.advance(masks.automaton.start, 0xed + 2)!;
  strictEqual(idsOfSet(masks.maskOf(second)).at(-1), 2 + 0x9e); // 힣 is ED 9E A3
});
