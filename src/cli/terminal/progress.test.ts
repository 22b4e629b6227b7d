/** Progress of long work: where there is no terminal, a line now and then. */
import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes } from '../../base/units.ts';
import { startProgress } from './progress.ts';

test('a log gets a line for every ten seconds, and nothing of what takes less', ({ mock }) => {
  const lines: string[] = [];
  let ms = 0;
  mock.method(performance, 'now', () => ms);
  const stderr = { write: (text: string) => lines.push(text) };
  const progress = startProgress(
    { stderr },
    { what: 'reading', total: 40 * 2 ** 20, json: false, amount: formatBytes },
  );
  for (; ms <= 25_000; ms += 500) progress.update(ms * 1024);
  progress.end();
  deepEqual(lines, [
    'reading: 24 %, 9.77 MiB, 1000.0 KiB/s, 31 s left\n',
    'reading: 48 %, 19.5 MiB, 1000.0 KiB/s, 21 s left\n',
  ]);
});
