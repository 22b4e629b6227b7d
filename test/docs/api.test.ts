/** docs/api.md is what the sources say. */
import { equal, match, ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const { apiMarkdown } = (await import(new URL('../../scripts/api-docs.js', import.meta.url).href)) as {
  apiMarkdown(): Promise<string>;
};
const page = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');

test('docs/api.md is made from the sources as they are; if not: npm run docs', async () => {
  equal(page, await apiMarkdown());
});

test('every entry of the package and the names that the README uses are in it, with their comments', () => {
  for (const heading of ['## cria\n', '## cria/training\n', '## cria/server\n', '## cria/ai-sdk\n', '### Llama\n']) {
    ok(page.includes(heading), heading);
  }
  ok(page.includes('A LLaMA, loaded and running in a worker thread.'));
  match(page, /trace\(\s*ids: ArrayLike<number>,\s*names: readonly string\[\],[\s\S]{0,200}\): Promise<Traces>;/);
  ok(/\| `temperature` \| number \| `0\.8` \|/.test(page));
  ok(!/\bprivate [a-z]/.test(page));
});
