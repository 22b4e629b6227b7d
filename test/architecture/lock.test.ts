/** `npm ci` refuses a lock file that leaves out what a package asks for, the builds for other machines included. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

interface Locked {
  readonly resolved?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}
const lock: { packages: Readonly<Record<string, Locked>> } = JSON.parse(readFileSync('package-lock.json', 'utf8'));

/** Where Node would look for `name` from the package at `place`, and whether the lock file has it there. */
function isLocked(name: string, place: string): boolean {
  for (let folder = place; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    const path = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`;
    if (Object.hasOwn(lock.packages, path)) return true;
    if (folder === '') return false;
  }
}

test('package-lock.json has every package that another one asks for', () => {
  const missing: string[] = [];
  for (const [place, { dependencies, devDependencies, optionalDependencies }] of Object.entries(lock.packages)) {
    const names = Object.keys({ ...dependencies, ...optionalDependencies, ...(place === '' && devDependencies) });
    for (const name of names)
      if (!isLocked(name, place)) missing.push(`${name}, which ${place || 'package.json'} needs`);
  }
  assert.ok(
    missing.length === 0,
    `npm ci will refuse package-lock.json, which lacks ${missing.join('; ')}. A registry that offers only some platforms ` +
      'leaves the others out of the file: put their name, version, os and cpu in by hand.',
  );
});

test('package-lock.json asks for exactly what package.json does', () => {
  const asked = JSON.parse(readFileSync('package.json', 'utf8'));
  const { dependencies, devDependencies } = lock.packages['']!;
  assert.deepEqual(
    { dependencies, devDependencies },
    {
      dependencies: asked.dependencies,
      devDependencies: asked.devDependencies,
    },
  );
});

test('package-lock.json names no registry: whoever installs takes their own', () => {
  const named = Object.entries(lock.packages).filter(([, { resolved }]) => resolved !== undefined);
  assert.deepEqual(
    named.map(([place]) => place),
    [],
  );
});
