import { deepStrictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { Keeper } from './keeper.ts';
import type { Storage } from './world.ts';

/** Values whose reading takes until it is let go. */
function slowStorage() {
  const values = new Map<string, unknown>();
  const readings: (() => void)[] = [];
  const storage: Pick<Storage, 'keeps' | 'value' | 'changeValue'> = {
    keeps: true,
    value(key) {
      const value = values.get(key);
      return new Promise((resolve) => readings.push(() => resolve(value)));
    },
    async changeValue(key, update) {
      values.set(key, update(values.get(key)));
    },
  };
  const letGo = async () => {
    readings.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { storage: storage as Storage, values, letGo };
}

test('what this tab changes while the change of another tab is read is not undone by what was read', async () => {
  const { storage, values, letGo } = slowStorage();
  const told: unknown[] = [];
  const states: string[] = [];
  const keeper = new Keeper({ storage, tell: (notice) => told.push(notice) }, (keeping) => states.push(keeping));
  const shown: unknown[] = [];
  values.set('settings', 'theirs');
  const reading = keeper.readValue('settings', (kept) => shown.push(kept));
  await keeper.keepValue('settings', (kept) => `${kept}, then ours`);
  await letGo();
  deepStrictEqual(shown, [], 'what was read is older than what is shown');
  await keeper.keepValue('other', () => 'is another thing');
  await letGo();
  await reading;
  deepStrictEqual(shown, ['theirs, then ours']);
  deepStrictEqual(told, [
    { kind: 'value', key: 'settings' },
    { kind: 'value', key: 'other' },
  ]);
  deepStrictEqual(states, ['kept', 'kept']);
});

test('what could not be written is said and told to nobody', async () => {
  const { storage } = slowStorage();
  const states: string[] = [];
  const changeValue = async () => {
    throw new Error('the disk is full');
  };
  const tell = () => {
    throw new Error('told');
  };
  await new Keeper({ storage: { ...storage, changeValue }, tell }, (keeping) => states.push(keeping)).keepValue(
    'settings',
    () => 1,
  );
  deepStrictEqual(states, ['failed']);
});
