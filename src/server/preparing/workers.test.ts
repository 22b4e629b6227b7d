import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import type { Opening } from './desk.ts';
import type { FromPreparer } from './protocol.ts';
import { PreparationWorkers, type PreparerPort } from './workers.ts';

test("a job's time begins when its worker is open, not while that starts", async () => {
  const hear: ((message: FromPreparer) => void)[] = [];
  const port = (): PreparerPort => ({
    post() {},
    onMessage: (handler) => void hear.push(handler),
    onDeath() {},
    hold() {},
    terminate() {},
  });
  const slept: { milliseconds: number; end: () => void }[] = [];
  const sleep = (milliseconds: number) => new Promise<void>((end) => slept.push({ milliseconds, end }));
  const workers = new PreparationWorkers(port, {} as Opening, { sleep }, { readSeconds: 3, waitingBytes: 1000 });
  const job = workers.run({ kind: 'constraint', spec: 'x' }, new AbortController().signal);
  strictEqual(slept.length, 0);
  hear[0]!({ kind: 'ready' });
  deepStrictEqual(
    slept.map(({ milliseconds }) => milliseconds),
    [3000],
  );
  slept[0]!.end();
  await rejects(job, /more than 3 s of work/);
  workers.close();
});
