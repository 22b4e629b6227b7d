import { equal, throws } from 'node:assert/strict';
import { existsSync, openSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { atPath, isSystemError, systemErrorInWords } from './system-error.ts';

test('a full disk names the file that was written', (t) => {
  if (!existsSync('/dev/full')) return t.skip('no /dev/full here');
  const file = openSync('/dev/full', 'w');
  throws(
    () => atPath('runs/x/metrics.jsonl', () => writeSync(file, 'x')),
    (error) => {
      const words =
        'runs/x/metrics.jsonl: expected room on the disk, found none left. Free some, or write elsewhere. (ENOSPC)';
      equal(isSystemError(error) && systemErrorInWords(error), words);
      return true;
    },
  );
});
