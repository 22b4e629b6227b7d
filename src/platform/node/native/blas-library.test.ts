import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { cpuFlags } from '../machine.ts';
import { loadBlas } from './blas.ts';
import { openBlasLibrary } from './blas-library.ts';

const here = openBlasLibrary();
const skip = here?.description.includes('OpenBLAS') ? false : 'no OpenBLAS here';
const at = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);

/** What a process of its own finds, in its main thread and in a worker whose process.env is a copy. */
function findings(env: Record<string, string>) {
  const script = `
    const { openBlasLibrary } = await import(${at('./blas-library.ts')});
    const { description, problem } = openBlasLibrary();
    console.log(JSON.stringify({ description, problem, coreType: process.env.OPENBLAS_CORETYPE ?? null }));`;
  const inWorker = `
    import { Worker } from 'node:worker_threads';
    new Worker(new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(script)})));`;
  return [script, inWorker].map((code) => {
    const words = ['--input-type=module', '-e', code];
    const { OPENBLAS_CORETYPE: _, ...others } = process.env;
    const { stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', env: { ...others, ...env } });
    assert.ok(stdout.startsWith('{'), stderr);
    return JSON.parse(stdout) as { description: string; problem: string | null; coreType: string | null };
  });
}

test('an OpenBLAS runs kernels with the vectors of this processor', { skip }, () => {
  for (const { description, problem, coreType } of findings({})) {
    assert.equal(problem, null);
    if (cpuFlags().has('avx512vl')) assert.match(description, /SkylakeX|Cooperlake|SapphireRapids/);
    else if (cpuFlags().has('avx2')) assert.match(description, /Haswell|Zen/);
    assert.equal(coreType, null, 'the environment is as it was');
  }
});

test("the user's own OPENBLAS_CORETYPE wins", { skip: skip || (process.arch === 'x64' ? false : 'not x64') }, () => {
  for (const { description, problem } of findings({ OPENBLAS_CORETYPE: 'Nehalem' })) {
    assert.match(description, /, Nehalem kernels\)/);
    assert.equal(problem, null);
  }
});

test('a library that is not there is not found', () => {
  assert.equal(openBlasLibrary({ CRIA_BLAS_LIBRARY: '/nowhere/libblas.so' }), null);
});

test('a product with one row or one column is made: a head of a single number, and its gradient', { skip }, () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const sgemm = loadBlas()!.sgemm!(memory);
  const numbers = new Float32Array(memory.buffer);
  numbers.set([1, 2, 3]); // dy [3 × 1]
  numbers.set([1, 10, 2, 20, 3, 30], 16); // x [3 × 2]
  sgemm(1, 2, 3, 0, 1, 1, 64, 2, 1, 0, 256, 2); // dyᵀ x
  assert.deepEqual([...numbers.subarray(64, 66)], [14, 140]);
  numbers.set([1, 2], 32); // w [1 × 2]
  sgemm(3, 1, 2, 64, 2, 1, 128, 1, 2, 0, 512, 1); // x wᵀ
  assert.deepEqual([...numbers.subarray(128, 131)], [21, 42, 63]);
});
