/** Orders of texts that decide between equally frequent pieces. */

/** Of equally frequent pieces the shorter one, then the first in the order of code points (that of UTF-8 bytes). */
export function isShorterOrFirst(a: string, b: string): boolean {
  const lengthA = characterCount(a);
  const lengthB = characterCount(b);
  return lengthA !== lengthB ? lengthA < lengthB : isBeforeByCodePoint(a, b);
}

function characterCount(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xfc00) === 0xdc00) count--;
  return count;
}

export function isBeforeByCodePoint(a: string, b: string): boolean {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const unitA = a.charCodeAt(i);
    const unitB = b.charCodeAt(i);
    if (unitA === unitB) continue;
    const isPairA = unitA >= 0xd800 && unitA < 0xe000;
    const isPairB = unitB >= 0xd800 && unitB < 0xe000;
    return isPairA !== isPairB ? isPairB : unitA < unitB;
  }
  return a.length < b.length;
}
