import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { processorClock } from '../../../../test/support/processor-time.ts';
import { type Block, parseMarkdown } from './blocks.ts';
import { type Inline, parseInline, safeUrl } from './inline.ts';

const text = (value: string): Inline => ({ kind: 'text', text: value });

test('marks, code, links and what only looks like them', () => {
  deepStrictEqual(parseInline('a **b *c* d** e'), [
    text('a '),
    { kind: 'strong', parts: [text('b '), { kind: 'emphasis', parts: [text('c')] }, text(' d')] },
    text(' e'),
  ]);
  deepStrictEqual(parseInline('2 * 3 * 4 and snake_case_name'), [text('2 * 3 * 4 and snake_case_name')]);
  deepStrictEqual(parseInline('`a*b*` \\*c\\*'), [{ kind: 'code', text: 'a*b*' }, text(' *c*')]);
  deepStrictEqual(parseInline('see https://a.b/c, ok'), [
    text('see '),
    { kind: 'link', href: 'https://a.b/c', parts: [text('https://a.b/c')] },
    text(', ok'),
  ]);
  deepStrictEqual(parseInline('**open'), [text('**open')]);
});

test('only web and mail addresses become links', () => {
  for (const bad of ['javascript:alert(1)', 'data:text/html,x', '/etc/passwd', 'JaVaScRiPt:x', ' https://a b']) {
    strictEqual(safeUrl(bad), null, bad);
  }
  strictEqual(safeUrl('https://example.com/a?b=c#d'), 'https://example.com/a?b=c#d');
});

test('blocks: an open fence, nested lists, tables, quotes', () => {
  const kinds = (blocks: readonly Block[]) => blocks.map(({ kind }) => kind);
  deepStrictEqual(parseMarkdown('```py\nx = 1\n\ny'), [{ kind: 'code', language: 'py', text: 'x = 1\n\ny' }]);
  deepStrictEqual(parseMarkdown('~~~ *z {1}\nx'), [{ kind: 'code', language: '*z {1}', text: 'x' }]);
  deepStrictEqual(kinds(parseMarkdown('```a``` is code in a line')), ['paragraph']);
  deepStrictEqual(kinds(parseMarkdown('# a\ntext\nmore\n\n---\n> q\n\n| a |\n|---|\n| b |')), [
    'heading',
    'paragraph',
    'rule',
    'quote',
    'table',
  ]);
  const [list] = parseMarkdown('1. a\n2. b\n   - c\n   - d\n3. e') as [Extract<Block, { kind: 'list' }>];
  deepStrictEqual([list.start, list.items.length, kinds(list.items[1]!.blocks)], [1, 3, ['paragraph', 'list']]);
});

test('any text is parsed, loses no letter, and takes time in proportion', () => {
  const marks = ['*', '**', '_', '`', '[', '](', ')', '\n', '- ', '1. ', '> ', '|', '---', 'z', ' ', '#', '~~'];
  const letters = (value: string) => value.split('z').length - 1;
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...marks), { maxLength: 60 }), (parts) => {
      const source = parts.join('');
      strictEqual(letters(JSON.stringify(parseMarkdown(source))), letters(source));
    }),
    { numRuns: 300 },
  );
  for (const part of ['*', '[', '`a', '**a', '> ', '- ', '|', '_a ', '[](']) {
    const took = processorClock();
    parseMarkdown(part.repeat(20_000));
    ok(took() < 2000, `${part}: ${took()} ms`);
  }
});
