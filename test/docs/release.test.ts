/** The release workflow calls what is there, and publishes only what was tested. */
import { deepEqual, ok } from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const manifest = JSON.parse(read('package.json')) as {
  version: string;
  scripts: Record<string, string>;
  engines: { node: string };
};

interface Job {
  readonly needs?: string | readonly string[];
  readonly if?: string;
  readonly strategy?: { readonly matrix: Record<string, readonly (string | number)[]> };
  readonly permissions?: Record<string, string>;
  readonly steps: readonly { readonly run?: string }[];
}
const { jobs } = parse(read('.github/workflows/release.yml')) as { jobs: Record<string, Job> };

test('every script and file that the workflow calls exists', () => {
  const runs = Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []));
  const scripts = runs.flatMap((run) => [...run.matchAll(/npm run (\S+)/g)].map(([, name]) => name!));
  deepEqual(
    scripts.filter((name) => !(name in manifest.scripts)),
    [],
  );
  ok(runs.includes('.ci/run') && existsSync(new URL('.ci/run', root)));
});

test('what is published was tested on three systems, and tried on every supported Node, with provenance', () => {
  const systems = ['ubuntu-latest', 'macos-latest', 'windows-latest'];
  deepEqual(jobs.publish!.needs, ['test', 'pack', 'try']);
  deepEqual(jobs.test!.strategy!.matrix.os, systems);
  deepEqual(jobs.try!.strategy!.matrix.os, systems);
  const oldest = Number(/(\d+)/.exec(manifest.engines.node)![1]);
  deepEqual(Math.min(...jobs.try!.strategy!.matrix.node!.map(Number)), oldest);
  ok(jobs.publish!.if?.includes('refs/tags/v') && jobs.publish!.permissions?.['id-token'] === 'write');
  ok(jobs.publish!.steps.some(({ run }) => run?.includes('--provenance')));
});

test('CHANGELOG.md knows the version', () => {
  ok(read('CHANGELOG.md').includes(manifest.version));
});
