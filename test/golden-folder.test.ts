/** Every golden case has a runner: what is put into the folder is checked, or said to be missing one. */
import { deepStrictEqual, ok } from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { goldenKinds } from './golden-kinds/all.ts';
import { Check, watched } from './support/golden-check.ts';
import { findGoldenCases, goldenRoots } from './support/golden-folder.ts';

const committed = fileURLToPath(new URL('./golden/', import.meta.url));
const kinds = Object.values(goldenKinds).flat();

/** Groups whose tests name the cases of test/golden themselves: cases elsewhere are not run, which is a failure. */
const byName = ['components', 'formats', 'forward', 'sampling-eval', 'tokenizers'];

describe(`golden cases of ${goldenRoots().join(' and ')}`, () => {
  for (const item of findGoldenCases()) {
    test(`${item.title} has a runner`, () => {
      ok(
        (byName.includes(item.group) && item.path.startsWith(committed)) || kinds.some((kind) => kind.matches(item)),
        `${item.title}: no runner of test/golden-kinds knows a case "${item.name}" of group "${item.group}"`,
      );
    });
  }
});

test('a folder of cases is found whole or in part, and a file that is no case is not', () => {
  const root = mkdtempSync(join(tmpdir(), 'cria-golden-'));
  try {
    mkdirSync(join(root, 'components/linear-2/model'), { recursive: true });
    mkdirSync(join(root, 'alignment'));
    writeFileSync(join(root, 'components/linear-2/case.json'), '{ "case": "components/linear-2" }');
    writeFileSync(join(root, 'components/linear-2/model/config.json'), '{}');
    writeFileSync(join(root, 'components/NOTES.md'), 'words');
    writeFileSync(join(root, 'alignment/dpo.json'), '{ "cases": [] }');
    const names = (folder: string) => findGoldenCases([folder]).map(({ group, name }) => `${group}/${name}`);
    deepStrictEqual(names(root), ['alignment/dpo', 'components/linear-2']);
    deepStrictEqual(names(join(root, 'alignment')), ['alignment/dpo']);
    deepStrictEqual(names(join(root, 'components/linear-2')), ['components/linear-2']);
    deepStrictEqual(findGoldenCases([root, root]).length, 2); // the second root's copies are not run twice
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('a field that no runner reads is seen', () => {
  const { facts, unread } = watched({
    cases: [
      { loss: 1, grad: [1, 2] },
      { loss: 2, grad: [3] },
    ],
    more: 3,
    about: '',
  });
  ok(facts.cases[0]!.loss + facts.cases[1]!.loss === 3);
  ok(facts.cases[0]!.grad.length === 2);
  deepStrictEqual(unread(['about']), ['cases[1].grad', 'more']);
});

test('what is compared is measured against its tolerance, and NaN never passes', () => {
  const check = new Check('case');
  check.close('a', [1, 2], [1, 2.5], { atol: 1 });
  deepStrictEqual([check.worst, check.at, check.compared], [0.5, 'a of case', 1]);
  for (const wrong of [[Number.NaN], [1, 1], [3]]) {
    let failed = false;
    try {
      check.close('b', wrong, [1], { atol: 1 });
    } catch {
      failed = true;
    }
    ok(failed, `${wrong} passed`);
  }
});
