/**
 * The main content of a page: the text that it was published for, without menus, advertisements, comments and lists of other pages.
 *
 *   1. What lies in containers that are named as something else goes (containers.ts), but for one that holds most of the page's prose: there
 *      the name was misunderstood.
 *   2. Where <article>, <main> and what is named like them hold most of the prose, what is outside goes, and short lines inside stay.
 *   3. Elsewhere a block stays by its words and links and those of its neighbours: the tree of Kohlschütter et al.
 *   4. A heading stays with what follows it. Behind most of the prose, a heading of comments or of other articles ends it. Short lines
 *      before and behind the prose are dates, writers and tags, and go; so do those that systems write by themselves (phrases.ts).
 *
 * A page of which too little would be left is taken as htmlToText takes it: nothing is lost that was hard to judge.
 *
 * Source: Kohlschütter, Fankhauser and Nejdl 2010, "Boilerplate detection using shallow text features", algorithm 2.
 */
import { type HtmlText, htmlToText } from '../html-text.ts';
import { type Block, blocksOf, type Page } from './blocks.ts';
import { endsContent, isLeftover } from './phrases.ts';

/** Fewer words are no content: the page is taken as a whole. */
const FEWEST_WORDS = 25;
/** Of the prose, what an article, or a container that is named otherwise, must hold to count as the page's content. */
const MOST = 0.5;
/** A heading behind so much of the prose may end it. */
const ENDING_FROM = 0.5;
/** Words of a block that is prose for certain; of a line before the first of them, so few are no beginning of it. */
const LONG = 12;
const FEW = 5;
/** Short lines behind the last prose that may belong to it. */
const MOST_BEHIND = 2;
/** Short lines between two blocks that stay. */
const LONGEST_GAP = 40;

export function mainText(source: string): HtmlText {
  const page = blocksOf(source);
  const kept = mainBlocks(page);
  if (wordsOf(kept) < FEWEST_WORDS) return htmlToText(source);
  return { title: page.title, text: joined(kept) };
}

function mainBlocks(page: Page): Block[] {
  const blocks = withoutAsides(page).filter((block) => block.isHeading || !isShort(block) || !isLeftover(block.text));
  const articles = blocks.filter(({ inArticle }) => inArticle);
  const hasArticle = proseOf(articles) > MOST * proseOf(blocks);
  const stays = hasArticle ? articles.map(isNoLinkList) : withGaps(blocks, byNeighbours(blocks));
  const candidates = hasArticle ? articles : blocks;
  const before = runningProse(candidates, stays);
  const total = before.at(-1) ?? 0;
  const kept: Block[] = [];
  let behind = 0;
  for (const [i, block] of candidates.entries()) {
    if (isShort(block) && before[i]! > ENDING_FROM * total && endsContent(block.text)) break;
    if (!stays[i] && !(block.isHeading && stays[i + 1] && block.linkWords < block.words)) continue;
    if (isShort(block) && !block.isHeading) {
      // Around the prose, short lines are who wrote it, when, and where it belongs.
      if (total > 0 && before[i] === 0 && (block.linkWords > 0 || block.words < FEW)) continue;
      if (total > 0 && before[i] === total && (block.linkWords > 0 || ++behind > MOST_BEHIND)) continue;
    }
    kept.push(block);
  }
  // A heading without anything under it is somebody else's.
  while (total > 0 && kept.at(-1)?.isHeading) kept.pop();
  return kept;
}

/** Drops containers that are named as something else, but for those that hold most of what is prose. */
function withoutAsides({ blocks, asideAround }: Page): Block[] {
  const prose = asideAround.map(() => 0);
  for (const block of blocks) prose[block.aside]! += proseOf([block]);
  // Containers are numbered as they begin: what is inside comes later.
  for (let i = prose.length - 1; i > 0; i--) prose[asideAround[i]!]! += prose[i]!;
  const most = MOST * prose[0]!;
  const isDropped = [false];
  for (let i = 1; i < prose.length; i++) isDropped.push(isDropped[asideAround[i]!]! || !(prose[i]! > most));
  return blocks.filter(({ aside }) => !isDropped[aside]);
}

function density({ linkWords, words }: Block): number {
  return words === 0 ? 0 : linkWords / words;
}

/** A block of an article stays unless it is mostly links. */
function isNoLinkList(block: Block): boolean {
  return density(block) <= (block.words <= LONG ? 0.34 : 0.67);
}

/** Kohlschütter's tree: a block is content by the links and words of itself and of the blocks before and after it. */
function byNeighbours(blocks: readonly Block[]): boolean[] {
  return blocks.map((block, i) => {
    if (density(block) > 1 / 3) return false;
    const previous = blocks[i - 1];
    const next = blocks[i + 1];
    if (!previous || density(previous) <= 5 / 9)
      return block.words > 16 || (next?.words ?? 0) > 15 || (previous?.words ?? 0) > 4;
    return block.words > 40 || (next?.words ?? 0) > 17;
  });
}

/** Short lines between blocks that stay, such as lists, verses and rows of tables, stay too where no links are among them. */
function withGaps(blocks: readonly Block[], stays: readonly boolean[]): boolean[] {
  const filled = [...stays];
  let begin = -1;
  for (let i = 0; i < blocks.length; i++) {
    if (stays[i]) {
      if (begin >= 0 && i - begin <= LONGEST_GAP) filled.fill(true, begin, i);
      begin = i + 1;
    } else if (density(blocks[i]!) > 1 / 3) begin = -1;
  }
  return filled;
}

function isShort({ words }: Block): boolean {
  return words <= LONG;
}

/** Words of blocks that are long and no lists of links. */
function proseOf(blocks: readonly Block[]): number {
  let words = 0;
  for (const block of blocks) if (!isShort(block) && density(block) <= 1 / 3) words += block.words;
  return words;
}

/** Words of the prose that stays, up to and with each block. */
function runningProse(blocks: readonly Block[], stays: readonly boolean[]): number[] {
  let sum = 0;
  return blocks.map((block, i) => (sum += stays[i] ? proseOf([block]) : 0));
}

function wordsOf(blocks: readonly Block[]): number {
  return blocks.reduce((sum, { words }) => sum + words, 0);
}

/** A line each; short cells of a row share one. */
function joined(blocks: readonly Block[]): string {
  let text = '';
  let before: Block | null = null;
  for (const block of blocks) {
    const sharesRow = before !== null && block.row > 0 && block.row === before.row;
    text += (before === null ? '' : sharesRow ? ' ' : '\n') + block.text;
    before = block;
  }
  return text;
}
