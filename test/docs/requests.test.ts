/** docs/requests.md is what the request schemas say. */
import { equal, ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const { requestsMarkdown } = (await import(new URL('../../scripts/request-docs.js', import.meta.url).href)) as {
  requestsMarkdown(): string;
};

test('docs/requests.md is made from the schemas as they are; if not: npm run docs', () => {
  const page = readFileSync(new URL('../../docs/requests.md', import.meta.url), 'utf8');
  equal(page, requestsMarkdown());
  ok(/^\| `metadata` \| accepted without effect \|/m.test(page) && /^\| `input` \| honoured, required \|/m.test(page));
});
