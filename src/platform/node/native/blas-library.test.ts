import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { cpuFlags } from '../machine.ts';
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
    if (cpuFlags().has('avx512vl')) assert.match(description, /SkylakeX|Cooperlake|SapphireRapids|Zen|Haswell/);
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
