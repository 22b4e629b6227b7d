/** What flows through the corpus: one text with where it came from and what is known about it. */
export interface Document {
  /** Stable and unique in the corpus: `source/file#n`, n counting from 0 in the file, or the reader's own id. */
  id: string;
  text: string;
  url?: string;
  title?: string;
  date?: string;
  /** Kept beside the text, so that thresholds can change without computing anything again. */
  attributes: Attributes;
}

export type AttributeValue = string | number | boolean;
export type Attributes = Record<string, AttributeValue>;

/** UTF-8 bytes of a string, without encoding it. A lone surrogate counts as U+FFFD. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) continue;
    if (code < 0x800) bytes += 1;
    else if (code >= 0xd800 && code < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      bytes += 2;
      i++;
    } else bytes += 2;
  }
  return bytes;
}

/** Unicode code points, what Python's len() counts; the papers' "characters". */
export function characterCount(text: string): number {
  let count = text.length;
  for (let i = 0; i + 1 < text.length; i++) {
    if ((text.charCodeAt(i) & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      count--;
      i++;
    }
  }
  return count;
}
