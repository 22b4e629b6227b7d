import { ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { processorClock } from '../../../../test/support/processor-time.ts';
import { parseInline } from './inline.ts';
import { type MathNode, parseMath } from './math.ts';

function written({ tag, attributes = {}, children }: MathNode): string {
  const signs = Object.entries(attributes).filter(
    ([name]) => name === 'class' || name === 'width' || name === 'linethickness',
  );
  const inner = children.map((child) => (typeof child === 'string' ? child : written(child))).join('');
  return `<${tag}${signs.map(([name, value]) => ` ${name}=${value}`).join('')}>${inner}</${tag}>`;
}
const drawn = (tex: string) => {
  const parsed = parseMath(tex);
  return parsed && written(parsed);
};

test('fractions, roots, scripts', () => {
  strictEqual(drawn('\\frac{a}{2}'), '<mfrac><mi>a</mi><mn>2</mn></mfrac>');
  strictEqual(drawn('\\sqrt[3]{x}'), '<mroot><mi>x</mi><mn>3</mn></mroot>');
  strictEqual(drawn('x_i^2'), '<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup>');
  strictEqual(drawn("f'"), '<msup><mi>f</mi><mo>′</mo></msup>');
  strictEqual(
    drawn('\\sum_{i=1}^n'),
    '<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover>',
  );
  strictEqual(drawn('\\int_0^1'), '<msubsup><mo>∫</mo><mn>0</mn><mn>1</mn></msubsup>');
});

test('fences, matrices, texts, alphabets', () => {
  strictEqual(drawn('\\left( x \\right]'), '<mrow><mo>(</mo><mi>x</mi><mo>]</mo></mrow>');
  strictEqual(
    drawn('\\begin{pmatrix}1&2\\\\3&4\\\\\\end{pmatrix}'),
    '<mrow><mo>(</mo><mtable class=math-matrix><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr>' +
      '<mtr><mtd><mn>3</mn></mtd><mtd><mn>4</mn></mtd></mtr></mtable><mo>)</mo></mrow>',
  );
  strictEqual(drawn('\\text{if } x'), '<mrow><mtext>if\u00a0</mtext><mi>x</mi></mrow>');
  strictEqual(drawn('\\mathbb{R}'), '<mi>ℝ</mi>');
  strictEqual(drawn('\\mathbf{v}'), '<mi>𝐯</mi>');
  strictEqual(drawn('\\hat{y}'), '<mover><mi>y</mi><mo>^</mo></mover>');
  strictEqual(drawn('\\unheardof'), '<mtext>\\unheardof</mtext>');
});

test('what is not closed, too deep or too long is not drawn', () => {
  for (const tex of [
    '\\frac{a',
    'a}',
    '\\left(',
    '\\begin{cases} x',
    '{'.repeat(100) + '}'.repeat(100),
    'x'.repeat(20_000),
  ]) {
    strictEqual(parseMath(tex), null, tex.slice(0, 20));
  }
});

test('any TeX is read or refused, in time', () => {
  const parts = [
    '\\frac',
    '{',
    '}',
    '^',
    '_',
    'x',
    '1',
    '\\left',
    '\\right',
    '(',
    ')',
    '\\begin{cases}',
    '\\end{cases}',
    '&',
    '\\\\',
    '\\sqrt',
    '[',
    ']',
    ' ',
    "'",
    '\\text',
    '\\hat',
    '\\not',
  ];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...parts), { maxLength: 40 }), (tex) => {
      parseMath(tex.join(''));
    }),
    { numRuns: 1000 },
  );
  const took = processorClock();
  parseMath('{x^'.repeat(3000));
  ok(took() < 1000);
});

test('dollars that are amounts stay dollars', () => {
  const kinds = (text: string) => parseInline(text).map(({ kind }) => kind);
  strictEqual(kinds('It costs $5, or $6.').join(), 'text');
  strictEqual(kinds('from $5 to $10').join(), 'text');
  strictEqual(kinds('so $x$ and \\(y\\)').join(), 'text,math,text,math');
  strictEqual(kinds('\\$x\\$').join(), 'text');
});
