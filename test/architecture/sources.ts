/** The source files and what they import, for the tests of the architecture. */
import { globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

export interface Import {
  /** As written: '../base/assert.ts', 'node:fs', 'koffi'. */
  readonly specifier: string;
  /** Path from the root, for relative imports. */
  readonly path: string | null;
  readonly typeOnly: boolean;
}

export interface SourceFile {
  /** From the root, with forward slashes: 'src/base/assert.ts'. */
  readonly path: string;
  readonly text: string;
  /** The text with comments and the contents of strings blanked. */
  readonly code: string;
  readonly imports: readonly Import[];
  readonly isTest: boolean;
}

export function readSources(pattern: string): SourceFile[] {
  return globSync(pattern, { cwd: root, exclude: ['**/node_modules/**'] })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => !path.includes('/generated/'))
    .sort()
    .map((path) => {
      const text = readFileSync(root + path, 'utf8');
      return { path, text, code: blank(text), imports: importsOf(path, text), isTest: isTest(path) };
    });
}

/** Tests and what only tests use. */
function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.startsWith('test/') || path.includes('/testing/');
}

function importsOf(path: string, text: string): Import[] {
  const statements = text.matchAll(
    /^(?:import|export)\s+(type\s)?[^'"`;]*?from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm,
  );
  return [...statements].map(([, type, from, bare, dynamic]) => {
    const specifier = (from ?? bare ?? dynamic)!;
    const relative = specifier.startsWith('.');
    return {
      specifier,
      path: relative ? posix.normalize(posix.join(posix.dirname(path), specifier)) : null,
      typeOnly: type !== undefined,
    };
  });
}

/** Comments become spaces and strings become empty, so that a search finds code only. Line numbers stay. */
function blank(text: string): string {
  return text.replace(
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g,
    (part) => part.replace(/[^\n]/g, ' '),
  );
}
