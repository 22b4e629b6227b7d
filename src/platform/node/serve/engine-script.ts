/**
 * The engine's script for a page that computes a model itself. A package holds it once, as a text within the library's single file for
 * browsers (scripts/build-standalone.js); a clone has it as a file of its own.
 */
const BEFORE = 'new Worker(URL.createObjectURL(new Blob([';

/** The first worker's script in the single file; null: there is none, or it is no text as JSON has it. */
export function engineScriptOf(standalone: string): string | null {
  const at = standalone.indexOf(BEFORE);
  const from = at + BEFORE.length;
  if (at < 0 || standalone[from] !== '"') return null;
  for (let to = from + 1; to < standalone.length; to++) {
    if (standalone[to] === '\\') to++;
    else if (standalone[to] === '"') {
      try {
        return JSON.parse(standalone.slice(from, to + 1)) as string;
      } catch {
        return null;
      }
    }
  }
  return null;
}
