/** Text files that go with a message: read from what the reader chose, dropped, or pasted. */
import type { TextFile } from '../conversation/conversation.ts';
import type { Strings } from '../strings/languages.ts';

/** A paste of more characters becomes a file, which the page need not lay out line by line. */
export const LONG_PASTE = 20_000;

/** Bytes. A request of the server's usual size holds as much. */
const LARGEST_FILE = 6e6;

/** The file, or a word of why it is none. */
export async function readTextFile(file: File): Promise<TextFile | ((t: Strings) => string)> {
  if (file.size > LARGEST_FILE) return (t) => t.tooLarge(file.name, sizeText(file.size));
  const bytes = new Uint8Array(await file.arrayBuffer());
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (!text.includes('\0')) return { name: file.name, text };
  } catch {}
  return (t) => t.notText(file.name);
}

/** With the files in it, under names that differ. */
export function withFiles(files: readonly TextFile[], added: readonly TextFile[]): readonly TextFile[] {
  const all = [...files];
  for (const { name, text } of added) {
    const [, stem = name, extension = ''] = /^(.+?)(\.[^.]*)?$/.exec(name) ?? [];
    let own = name;
    for (let i = 2; all.some((other) => other.name === own); i++) own = `${stem}-${i}${extension}`;
    all.push({ name: own, text });
  }
  return all;
}

export function sizeText(bytes: number): string {
  return bytes < 1000
    ? `${bytes} B`
    : bytes < 1e6
      ? `${(bytes / 1e3).toFixed(1)} kB`
      : `${(bytes / 1e6).toFixed(1)} MB`;
}
