/**
 * HTML → the text a reader sees, roughly as Common Crawl's WET files have it: scripts and styles go, block elements end lines,
 * spaces collapse.
 *
 * Works on parse5's token stream, not on its tree: the tree of a hostile page can be quadratically larger than the page
 * (re-opened formatting elements), the tokens cannot, and text needs no tree.
 */
import { Tokenizer, TokenizerMode } from 'parse5';

export interface HtmlText {
  readonly text: string;
  readonly title: string;
}

/** Their content is not prose, or is not shown. */
const skipped = new Set(
  'script style noscript template iframe object svg math canvas audio video select datalist'.split(' '),
);
/** Their content is text up to their end tag, whatever it looks like (HTML, "Parsing elements that contain only text"). */
export const rawText: ReadonlySet<string> = new Set('style xmp iframe noembed noframes noscript'.split(' '));
const blocks = new Set(
  (
    'address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset figcaption figure footer form ' +
    'frameset h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol option p pre search section summary table tbody ' +
    'tfoot thead tr ul'
  ).split(' '),
);
const cells = new Set(['td', 'th']);

export interface HtmlOptions {
  /** Put before the text of a list item. RedPajama's StackExchange: `*`. */
  readonly listMarker?: string;
}

export function htmlToText(source: string, { listMarker = '' }: HtmlOptions = {}): HtmlText {
  const writer = new LineWriter();
  let title = '';
  let inTitle = false;
  let preDepth = 0;
  /** The element whose content is being skipped, and how many of the same name are open inside it. */
  let skipping = '';
  let skipDepth = 0;
  const characters = (chars: string): void => {
    if (inTitle) title += chars;
    else if (skipping === '') writer.text(chars, preDepth > 0);
  };
  const tokenizer: Tokenizer = new Tokenizer(
    { sourceCodeLocationInfo: false },
    {
      onStartTag({ tagName, selfClosing }) {
        if (tagName === 'title' || tagName === 'textarea') tokenizer.state = TokenizerMode.RCDATA;
        else if (tagName === 'script') tokenizer.state = TokenizerMode.SCRIPT_DATA;
        else if (rawText.has(tagName)) tokenizer.state = TokenizerMode.RAWTEXT;
        if (tagName === 'title' && title === '' && skipping === '') inTitle = true;
        if (skipping !== '') {
          if (tagName === skipping) skipDepth++;
          return;
        }
        if (skipped.has(tagName) && !selfClosing) {
          skipping = tagName;
          skipDepth = 1;
        } else if (blocks.has(tagName)) {
          writer.endLine();
          if (tagName === 'li') writer.text(listMarker, true);
          if (tagName === 'pre') preDepth++;
        } else if (cells.has(tagName)) writer.text(' ', false);
      },
      onEndTag({ tagName }) {
        if (tagName === 'title') inTitle = false;
        if (skipping !== '') {
          if (tagName === skipping && --skipDepth === 0) skipping = '';
          return;
        }
        if (blocks.has(tagName)) writer.endLine();
        if (tagName === 'pre' && preDepth > 0) preDepth--;
      },
      onCharacter: ({ chars }) => characters(chars),
      onWhitespaceCharacter: ({ chars }) => characters(chars),
      onNullCharacter: () => {},
      onComment: () => {},
      onDoctype: () => {},
      onEof: () => {},
      onParseError: null,
    },
  );
  tokenizer.write(source, true);
  return { text: writer.finish(), title: title.replace(/\s+/g, ' ').trim() };
}

/** Collapses spaces, drops empty lines, keeps preformatted text as it is. Text comes in many small pieces, which are joined once a line. */
class LineWriter {
  private readonly lines: string[] = [];
  private parts: string[] = [];
  /** A space now would be a second one, or the first of the line. */
  private afterSpace = true;

  text(chars: string, preformatted: boolean): void {
    if (preformatted) {
      const [first, ...rest] = chars.split('\n');
      this.add(first!);
      for (const next of rest) {
        this.endLine();
        this.add(next);
      }
      return;
    }
    const collapsed = chars.replace(/[ \t\n\r\f]+/g, ' ');
    this.add(this.afterSpace && collapsed.startsWith(' ') ? collapsed.slice(1) : collapsed);
  }

  endLine(): void {
    const line = this.parts.join('').trimEnd();
    if (line !== '') this.lines.push(line);
    this.parts = [];
    this.afterSpace = true;
  }

  finish(): string {
    this.endLine();
    return this.lines.join('\n');
  }

  private add(chars: string): void {
    if (chars === '') return;
    this.parts.push(chars);
    this.afterSpace = chars.endsWith(' ');
  }
}
