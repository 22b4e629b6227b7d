/** The page's keys: what the help shows, in the order shown. The composer and the page act on them. */
import type { Strings } from './strings/languages.ts';

type WordKey = { [key in keyof Strings]: Strings[key] extends string ? key : never }[keyof Strings];

export const keys: readonly (readonly [combination: string, does: WordKey])[] = [
  ['Enter', 'keySend'],
  ['Shift+Enter', 'keyLine'],
  ['Esc', 'keyStop'],
  ['Ctrl+Shift+O', 'keyNew'],
  ['Ctrl+K', 'keySearch'],
  ['Alt+↑ / Alt+↓', 'keyNeighbour'],
  ['↑', 'keyEdit'],
  ['Ctrl+/', 'keyHelp'],
];

export type PageKey = 'stop' | 'new' | 'search' | 'help' | 'previous' | 'next';

/** What a key that the page listens to, wherever it is pressed, asks for. */
export function pageKey(event: KeyboardEvent): PageKey | null {
  if (event.key === 'Escape') return 'stop';
  const isCommand = event.ctrlKey || event.metaKey;
  if (isCommand && event.shiftKey && event.key.toLowerCase() === 'o') return 'new';
  if (isCommand && !event.shiftKey && event.key.toLowerCase() === 'k') return 'search';
  if (isCommand && event.key === '/') return 'help';
  if (event.altKey && !isCommand && event.key === 'ArrowUp') return 'previous';
  if (event.altKey && !isCommand && event.key === 'ArrowDown') return 'next';
  return null;
}
