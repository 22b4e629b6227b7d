/** How long a library stays loaded, in a process of its own, as the collector has to be called and loaded libraries never leave for certain. */
import { strictEqual } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { findFfi, noFfi } from './ffi.ts';

const skip =
  findFfi() === null ? noFfi : existsSync('/proc/self/maps') ? false : 'only Linux lists what a process has loaded';

test('a global library outlives its object, another does not', { skip }, () => {
  const program = `
    import { readFileSync } from 'node:fs';
    import { setTimeout as wait } from 'node:timers/promises';
    import { findFfi } from ${JSON.stringify(new URL('ffi.ts', import.meta.url).href)};
    const loaded = () => readFileSync('/proc/self/maps', 'utf8').includes('libBrokenLocale.so');
    const ffi = findFfi();
    const states = [loaded()];
    for (const global of [false, true]) {
      ffi.load('libBrokenLocale.so.1', { global });
      states.push(loaded());
      for (let round = 0; round < 5; round++) {
        await wait(5);
        globalThis.gc();
      }
      states.push(loaded());
    }
    console.log(states.join(' '));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', '--input-type=module', '--eval', program], {
    encoding: 'utf8',
  });
  strictEqual(stdout.trim(), 'false true false true true', stderr);
});
