import { equal, match, rejects } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { removePartials } from './checkpoint-folder.ts';
import { lockRun } from './run-lock.ts';

const work = mkdtempSync(join(tmpdir(), 'cria-lock-'));
after(() => rmSync(work, { recursive: true, force: true }));
const silent = () => {};
const lockOf = (folder: string) => join(folder, 'run.lock');

test('a folder is one run’s until that gives it back', async () => {
  const folder = join(work, 'one');
  const unlock = await lockRun(folder, silent);
  await rejects(lockRun(folder, silent), new RegExp(`another run is at work here \\(process ${process.pid} on `));
  unlock();
  equal(existsSync(lockOf(folder)), false);
  (await lockRun(folder, silent))();
});

test('the lock of a process that is gone is taken over, aloud; that of another process or machine is not', async () => {
  const folder = join(work, 'two');
  mkdirSync(folder);
  const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)']);
  const owner = { pid: child.pid, host: hostname(), process: null, since: 'then' };
  writeFileSync(lockOf(folder), JSON.stringify(owner));
  await rejects(lockRun(folder, silent), /another run is at work here/);
  child.kill('SIGKILL');
  await new Promise((resolve) => child.on('exit', resolve));
  const said: string[] = [];
  (await lockRun(folder, (text) => said.push(text)))();
  match(said.join(), /the process that ran here is gone/);

  // The number of a process is given again: this one was started at another time.
  writeFileSync(lockOf(folder), JSON.stringify({ ...owner, pid: process.pid, process: 'earlier' }));
  (await lockRun(folder, silent))();
  writeFileSync(lockOf(folder), JSON.stringify({ ...owner, host: 'elsewhere' }));
  await rejects(lockRun(folder, silent), /on elsewhere, since then\).*remove .*run\.lock/);
  writeFileSync(lockOf(folder), '{"pid": 1'); // its writer died
  (await lockRun(folder, silent))();
});

test('of many starts at once one has the folder', async () => {
  const folder = join(work, 'many');
  mkdirSync(folder);
  writeFileSync(lockOf(folder), JSON.stringify({ pid: 2 ** 22 + 1, host: hostname(), process: null, since: 'then' }));
  const starts = await Promise.allSettled(Array.from({ length: 8 }, () => lockRun(folder, silent)));
  equal(starts.filter(({ status }) => status === 'fulfilled').length, 1);
  equal(JSON.parse(readFileSync(lockOf(folder), 'utf8')).pid, process.pid);
});

test('half-written folders go, and one that was about to be replaced comes back', () => {
  const folder = join(work, 'partials');
  for (const name of ['.a.partial', '.b.partial.old', '.c.partial.old', 'c', 'd', '.keep']) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  removePartials(folder, join(work, 'nowhere'));
  equal(readdirSync(folder).sort().join(' '), '.keep b c d');
});
