// One thread of measureLimits: every measurement begins when all threads have arrived.
import { parentPort, workerData } from 'node:worker_threads';
import { LIMIT_ROUND } from '../../../kernels/native/x64/limit.ts';
import { nativeInt8Limit } from '../../../platform/node/native/machine-code.ts';
import { instantiateLimits, type LimitsReport } from './limits.ts';

/** Far beyond any cache. */
const READ_BYTES = 192 * 2 ** 20;

const { module, threads, barrier, what, native } = workerData as {
  module: WebAssembly.Module;
  threads: number;
  barrier: Int32Array;
  what: 'all' | 'memory';
  native: boolean;
};
const MILLISECONDS = what === 'all' ? 500 : 250;
const { kernels, memory, base } = instantiateLimits(module, READ_BYTES / 65536 + 32);
const out = base + 8192;
const data = out + 8192;
new Uint8Array(memory.buffer, base).fill(1);

let arrivals = 0;
const report: LimitsReport = {
  read: rate(READ_BYTES, () => kernels.limitRead(data, READ_BYTES, out)),
  int8: what === 'memory' ? Infinity : int8Rate(),
  f32: what === 'memory' ? Infinity : rate(1000 * (4096 / 64) * 64, () => kernels.limitF32(base, 1000, out)),
};
parentPort!.postMessage(report);

function int8Rate(): number {
  if (!native) return rate(1000 * (4096 / 32) * 128, () => kernels.limitInt8(base, 1000, out));
  const run = nativeInt8Limit();
  return rate(10000 * LIMIT_ROUND, () => run(10000));
}

/** Amounts a second: the best of many runs, as other programs only take away. */
function rate(amount: number, run: () => void): number {
  for (const until = performance.now() + 50; performance.now() < until; ) run();
  Atomics.add(barrier, 0, 1);
  Atomics.notify(barrier, 0);
  arrivals += threads;
  for (let seen = Atomics.load(barrier, 0); seen < arrivals; seen = Atomics.load(barrier, 0)) {
    Atomics.wait(barrier, 0, seen, 1000);
  }
  let best = 0;
  for (const until = performance.now() + MILLISECONDS; performance.now() < until; ) {
    const start = performance.now();
    run();
    best = Math.max(best, (amount * 1000) / (performance.now() - start));
  }
  return best;
}
