/** What README and ARCHITECTURE say of the tree is there. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { test } from 'node:test';
import { root } from './sources.ts';

const pages = [
  ...['README.md', 'README.ko.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'],
  ...['docs/node.md', 'docs/browser.md', 'docs/bundlers.md', 'docs/serve.md'],
];
const read = (page: string) => readFileSync(root + page, 'utf8');

for (const page of pages) {
  test(`${page}: every path that it names exists`, () => {
    const text = read(page);
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path]) =>
      posix.join(posix.dirname(page), path!),
    );
    const quoted = [...text.matchAll(/`((?:src|test|docs|bench|models|recipes|scripts|bin)\/[^`*<…\s]*)`/g)].map(
      ([, path]) => path!,
    );
    const wrong = [...links, ...quoted].filter((path) => !existsSync(root + path));
    assert.deepEqual(wrong, []);
  });
}

for (const page of ['README.md', 'README.ko.md']) {
  test(`${page}: its tree lists the folders of src, all of them`, () => {
    const listed = [...read(page).matchAll(/^src\/(\S+)\/ /gm)].map(([, folder]) => folder!);
    const folders = readdirSync(`${root}src`, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() && readdirSync(`${root}src/${entry.name}`).length > 0 ? [entry.name] : [],
    );
    assert.deepEqual([...listed].sort(), folders.sort());
  });
}
