import { ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { StepCost } from './step-cost.ts';

test('costs are learnt, and read between what was measured', () => {
  const cost = new StepCost(64);
  for (let i = 0; i < 40; i++) {
    cost.note(1, 10);
    cost.note(9, 26);
  }
  const near = (rows: number, ms: number) => ok(Math.abs(cost.of(rows) / ms - 1) < 0.02, `${rows}: ${cost.of(rows)}`);
  near(1, 10);
  near(5, 18);
  near(9, 26);
  ok(cost.of(10) > cost.of(9) && cost.of(64) > cost.of(10));
});

test('with nothing measured, and above and below what was, it grows with the rows', () => {
  const cost = new StepCost(64);
  ok(cost.of(1) < cost.of(2) && cost.of(2) < 2 * cost.of(1));
  cost.note(4, 100);
  ok(cost.of(1) < cost.of(3) && cost.of(3) < cost.of(4) && cost.of(4) < cost.of(5));
});

test('one slow step is not believed for long, and a larger batch bounds what a smaller one costs', () => {
  const cost = new StepCost(8);
  cost.note(2, 10);
  cost.note(2, 1000);
  ok(cost.of(2) < 13);
  cost.note(4, 5);
  strictEqual(cost.of(2), cost.of(4));
});
