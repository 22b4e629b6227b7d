import { match } from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkpointName } from '../run-checkpoint.ts';
import { writeCheckpoint } from './checkpoint-folder.ts';

test('a full disk says whether there is a checkpoint to go on from', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cria-checkpoints-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const whatIsSaid = (step: number, isFull: boolean) => {
    try {
      writeCheckpoint(join(folder, checkpointName(step)), {}, () => {
        if (isFull) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      });
      return 'saved';
    } catch (error) {
      return String(error);
    }
  };
  match(whatIsSaid(1, true), /the disk is full.*There is none before it: .*the same command again/);
  match(whatIsSaid(1, false), /^saved$/);
  match(whatIsSaid(2, true), /the disk is full.*The checkpoints before it are whole: .*--resume/);
});
