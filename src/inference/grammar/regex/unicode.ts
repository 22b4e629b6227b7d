/** Sets of characters by Unicode property, as this engine knows them. */
import { type CharacterSet, characterSet } from '../characters.ts';

const found = new Map<string, CharacterSet>();
let allCharacters = '';

/** `L`, `Lu`, `Script=Greek`, `Alphabetic` …; null where there is no such property. */
export function unicodeProperty(name: string): CharacterSet | null {
  const known = found.get(name);
  if (known) return known;
  if (!/^\w{1,64}(?:=\w{1,64})?$/.test(name)) return null;
  let runs: RegExp;
  try {
    runs = new RegExp(`\\p{${name}}+`, 'gu');
  } catch {
    return null;
  }
  const ranges: [number, number][] = [];
  for (const [run] of everyCharacter().matchAll(runs)) {
    // Neighbours in the text are neighbours in Unicode, but for the surrogates, which characterSet leaves out.
    const last = run.charCodeAt(run.length - 1);
    const isPair = last >= 0xdc00 && last <= 0xdfff;
    ranges.push([run.codePointAt(0)!, run.codePointAt(run.length - (isPair ? 2 : 1))!]);
  }
  const set = characterSet(ranges);
  found.set(name, set);
  return set;
}

function everyCharacter(): string {
  if (allCharacters === '') {
    const blocks: string[] = [];
    for (let first = 0; first <= 0x10ffff; first += 0x1000) {
      const points = Array.from({ length: 0x1000 }, (_, i) => first + i);
      blocks.push(String.fromCodePoint(...points.filter((point) => point < 0xd800 || point > 0xdfff)));
    }
    allCharacters = blocks.join('');
  }
  return allCharacters;
}
