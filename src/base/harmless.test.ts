import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { harmless, harmlessJson } from './harmless.ts';

const steering = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

test('what steers a terminal becomes visible; words of every script stay', () => {
  strictEqual(harmless('\x1b[31mred\x1b]0;title\x07'), '\\x1b[31mred\\x1b]0;title\\x07');
  strictEqual(harmless('a\rb\x9b2J\u202etxt.exe\u2066'), 'a\\rb\\x9b2J\\u202etxt.exe\\u2066');
  strictEqual(harmless('half \ud800 \udfff'), 'half \\ud800 \\udfff');
  const words = 'café 한국어 日本語 עברית العربية 👨‍👩‍👧 \t\n½';
  strictEqual(harmless(words), words);
});

test('law: nothing that steers is left, and JSON means what it meant', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      ok(!steering.test(harmless(text)));
      const json = harmlessJson(JSON.stringify({ text }));
      ok(!steering.test(json));
      deepStrictEqual(JSON.parse(json), { text });
    }),
  );
});
