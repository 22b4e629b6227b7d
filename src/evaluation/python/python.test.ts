import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { parseLiteral } from './literal.ts';
import { findAll, replaceAll } from './regex.ts';
import { capitalize, isDigits, rstrip, splitAtSpaces, splitWords, strip } from './text.ts';

test('patterns match what Python’s do', () => {
  deepStrictEqual(findAll('#### (\\-?[0-9\\.\\,]+)', 'a #### 1,000. #### -3'), ['1,000.', '-3']);
  deepStrictEqual(findAll('(-?[$0-9.,]{2,})|(-?[0-9]+)', 'is $18, or 5'), [
    ['$18,', ''],
    ['', '5'],
  ]);
  strictEqual(replaceAll('\\.$', '', '5.\n'), '5\n', '$ also stands before a last line break');
  strictEqual(replaceAll('(?s).*#### ', '', 'a\nb #### c'), 'c');
  strictEqual(replaceAll('.', '-', 'a\u2028\n'), '--\n', 'a dot stops at \\n alone');
  strictEqual(replaceAll('\\bthé ', '', 'thé x'), 'x', 'letters of any script make words');
  strictEqual(replaceAll('(?i)A(b)', '\\1\\1', 'xaB'), 'xBB');
  deepStrictEqual(findAll('(?P<a>x)(?P=a)', 'xxx'), ['x']);
  deepStrictEqual(findAll('[]a]+', 'b]a'), [']a']);
  deepStrictEqual(findAll('a{,2}b{', 'b{'), ['b{']);
  deepStrictEqual(findAll('\\d+', '٣4'), ['٣4']);
  throws(() => findAll('(', ''), { code: 'eval.regex' });
  throws(() => findAll('(?x) a', 'a'), { code: 'eval.regex', message: /the flag x/ });
});

test('literals of Python', () => {
  deepStrictEqual(parseLiteral("['a', \"b's\", None, True, -1.5, (1, 2), {'k': ['\\u00e9\\n']}]"), [
    'a',
    "b's",
    null,
    true,
    -1.5,
    [1, 2],
    { k: ['é\n'] },
  ]);
  strictEqual(parseLiteral("'a' 'b'"), 'ab');
  for (const text of ['[2,5)', '[1', "'a", 'x', '[1] 2', "'\\xg0'", '['.repeat(200)]) {
    strictEqual(parseLiteral(text), undefined, text);
  }
});

test('texts', () => {
  strictEqual(strip('\u2003\x1c a \u3000'), 'a');
  strictEqual(rstrip(' a\u0085'), ' a');
  strictEqual(strip('\ufeffa'), '\ufeffa', 'a byte order mark is no space in Python');
  strictEqual(capitalize('éLAN Vital'), 'Élan vital');
  deepStrictEqual(
    [splitWords(' a  b '), splitAtSpaces(' a  b ')],
    [
      ['a', 'b'],
      ['', 'a', 'b', ''],
    ],
  );
  deepStrictEqual([isDigits('12'), isDigits(''), isDigits('1.2')], [true, false, false]);
});
