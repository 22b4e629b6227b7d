import { rejects, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { mapForReading } from './memory.ts';

/** A device that is done at the `polls`-th empty submission, as Firefox is; null: never. */
function slow(polls: number | null) {
  let submissions = 0;
  let settle: () => void = () => {};
  const device = {
    createCommandEncoder: () => ({ finish: () => ({}) }),
    queue: {
      submit: () => {
        if (++submissions === polls) settle();
      },
    },
  } as unknown as GPUDevice;
  const mapAsync = () =>
    new Promise<void>((resolve) => {
      settle = resolve;
    });
  return { device, buffer: { mapAsync } as unknown as GPUBuffer, submissions: () => submissions };
}

const pause = () => new Promise<void>((resolve) => setImmediate(resolve));

test('with a pause empty work is submitted until the buffer is there, and then no more', async () => {
  const { device, buffer, submissions } = slow(3);
  await mapForReading(device, buffer, 4, pause);
  await pause();
  strictEqual(submissions(), 3);
});

test('it ends with what ended the buffer, and goes on for no device that has failed', async () => {
  const { device, submissions } = slow(null);
  const broken = { mapAsync: () => Promise.reject(new Error('lost')) } as unknown as GPUBuffer;
  await rejects(mapForReading(device, broken, 4, pause), /lost/);
  strictEqual(submissions(), 0);

  const silent = slow(null);
  let pauses = 0;
  const counted = async () => {
    pauses++;
    await pause();
  };
  void mapForReading(silent.device, silent.buffer, 4, counted, () => pauses >= 5);
  for (let i = 0; i < 20; i++) await pause();
  strictEqual(silent.submissions(), 4);
});

test('without one nothing is submitted', async () => {
  const { device, buffer, submissions } = slow(1);
  void mapForReading(device, buffer, 4, null);
  await pause();
  strictEqual(submissions(), 0);
});
