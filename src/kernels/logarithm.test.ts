import { ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../base/random.ts';
import { exponential, logarithm } from './logarithm.ts';
import { ConstantPool } from './writer/body.ts';
import { moduleOf } from './writer/module.ts';
import { functionOf } from './writer/statements.ts';
import { F32, F64 } from './writer/values.ts';

const log = functionOf('log', { x: F32 }, F64, ({ x }) => logarithm(x));
const exp = functionOf('exp', { x: F32 }, F64, ({ x }) => exponential(x.toF64()));
const bytes = moduleOf({
  target: { isRelaxed: false, hasDot: false, isShared: false },
  exports: { log: log.callee, exp: exp.callee },
  constants: new ConstantPool(2048, 4096),
  memory: { initial: 1, maximum: 1 },
});
const env = { memory: new WebAssembly.Memory({ initial: 1, maximum: 1 }) };
const kernels = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env }).exports as {
  log(x: number): number;
  exp(x: number): number;
};

/** Four units in the last place of an f64. */
const LIMIT = 4 * 2 ** -52;

test('logarithm and exponential are those of Math to some units in the last place', () => {
  const random = new Random(1);
  for (let i = 0; i < 2000; i++) {
    const x = Math.fround(2 ** (random.uniform() * 200 - 100));
    const expected = Math.log(x);
    ok(Math.abs(kernels.log(x) - expected) <= LIMIT * Math.abs(expected), `log ${x}`);
    const power = Math.fround(random.uniform() * 320 - 160);
    ok(Math.abs(kernels.exp(power) / Math.exp(power) - 1) <= LIMIT, `exp ${power}`);
  }
});

test('at their ends', () => {
  strictEqual(kernels.log(1), 0);
  strictEqual(kernels.log(Number.POSITIVE_INFINITY), Number.POSITIVE_INFINITY);
  strictEqual(kernels.log(Number.NaN), Number.NaN);
  strictEqual(kernels.exp(0), 1);
  strictEqual(Math.fround(kernels.exp(1000)), Number.POSITIVE_INFINITY);
  ok(kernels.exp(Number.NEGATIVE_INFINITY) < 1e-70);
  strictEqual(kernels.exp(Number.NaN), Number.NaN);
});
