import { ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { looksLikeModel, resolveModel } from './model-name.ts';

test('the bundled model is meant by nothing, by `bundled` and by its name', () => {
  const path = resolveModel(undefined);
  strictEqual(resolveModel('bundled'), path);
  strictEqual(resolveModel(path.replace(/^.*[\\/]|\.gguf$/g, '')), path);
  ok(looksLikeModel('bundled'));
  ok(!looksLikeModel('Once'));
  throws(() => resolveModel('bundeld'), /expected a file, a folder, the name of a bundled model/);
});
