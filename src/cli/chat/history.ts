/** What was typed in earlier chats, kept only when the user asks for it. */
import { appendFileSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { makeFolder } from '../../platform/node/make-folder.ts';

const MOST_LINES = 1000;

/** $XDG_STATE_HOME/cria/chat-history, or the platform's place for such files. */
export function historyFile(env: Readonly<Record<string, string | undefined>>): string {
  const state = env.XDG_STATE_HOME || env.LOCALAPPDATA || join(homedir(), '.local', 'state');
  return join(state, 'cria', 'chat-history');
}

/** Newest first; empty when there is none yet. */
export function readHistory(path: string): string[] {
  try {
    const lines = readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
    return lines.slice(-MOST_LINES).reverse();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Readable by its owner alone. */
export function appendHistory(path: string, message: string): void {
  makeFolder(dirname(path), 0o700);
  appendFileSync(path, `${message.replaceAll('\n', ' ')}\n`, { mode: 0o600 });
}
