import { ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { processorClock } from '../../../test/support/processor-time.ts';
import { isAgiEvalCorrect, statedAnswer } from './agieval.ts';
import { sameExpression } from './expressions.ts';

test('expressions that are the same', () => {
  for (const [a, b] of [
    ['\\frac12', '0.5'],
    ['1,234', '1234'],
    ['2\\sqrt{2}', '\\sqrt{8}'],
    ['x^2+2x+1', '(x+1)^2'],
    ['\\sin^2 x+\\cos^2 x', '1'],
    ['\\log_2 8', '3'],
    ['3 x 4', '12'],
    ['5!', '120'],
    ['\\binom{5}{2}', '10'],
    ['|-3|', '3'],
    ['\\frac{a+b}{2}', '\\frac{a}{2}+\\frac{b}{2}'],
    ['f(x)', 'f(x)'],
    ['x+1)', 'x+1'],
    ['5,6', '5'],
  ] as const) {
    ok(sameExpression(a, b), `${a} and ${b}`);
    ok(sameExpression(b, a), `${b} and ${a}`);
  }
});

test('expressions that are not, and what cannot be read', () => {
  for (const [a, b] of [
    ['\\sqrt{x^2}', 'x'],
    ['f(x)', 'f(y)'],
    ['x', 'y'],
    ['10^{20}+1', '10^{20}'],
    ['0.333', '\\frac13'],
    ['(1,2)', '(1,2)'],
    ['3.', '3'],
    ['.5', '.5'],
    ['x=5', 'x=5'],
    ['\\infty', '\\infty'],
    ['', ''],
    ['\\%', '\\%'],
    ['\\frac1', '\\frac1'],
    ['('.repeat(5000), '1'],
    ['{'.repeat(400), '1'],
  ] as const) {
    ok(!sameExpression(a, b), `${a.slice(0, 40)} and ${b}`);
  }
});

test('a long answer costs no time', () => {
  const took = processorClock();
  strictEqual(sameExpression(`${'9'.repeat(400)}^{${'9'.repeat(400)}}`, '1'), false);
  strictEqual(sameExpression('2^{2^{2^{2^{2^{2}}}}}', '1'), false);
  ok(took() < 2000);
});

test('the answer of a text as AGIEval takes it', () => {
  for (const [text, answer] of [
    ['so \\boxed{x = 4}, no $5$', '4'],
    ['\\fbox{3} \\boxed 7', null],
    ['it is $a$ and $y= 2$', '2'],
    ['thus x = 3.', '3'],
    ['x = 3\\n then', '3'],
    ['between 12 and 3.5 apples, 7th', '3.5'],
    ['none', null],
  ] as const) {
    strictEqual(statedAnswer(text), answer, text);
  }
  ok(!isAgiEvalCorrect('it is $1/2$', '\\boxed{1/3}'), 'of what a box holds the last number is taken');
  ok(
    isAgiEvalCorrect('\\boxed{5/2}', '\\boxed{1/2}'),
    'taken twice: of what the boxes hold the last numbers, as there',
  );
  ok(isAgiEvalCorrect('it is $12$', '12'));
  ok(!isAgiEvalCorrect('none', '12'));
});
