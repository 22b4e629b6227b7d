import { strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseGbnf } from './gbnf.ts';
import { accepts } from './testing/grammars.ts';

function check(grammar: string, yes: readonly string[], no: readonly string[]): void {
  for (const value of yes)
    strictEqual(accepts(grammar, value), true, `${grammar} should accept ${JSON.stringify(value)}`);
  for (const value of no)
    strictEqual(accepts(grammar, value), false, `${grammar} should refuse ${JSON.stringify(value)}`);
}

test('texts, alternatives, groups, counts', () => {
  check('root ::= "yes" | "no"', ['yes', 'no'], ['', 'yesno', 'ye']);
  check('root ::= ("a" | "b"){2,3} "c"?', ['ab', 'bbac'], ['a', 'abab', 'c']);
  check('root ::= "ab"{2}', ['abab'], ['abb', 'ab']);
  check('root ::= "a"{2,} "b"*', ['aa', 'aaaab'], ['a', 'ab']);
  check('root ::= "a"+ ("," "a"+)*', ['a', 'aa,a'], ['', 'a,']);
});

test('characters: ranges, everything but, any, escapes', () => {
  check('root ::= [a-cx]+', ['abcx'], ['d', '']);
  check('root ::= [^a-c\\n]', ['d', '한', '😀'], ['a', '\n', 'dd']);
  check('root ::= .', ['a', '\n', '😀'], ['', 'ab']);
  check('root ::= "\\x41\\u00e9\\U0001F600\\t\\\\\\""', ['Aé😀\t\\"'], ['A']);
  check('root ::= [\\]\\[\\-]+ [a-]', ['][-a', '[-'], ['a']);
});

test('layout: comments, rules over several lines, rules that use each other', () => {
  const grammar = `# a list
root ::= "[" ws (item    # the first
  ("," ws item)*
)? "]"
item ::= number
  | root
  |
    "null"
number ::= [0-9]+
ws ::= " "*
`;
  check(grammar, ['[]', '[1]', '[1, 22,[null]]'], ['[1,]', '[', '1']);
});

test('what is wrong, with line and column', () => {
  const cases: [source: string, message: RegExp][] = [
    ['root := "a"', /^grammar 1:6: expected ::=, found ":="/],
    ['root ::= "a', /^grammar 1:12: expected a closing ", found the end\./],
    ['root ::= "a"\nroot ::= "b"', /^grammar 2:1: expected each rule once, found a second root/],
    ['root ::= ("a"', /^grammar 1:14: expected \), found the end/],
    ['root ::= [z-a]', /^grammar 1:11: expected a range from a lower to a higher character, found z-a/],
    ['root ::= itm\nitem ::= "a"', /^grammar 1:10: expected a rule itm somewhere, found none\. Did you mean item\?/],
    ['start ::= "a"', /expected a rule named root, found only start/],
    ['', /expected a rule named root, found no rule/],
    ['root ::= "\\q"', /^grammar 1:11: expected one of the escapes .*, found \\q/],
    ['root ::= "\\u12"', /4 hexadecimal digits/],
    ['root ::= "a"{3,2}', /\{m,n\} with m ≤ n, found \{3,2\}/],
    ['root ::= "a"{x}', /expected \{m\}, \{m,\} or \{m,n\}/],
    ['root ::= "a" ) "b"', /^grammar 1:14: expected the end of the line, found "\)"/],
    ['root ::= <a b>', /expected a token: <name> or <\[id\]>/],
    [`root ::= ${'('.repeat(300)}`, /at most 200 parentheses/],
    ['root ::= "a"{999999}', /counts up to/],
  ];
  for (const [source, message] of cases) throws(() => parseGbnf(source), { code: 'grammar.syntax', message });
});

test('any text is parsed or refused, never more', () => {
  const words = fc.constantFrom(
    'root',
    '::=',
    '"a"',
    '[',
    ']',
    '(',
    ')',
    '|',
    '*',
    '{2,',
    '}',
    '<x>',
    '!',
    '\\',
    '#',
    '\n',
    ' ',
    '😀',
    '-',
    '^',
  );
  fc.assert(
    fc.property(fc.array(words, { maxLength: 30 }), (parts) => {
      try {
        parseGbnf(parts.join(''));
      } catch (error) {
        strictEqual((error as { code?: string }).code, 'grammar.syntax', String(error));
      }
    }),
    { numRuns: 500 },
  );
});
