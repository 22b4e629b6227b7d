import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const path = new URL('RESULTS.md', import.meta.url);
const INTRODUCTION =
  '# Results\n\nWritten by `bench/compare.ts` and `bench/start.ts`; a section is replaced when its comparison is run again.\n';

/** Puts a section (`## title` and what follows) in the place of the one with the same title, or at the end. */
export function updateResults(section: string): void {
  const before = existsSync(path) ? readFileSync(path, 'utf8') : INTRODUCTION;
  const [introduction, ...sections] = before.split(/^(?=## )/m);
  const title = (text: string) => text.slice(0, text.indexOf('\n'));
  const others = sections.map((text) => text.trimEnd());
  const place = others.findIndex((text) => title(text) === title(section));
  if (place < 0) others.push(section.trimEnd());
  else others[place] = section.trimEnd();
  writeFileSync(path, `${introduction!.trimEnd()}\n\n${others.join('\n\n')}\n`);
}
