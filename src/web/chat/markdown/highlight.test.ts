import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { highlight } from './highlight.ts';

const marked = (text: string, language: string) =>
  highlight(text, language)
    .filter(({ kind }) => kind !== 'plain')
    .map((part) => `${part.kind} ${part.text}`);

test('comments, texts, numbers, keywords, names', () => {
  deepStrictEqual(marked('const a = f("x\\"y", 0x1f); // end', 'ts'), [
    'keyword const',
    'name f',
    'text "x\\"y"',
    'number 0x1f',
    'comment // end',
  ]);
  deepStrictEqual(marked('def f(): # c', 'python'), ['keyword def', 'name f', 'comment # c']);
  deepStrictEqual(marked('SELECT 1 -- c', 'sql'), ['keyword SELECT', 'number 1', 'comment -- c']);
  deepStrictEqual(marked('anything "at" all', 'brainfuck'), []);
});

test('every letter comes out again, whatever the text and the language', () => {
  const parts = ['"', "'", '`', '/*', '*/', '//', '#', '\n', '\\', 'if', '1e', '0x', 'a', '(', '"""', '<!--', '{-'];
  const languages = fc.constantFrom('ts', 'py', 'c', 'sh', 'sql', 'yaml', 'json', 'html', 'css', 'lisp', 'lua', '');
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...parts), { maxLength: 40 }), languages, (text, language) => {
      strictEqual(
        highlight(text.join(''), language)
          .map((part) => part.text)
          .join(''),
        text.join(''),
      );
    }),
    { numRuns: 500 },
  );
});
