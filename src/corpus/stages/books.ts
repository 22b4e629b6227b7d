import type { Document } from '../document.ts';
import type { Stage } from './stage.ts';

const start =
  /^[ \t]*(?:\*{3}[ \t]*START OF (?:THE|THIS) PROJECT GUTENBERG EBOOK.*\*{3}|\*END\*?[ \t]*THE SMALL PRINT!.*\*END\*.*|\*END THE SMALL PRINT.*)[ \t]*\r?$/im;
const end =
  /^[ \t]*(?:\*{3}[ \t]*END OF (?:THE|THIS) PROJECT GUTENBERG EBOOK.*|End of (?:the )?Project Gutenberg(?:'s|’s)?\b.*)$/im;
/** The licence at the top is no longer than this; a mark further down is the book quoting it. */
const HEADER_CHARACTERS = 40_000;

/** Takes Project Gutenberg's licence off both ends of a book; other texts pass unchanged. */
export function stripGutenberg(): Stage {
  return {
    name: 'gutenberg',
    apply(document: Document, log): undefined {
      const head = start.exec(document.text.slice(0, HEADER_CHARACTERS));
      if (head) {
        const at = head.index + head[0].length;
        log.removed('header', 0, document.text.slice(0, at));
        document.text = document.text.slice(at).replace(/^\s+/, '');
      }
      const tail = end.exec(document.text);
      if (tail) {
        log.removed('footer', 0, document.text.slice(tail.index));
        document.text = document.text.slice(0, tail.index).trimEnd();
      }
      return undefined;
    },
  };
}
