/**
 * A page as blocks of text, with what tells main content from the rest: how many words there are, how many of them are links, and in which
 * containers the block lies. Works on parse5's token stream as htmlToText does (html-text.ts has the reason), with a stack of open elements
 * of its own, whose depth is bounded.
 */
import { type Token, Tokenizer, TokenizerMode } from 'parse5';
import { rawText } from '../html-text.ts';
import { isArticle, isAside } from './containers.ts';

export interface Block {
  readonly text: string;
  readonly words: number;
  readonly linkWords: number;
  readonly isHeading: boolean;
  /** Of the table row that it is a cell of; 0: none. */
  readonly row: number;
  /** The innermost container around it that is no main content by its name; 0: none. */
  readonly aside: number;
  /** Whether it lies in <article>, <main> or what is named like them. */
  readonly inArticle: boolean;
}

export interface Page {
  readonly title: string;
  readonly blocks: readonly Block[];
  /** Of a container that is no main content: the one around it; 0: none. */
  readonly asideAround: readonly number[];
}

/** Their content is not prose, or is not shown. */
const skipped = new Set(
  'script style noscript template iframe object svg math canvas audio video select textarea datalist button'.split(' '),
);
const boundaries = new Set(
  (
    'address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure footer form ' +
    'h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol option p pre search section summary table tbody td tfoot th ' +
    'thead tr ul'
  ).split(' '),
);
const voids = new Set('area base br col embed hr img input link meta param source track wbr'.split(' '));
/** What an element ends that was left open: the nearest of these names, but not beyond the containers that hold such elements. */
const ends: Readonly<Record<string, readonly [names: string, within: string]>> = {
  p: ['p', 'div td th li article section main body'],
  li: ['li', 'ul ol menu'],
  dt: ['dt dd', 'dl'],
  dd: ['dt dd', 'dl'],
  tr: ['tr', 'table'],
  td: ['td th', 'tr table'],
  th: ['td th', 'tr table'],
  option: ['option', 'select'],
};

/** Elements deeper than this count as part of the one that holds them. */
const MOST_OPEN = 400;

interface Open {
  readonly tag: string;
  readonly aside: number;
  readonly inArticle: boolean;
  readonly isLink: boolean;
  readonly isHeading: boolean;
  readonly row: number;
}

const outermost: Open = { tag: '', aside: 0, inArticle: false, isLink: false, isHeading: false, row: 0 };

