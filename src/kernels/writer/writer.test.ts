/** What the writer makes runs as it was said. */
import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { atomic } from './atomics.ts';
import { ConstantPool, type Target } from './body.ts';
import { moduleOf } from './module.ts';
import {
  clear,
  copyBytes,
  dispatch,
  each,
  functionOf,
  importOf,
  Kept,
  type KernelFunction,
  repeat,
  scope,
  store,
  variable,
  when,
} from './statements.ts';
import { choose, F32, F32x4, I8x16, I32, I32x4, type Value } from './values.ts';

const target: Target = { isRelaxed: false, hasDot: false, isShared: false };
const I = I32;

type Run = (...numbers: number[]) => number;

/** The exported functions, with views of their memory. */
function run(exports: Record<string, KernelFunction>) {
  const constants = new ConstantPool(2048, 4096);
  const bytes = moduleOf({ target, exports, constants, memory: { initial: 1, maximum: 1 } });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  return {
    call: instance.exports as Record<string, Run>,
    words: new Int32Array(memory.buffer),
    floats: new Float32Array(memory.buffer),
    bytes,
  };
}

/** A function of whole numbers. */
function of(
  count: number,
  write: (...parameters: I32[]) => Value | null,
  gives: KernelFunction['gives'] = 'i32',
): KernelFunction {
  return {
    name: 'it',
    takes: new Array(count).fill('i32'),
    gives,
    write: (parameters) => write(...(parameters as I32[])),
  };
}

test('a value is computed where it is said, however late it is used', () => {
  const { call } = run({
    it: of(1, (x) => {
      const sum = variable(x);
      const before = sum.value;
      const doubled = before.add(before);
      sum.value = I.of(100);
      return sum.value.add(doubled).add(before);
    }),
  });
  strictEqual(call.it!(7), 121);
});

test('a load stays before a later store', () => {
  const { call, words } = run({
    it: of(1, (at) => {
      const before = I.load(at);
      store(at, I.of(5));
      return before.add(I.load(at));
    }),
  });
  words[4] = 37;
  strictEqual(call.it!(16), 42);
});

test('loops, nested and empty', () => {
  const table: KernelFunction = of(2, (from, to) => {
    const sum = variable(I.of(0));
    each(from, to, 1, (i) => {
      each(0, i, 2, (j) => {
        sum.value = sum.value.add(i.mul(10)).add(j);
      });
    });
    return sum.value;
  });
  const { call } = run({ it: table });
  const expected = (from: number, to: number) => {
    let sum = 0;
    for (let i = from; i < to; i++) for (let j = 0; j < i; j += 2) sum += i * 10 + j;
    return sum;
  };
  for (const [from, to] of [
    [0, 0],
    [5, 5],
    [7, 3],
    [0, 9],
    [2, 6],
  ] as const)
    strictEqual(call.it!(from, to), expected(from, to));
});

test('conditions, cases, early ends and repetition', () => {
  const { call } = run({
    sign: of(1, (x) => {
      const it = variable(I.of(0));
      when(
        x.eq(0),
        () => {
          it.value = I.of(10);
        },
        () => {
          when(x.ltSigned(0), () => {
            it.value = I.of(20);
          });
        },
      );
      return it.value;
    }),
    one: of(1, (x) => {
      const it = variable(I.of(0));
      dispatch(
        x,
        [3, 5, 7].map((value) => () => {
          it.value = it.value.add(value);
        }),
      );
      return it.value;
    }),
    power: of(1, (x) => {
      const it = variable(I.of(1));
      scope((leave) => {
        repeat(() => {
          it.value = it.value.mul(3);
          leave(it.value.gt(100));
          return it.value.lt(x);
        });
        it.value = it.value.add(1);
      });
      return it.value;
    }),
  });
  deepStrictEqual(
    [0, -3, 3].map((x) => call.sign!(x)),
    [10, 20, 0],
  );
  deepStrictEqual(
    [0, 1, 2, 9].map((x) => call.one!(x)),
    [3, 5, 7, 7],
  );
  deepStrictEqual(
    [5, 50, 5000].map((x) => call.power!(x)),
    [10, 82, 243],
  );
});

test('functions call functions, once each in the module', () => {
  const square = functionOf('square', { x: F32 }, F32, ({ x }) => x.mul(x));
  const { call } = run({
    it: of(2, (a, b) => square({ x: a.toF32() }).add(square({ x: b.toF32() })), 'f32'),
    other: of(1, (a) => square({ x: a.toF32() }), 'f32'),
  });
  strictEqual(call.it!(3, 4), 25);
  strictEqual(call.other!(9), 81);
});

