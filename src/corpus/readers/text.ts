import type { Document } from '../document.ts';
import type { InputFile, ReadContext } from './reader.ts';

export interface TextOptions {
  /** What stands between documents in one file; without it a file is a document. */
  readonly separator: string | undefined;
}

/** Plain text: books, source files, or many documents with a separator such as `<|endoftext|>`. */
export async function* readText(file: InputFile, context: ReadContext, options: TextOptions): AsyncGenerator<Document> {
  const { separator } = options;
  let index = 0;
  for await (const text of splitText(file, separator, context.maximumRecordBytes)) {
    const id = separator === undefined ? file.name : `${file.name}#${index++}`;
    if (text === undefined)
      context.problem('record-too-large', `${id}: more than ${context.maximumRecordBytes} characters, skipped`);
    else if (text.includes('\0')) context.problem('binary', `${id}: holds NUL, is not text`);
    else if (text.trim() !== '') {
      if (text.includes('\ufffd')) context.problem('invalid-utf8', `${id}: broken UTF-8 was replaced by U+FFFD`);
      yield { id, text, attributes: { path: file.name } };
    }
  }
}

/** The texts between separators; undefined for one that is too long. Looks at every character once. */
async function* splitText(
  file: InputFile,
  separator: string | undefined,
  limit: number,
): AsyncGenerator<string | undefined> {
  const decoder = new TextDecoder('utf-8');
  let parts: string[] = [];
  let length = 0;
  /** The end of what has been searched, which may be the beginning of a separator. */
  let tail = '';
  const take = (): string | undefined => {
    const text = length > limit ? undefined : parts.join('');
    parts = [];
    length = 0;
    return text;
  };
  const keep = (text: string): void => {
    length += text.length;
    if (length <= limit) parts.push(text);
    else parts = [];
  };
  for await (const chunk of file.chunks()) {
    let text = tail + decoder.decode(chunk, { stream: true });
    tail = '';
    if (separator === undefined) {
      keep(text);
      if (length > limit) break;
      continue;
    }
    for (let at = text.indexOf(separator); at >= 0; at = text.indexOf(separator)) {
      keep(text.slice(0, at));
      yield take();
      text = text.slice(at + separator.length);
    }
    const safe = Math.max(0, text.length - separator.length + 1);
    keep(text.slice(0, safe));
    tail = text.slice(safe);
  }
  keep(tail + decoder.decode());
  yield take();
}
