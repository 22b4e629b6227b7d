/** The answer of a worked solution: what stands in its last \boxed{…} or \fbox{…}. */

/** The last box with its braces, or `\boxed 7` up to a dollar sign; null: there is none, or its braces do not close. */
export function lastBox(text: string): string | null {
  if (text.includes('\\boxed ')) {
    const rest = text.slice(text.lastIndexOf('\\boxed ') + '\\boxed '.length);
    return `\\boxed ${rest.split('$')[0]}`;
  }
  return lastBracedBox(text);
}

/** The last box with its braces; null: there is none, or its braces do not close. */
export function lastBracedBox(text: string): string | null {
  const boxed = text.lastIndexOf('\\boxed');
  const start = boxed >= 0 ? boxed : text.lastIndexOf('\\fbox');
  if (start < 0) return null;
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    if (text[i] === '{') depth++;
    if (text[i] === '}' && --depth === 0) return text.slice(start, i + 1);
  }
  return null;
}

/** What a box holds; undefined: it is no \boxed{…}. */
export function contentOfBox(box: string): string | undefined {
  if (box.startsWith('\\boxed ')) return box.slice('\\boxed '.length);
  return box.startsWith('\\boxed{') && box.endsWith('}') ? box.slice('\\boxed{'.length, -1) : undefined;
}

export function boxedAnswer(solution: string): string | null {
  const box = lastBox(solution);
  return box === null ? null : (contentOfBox(box) ?? null);
}