export function blocksOf(source: string): Page {
  const collector = new Collector();
  const characters = (chars: string): void => collector.characters(chars);
  const tokenizer: Tokenizer = new Tokenizer(
    { sourceCodeLocationInfo: false },
    {
      onStartTag(tag) {
        const { tagName } = tag;
        if (tagName === 'title' || tagName === 'textarea') tokenizer.state = TokenizerMode.RCDATA;
        else if (tagName === 'script') tokenizer.state = TokenizerMode.SCRIPT_DATA;
        else if (rawText.has(tagName)) tokenizer.state = TokenizerMode.RAWTEXT;
        collector.start(tag);
      },
      onEndTag: ({ tagName }) => collector.end(tagName),
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
  return collector.finish();
}

class Collector {
  private readonly blocks: Block[] = [];
  private readonly open: Open[] = [];
  private top = outermost;
  private title = '';
  private inTitle = false;
  private preDepth = 0;
  /** The element whose content is skipped, and how many of its name are open inside it. */
  private skipping = '';
  private skipDepth = 0;
  private readonly asideAround: number[] = [0];
  private rows = 0;
  // The block that is being written.
  private parts: string[] = [];
  private linkWords = 0;
  private afterSpace = true;

  start(tag: Token.TagToken): void {
    const { tagName, selfClosing } = tag;
    if (this.skipping !== '') {
      if (tagName === this.skipping) this.skipDepth++;
      return;
    }
    if (tagName === 'title' && this.title === '') this.inTitle = true;
    if (skipped.has(tagName)) {
      if (!selfClosing) [this.skipping, this.skipDepth] = [tagName, 1];
      return;
    }
    if (tagName === 'br') this.write('\n');
    if (boundaries.has(tagName)) this.endBlock();
    if (voids.has(tagName)) return;
    const implied = ends[tagName];
    if (implied) this.endImplied(implied[0].split(' '), implied[1].split(' '));
    if (tagName === 'pre') this.preDepth++;
    if (this.open.length >= MOST_OPEN) return;
    const { top } = this;
    const inArticle = top.inArticle || isArticle(tag);
    this.top = {
      tag: tagName,
      aside: isAside(tag, top.inArticle) ? this.asideAround.push(top.aside) - 1 : top.aside,
      inArticle,
      isLink: top.isLink || tagName === 'a',
      isHeading: top.isHeading || /^h[1-6]$/.test(tagName),
      row: tagName === 'tr' ? ++this.rows : boundaries.has(tagName) && !/^t[dh]$/.test(tagName) ? 0 : top.row,
    };
    this.open.push(this.top);
  }

  end(tagName: string): void {
    if (tagName === 'title') this.inTitle = false;
    if (this.skipping !== '') {
      if (tagName === this.skipping && --this.skipDepth === 0) this.skipping = '';
      return;
    }
    if (boundaries.has(tagName)) this.endBlock();
    if (tagName === 'pre' && this.preDepth > 0) this.preDepth--;
    const at = this.open.findLastIndex(({ tag }) => tag === tagName);
    // A stray </p> or </a> ends nothing that lies around a container.
    if (at < 0 || (!boundaries.has(tagName) && this.open.slice(at + 1).some(({ tag }) => boundaries.has(tag)))) return;
    this.closeFrom(at);
  }

  characters(chars: string): void {
    if (this.inTitle) this.title += chars;
    else if (this.skipping === '') this.write(chars);
  }

  finish(): Page {
    this.endBlock();
    return { title: this.title.replace(/\s+/g, ' ').trim(), blocks: this.blocks, asideAround: this.asideAround };
  }

  private write(chars: string): void {
    if (this.preDepth === 0 && chars !== '\n') {
      const collapsed = chars.replace(/[ \t\n\r\f]+/g, ' ');
      this.add(this.afterSpace && collapsed.startsWith(' ') ? collapsed.slice(1) : collapsed);
    } else this.add(chars);
  }

  private add(chars: string): void {
    if (chars === '') return;
    this.parts.push(chars);
    this.afterSpace = /[ \n]$/.test(chars);
    // An address that is written out is something to read.
    if (this.top.isLink && !/^\s*(?:https?:|www\.)/.test(chars)) this.linkWords += countWords(chars);
  }

  private endBlock(): void {
    if (this.parts.length === 0) return;
    const lines = this.parts.join('').split('\n');
    const text = (this.preDepth > 0 ? lines.map((line) => line.trimEnd()) : lines.map((line) => line.trim()))
      .filter((line) => line !== '')
      .join('\n');
    const { isHeading, row, aside, inArticle } = this.top;
    const words = countWords(text);
    if (text !== '')
      this.blocks.push({ text, words, linkWords: Math.min(words, this.linkWords), isHeading, row, aside, inArticle });
    this.parts = [];
    this.linkWords = 0;
    this.afterSpace = true;
  }

  private endImplied(names: readonly string[], within: readonly string[]): void {
    for (let at = this.open.length - 1; at >= 0; at--) {
      const { tag } = this.open[at]!;
      if (names.includes(tag)) this.closeFrom(at);
      if (names.includes(tag) || within.includes(tag)) return;
    }
  }

  private closeFrom(at: number): void {
    this.open.length = at;
    this.top = this.open.at(-1) ?? outermost;
  }
}

/** Words with letters or digits; scripts without spaces count two characters as a word. */
export function countWords(text: string): number {
  const spaced = text.match(/[\p{L}\p{N}][^\s]*/gu)?.length ?? 0;
  const dense = text.match(/[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}]/gu)?.length ?? 0;
  return spaced + Math.floor(dense / 2);
}
