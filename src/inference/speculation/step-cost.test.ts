import { ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { StepCost } from './step-cost.ts';

function near(found: number, wanted: number, tolerance = 0.05): void {
  ok(Math.abs(found / wanted - 1) < tolerance, `${found}, expected about ${wanted}`);
}

test('costs are learnt: one row by itself, several as a line', () => {
  const cost = new StepCost(64);
  for (let i = 0; i < 40; i++) {
    cost.note(1, 10);
    cost.note(5, 34);
    cost.note(9, 46);
  }
  near(cost.of(1), 10);
  near(cost.of(5), 34);
  near(cost.of(7), 40);
  near(cost.of(13), 58);
});

test('with nothing measured, or one row only, or never one row, further rows are hoped to be cheap', () => {
  const cost = new StepCost(64);
  ok(!cost.isKnown && cost.of(1) < cost.of(2) && cost.of(2) < 2 * cost.of(1));
  cost.note(1, 100);
  near(cost.of(2), 104);
  const several = new StepCost(64);
  several.note(5, 116);
  near(several.of(1), 100);
});

test('one slow step does not count for much, and is forgotten; no row is free', () => {
  const cost = new StepCost(64);
  for (let i = 0; i < 20; i++) cost.note(1, 10);
  for (let i = 0; i < 20; i++) cost.note(9, 14);
  cost.note(9, 1000);
  ok(cost.of(9) < 25, String(cost.of(9)));
  const unlucky = new StepCost(64);
  for (let i = 0; i < 20; i++) unlucky.note(1, 10);
  unlucky.note(9, 1000);
  ok(unlucky.of(9) > 20);
  for (let i = 0; i < 1500; i++) unlucky.note(1, 10);
  near(unlucky.of(9), 13.2, 0.15);
  strictEqual(Math.round(unlucky.of(1)), 10);
  for (let i = 0; i < 20; i++) unlucky.note(9, 1);
  ok(unlucky.of(9) >= 13);
});