test('vectors, constants out of memory, bytes that are cleared and copied', () => {
  const { call, floats, words } = run({
    it: of(
      1,
      (at) => {
        const x = F32x4.load(at);
        store(at, x.mul(F32x4.constant(0.5)).add(F32x4.constant(-1.25)), 16);
        store(at, choose(I.load(at, 12).eq(0), I32x4.splat(1), I8x16.splat(-1).as(I32x4)), 32);
        clear(at.add(48), 16);
        copyBytes(at.add(48), at, 8);
        return x.shuffle(x, 3, 2, 1, 0).lane(0);
      },
      'f32',
    ),
  });
  floats.set([1, 2, 3, 4], 16);
  words.fill(-1, 28, 32);
  strictEqual(call.it!(64), 4);
  deepStrictEqual([...floats.subarray(20, 24)], [-0.75, -0.25, 0.25, 0.75]);
  deepStrictEqual([...words.subarray(24, 28)], [-1, -1, -1, -1]);
  deepStrictEqual([...floats.subarray(28, 32)], [1, 2, 0, 0]);
});

test('what is known when a kernel is written costs nothing, and what nobody uses is not there', () => {
  const plain = run({ it: of(1, (x) => I.load(x, 12)) });
  const folded = run({
    it: of(1, (x) => {
      const unused = F32x4.load(x).mul(F32x4.splat(3));
      unused.abs();
      return I.load(x.add(4).add(I.of(2).mul(3)).sub(2), 4);
    }),
  });
  strictEqual(folded.bytes.length, plain.bytes.length);
});

/** A kernel called "wrong": the error must begin with that name and the line of this file that says "here". */
function refuses(mistake: (x: I32) => void, expected: RegExp): void {
  const write = (x: I32) => {
    mistake(x);
    return x;
  };
  const wrong: KernelFunction = { ...of(1, write), name: 'wrong' };
  throws(
    () => run({ wrong }),
    ({ message }: Error) => {
      const place = message.match(/^kernel wrong \(writer\.test\.ts:(\d+)\): /);
      ok(place, message);
      ok(
        readFileSync(import.meta.filename, 'utf8')
          .split('\n')
          [Number(place[1]) - 1]!.includes('/* here */'),
        message,
      );
      match(message, expected);
      return true;
    },
  );
}

test('an error names the kernel and the line of TypeScript', () => {
  let stray: I32 | null = null;
  run({ it: of(1, (x) => (stray = x)) });
  refuses((x) => void x.add(stray!) /* here */, /a value of kernel it is used; pass it as an argument/);
  refuses((x) => {
    let inner = x;
    when(x, () => {
      inner = x.add(1);
    });
    store(x, inner); /* here */
  }, /a value is used that is computed in a block which has ended; keep it in a variable/);
  refuses((x) => {
    const vector = F32x4.splat(1);
    vector.add(x as unknown as F32x4); /* here */
  }, /f32x4\.add takes v128, v128, found v128, i32/);
  refuses((x) => {
    variable(x).value = F32.of(1) as unknown as I32; /* here */
  }, /a variable of i32 is set to f32/);
  refuses(() => {
    for (let i = 0; i < 1000; i++) I32x4.constant(i); /* here */
  }, /more than 512 constants/);
  refuses((x) => {
    each(0, x, 4, () => {
      const table: number[] = JSON.parse('[1,'); /* here */
      store(x, I32.of(table[0]!));
    });
  }, /JSON/);
  throws(() => I.of(1), /only while a kernel is written/);
});

test('a module imports functions, exports by name, and keeps numbers between calls', () => {
  const told: number[] = [];
  const tell = importOf('tell', { number: I32 });
  const kept = new Kept(1);
  const count = functionOf('count', { by: I32 }, I32, ({ by }) => {
    kept.value = kept.value.add(by);
    tell.call({ number: kept.value });
    return kept.value;
  });
  const bytes = moduleOf({
    target,
    exports: { count: count.callee },
    imports: [tell.callee],
    constants: new ConstantPool(2048, 4096),
    memory: { initial: 1, maximum: 1 },
    keptCount: 2,
  });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const env = { memory, tell: (number: number) => void told.push(number) };
  const [one, other] = [0, 1].map(() => new WebAssembly.Instance(new WebAssembly.Module(bytes), { env }).exports);
  const call = (instance: unknown, by: number) => (instance as Record<string, Run>).count!(by);
  deepStrictEqual([call(one, 3), call(one, 4), call(other, 5), told.join()], [3, 7, 5, '3,7,5']);
});

test('words that several threads change: what was there before is returned', () => {
  const { call, words } = run({
    it: of(1, (by) => {
      const word = atomic(I.of(64));
      word.store(10);
      const before = word.add(by).mul(1000);
      const after = word.sub(1);
      word.waitUntil((value) => value.ne(0));
      return before.add(after).add(word.load());
    }),
  });
  strictEqual(call.it!(7), 10_000 + 17 + 16);
  strictEqual(words[16], 16);
});
