/** golden/eval-prompts: see test/support/golden-folder.ts for the folder, and test/golden-kinds for what is checked. */
import { strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { goldenKinds } from './golden-kinds/all.ts';
import { noPython } from './golden-kinds/evaluation-tasks.ts';
import { runGoldenKinds } from './support/golden-kinds.ts';

runGoldenKinds(goldenKinds['eval-prompts']);

test('the programs of humaneval and mbpp were run', { skip: noPython }, () => {
  strictEqual(noPython, false);
});
