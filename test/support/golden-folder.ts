/**
 * Golden cases are a folder: every case found is run by its kind's runner, and a case that no runner knows is a failure.
 *
 * The folder is CRIA_GOLDEN; without it test/golden, and of ../shared/golden (where it is there) what test/golden has no copy of.
 * A case is a folder with one of `caseFiles`, or a JSON file (JSON lines too) that lies outside of such folders. Its group is the first
 * part of its own `case` field, or else the folder that it lies in: so a part of the tree, taken alone, works too.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { shared } from './shared.ts';

const caseFiles = ['case.json', 'expected.json', 'vectors.json'];

export interface GoldenCase {
  /** The folder or file, absolute. */
  readonly path: string;
  /** For people: relative to the golden folder. */
  readonly title: string;
  /** Such as `forward`. */
  readonly group: string;
  /** The folder's or file's name, without .json. */
  readonly name: string;
  readonly isFile: boolean;
}

const copies = fileURLToPath(new URL('../golden/', import.meta.url));

export function goldenRoots(): readonly string[] {
  const chosen = process.env.CRIA_GOLDEN;
  if (chosen === undefined || chosen === '') return [copies, shared('golden/')].filter(existsSync);
  if (!existsSync(chosen)) throw new Error(`CRIA_GOLDEN: no such folder: ${chosen}`);
  return [resolve(chosen)];
}

export function findGoldenCases(roots = goldenRoots()): readonly GoldenCase[] {
  const [first, ...others] = roots;
  const found = casesUnder(first!);
  return [...found, ...others.flatMap((root) => casesUnder(root).filter((item) => !isCopied(root, item, first!)))];
}

function casesUnder(root: string): GoldenCase[] {
  const cases: GoldenCase[] = [];
  const visit = (folder: string) => {
    const entries = readdirSync(folder, { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const facts = entries.find(({ name }) => caseFiles.includes(name));
    if (facts) {
      cases.push({ path: folder, ...describe(root, folder, join(folder, facts.name)), isFile: false });
      return;
    }
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) visit(path);
      else if (/\.jsonl?$/.test(entry.name)) cases.push({ path, ...describe(root, path, path), isFile: true });
    }
  };
  visit(root);
  return cases;
}

function describe(root: string, path: string, facts: string) {
  const name = basename(path).replace(/\.jsonl?$/, '');
  const json = facts.endsWith('.json') ? (JSON.parse(readFileSync(facts, 'utf8')) as { readonly case?: unknown }) : {};
  const [own] = typeof json.case === 'string' && json.case.includes('/') ? json.case.split('/') : [];
  const title = relative(root, path) || name;
  return { title, name, group: own ?? basename(dirname(path)) };
}

/** Whether another root has the very same files at the same place. */
function isCopied(root: string, { path, isFile }: GoldenCase, other: string): boolean {
  const files = isFile
    ? [path]
    : readdirSync(path, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name));
  return files.every((file) => {
    const twin = join(other, relative(root, file));
    return existsSync(twin) && readFileSync(twin).equals(readFileSync(file));
  });
}
