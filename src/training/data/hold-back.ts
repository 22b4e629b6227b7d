/** Where a recipe names no text for validation, a part of the training text is held back and never trained on. */

/** One of this many documents, or this part of each where there are fewer. */
const ONE_IN = 20;

export interface HeldBack<Document> {
  readonly kept: readonly Document[];
  readonly heldBack: readonly Document[];
}

/**
 * Of many documents every 20th is held back. Of fewer, each gives its end: about a 20th of its characters, from the beginning of a
 * line on, or of a word where the end has no other line. A document of one word gives nothing.
 */
export function holdBack<Document extends { readonly text: string }>(
  documents: readonly Document[],
  oneIn = ONE_IN,
): HeldBack<Document> {
  if (documents.length >= oneIn) {
    const isHeldBack = (i: number) => i % oneIn === oneIn - 1;
    return {
      kept: documents.filter((_, i) => !isHeldBack(i)),
      heldBack: documents.filter((_, i) => isHeldBack(i)),
    };
  }
  const kept: Document[] = [];
  const heldBack: Document[] = [];
  for (const document of documents) {
    const { text } = document;
    const at = cutNear(text, Math.floor(text.length * (1 - 1 / oneIn)));
    const [begin, end] = [text.slice(0, at).trimEnd(), text.slice(at).trim()];
    if (begin !== '') kept.push({ ...document, text: begin });
    if (end !== '') heldBack.push({ ...document, text: end });
  }
  return { kept, heldBack };
}

/** The first beginning of a line, else of a word, at or after `from`; else the last beginning of a word before it. */
function cutNear(text: string, from: number): number {
  for (const mark of [/\n/g, /\s/g]) {
    mark.lastIndex = from;
    const found = mark.exec(text);
    if (found && text.slice(found.index).trim() !== '') return found.index + 1;
  }
  const before = text.slice(0, from).search(/\s\S*$/);
  return before === -1 ? text.length : before + 1;
}
