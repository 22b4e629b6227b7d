/**
 * Tokens that are found in the text as they stand, before any model sees it: special tokens such as `<|eot_id|>`, and
 * whatever a tokenizer's owner added. Leftmost first, longest of those that start there, as the tokenizers library does.
 */

export interface AddedToken {
  readonly id: number;
  /** The text it is found by. */
  readonly content: string;
  /** Control tokens are only found where the caller asks for them; others belong to the vocabulary. */
  readonly control: boolean;
  /** White space before or after is swallowed too. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Only found where no word character touches it. */
  readonly singleWord: boolean;
}

/** Text between tokens, or one token with all that it swallowed: [at, end) of the text. */
export type Part =
  | { readonly text: string; readonly at: number }
  | { readonly id: number; readonly at: number; readonly end: number };

/** Says whether the token may stand at [begin, end) of the text. */
export type Permit = (token: AddedToken, begin: number, end: number) => boolean;

export class AddedTokens {
  readonly tokens: readonly AddedToken[];
  private readonly root: Node = { token: null, next: new Map() };
  /** Finds where a token may begin, by its first two UTF-16 units. */
  private readonly beginnings: RegExp | null;
  constructor(tokens: readonly AddedToken[]) {
    this.tokens = tokens.filter(({ content }) => content !== '');
    for (const token of this.tokens) {
      let node = this.root;
      for (let i = 0; i < token.content.length; i++) {
        const unit = token.content.charCodeAt(i);
        let child = node.next.get(unit);
        if (child === undefined) node.next.set(unit, (child = { token: null, next: new Map() }));
        node = child;
      }
      node.token ??= token;
    }
    this.beginnings = beginningsOf(this.tokens);
  }

  /** Cuts `text` at the tokens that `permit` allows. */
  split(text: string, permit: Permit): Part[] {
    const parts: Part[] = [];
    let done = 0;
    const { beginnings } = this;
    if (beginnings !== null) {
      beginnings.lastIndex = 0;
      for (let found = beginnings.exec(text); found !== null; found = beginnings.exec(text)) {
        const token = this.longestAt(text, found.index, permit);
        if (token === null) {
          beginnings.lastIndex = found.index + 1;
          continue;
        }
        let begin = found.index;
        let end = begin + token.content.length;
        if (token.lstrip) while (begin > done && isSpace(text[begin - 1]!)) begin--;
        if (token.rstrip) while (end < text.length && isSpace(text[end]!)) end++;
        if (begin > done) parts.push({ text: text.slice(done, begin), at: done });
        parts.push({ id: token.id, at: begin, end });
        done = end;
        beginnings.lastIndex = end;
      }
    }
    if (done === 0) return text === '' ? [] : [{ text, at: 0 }];
    if (done < text.length) parts.push({ text: text.slice(done), at: done });
    return parts;
  }

  /** Walks the tree of contents from `begin` on; the last token that may stand there wins. */
  private longestAt(text: string, begin: number, permit: Permit): AddedToken | null {
    let longest: AddedToken | null = null;
    let node: Node | undefined = this.root;
    for (let end = begin; node !== undefined; node = this.step(node, text, end++)) {
      const { token } = node;
      if (token === null) continue;
      if (token.singleWord && (isWord(text[begin - 1]) || isWord(text[end]))) continue;
      if (permit(token, begin, end)) longest = token;
    }
    return longest;
  }

  private step(node: Node, text: string, at: number): Node | undefined {
    return at < text.length ? node.next.get(text.charCodeAt(at)) : undefined;
  }
}

/** The contents that begin alike share a path. */
interface Node {
  token: AddedToken | null;
  readonly next: Map<number, Node>;
}

function beginningsOf(tokens: readonly AddedToken[]): RegExp | null {
  const seconds = new Map<number, Set<number>>();
  for (const { content } of tokens) {
    const first = content.charCodeAt(0);
    seconds.set(first, (seconds.get(first) ?? new Set()).add(content.length === 1 ? -1 : content.charCodeAt(1)));
  }
  const unit = (code: number) => `\\u${code.toString(16).padStart(4, '0')}`;
  const alternatives = Array.from(seconds, ([first, next]) =>
    next.has(-1) ? unit(first) : `${unit(first)}[${Array.from(next, unit).join('')}]`,
  );
  return alternatives.length === 0 ? null : new RegExp(alternatives.join('|'), 'g');
}

function isSpace(character: string): boolean {
  return /^\p{White_Space}$/u.test(character);
}

function isWord(character: string | undefined): boolean {
  return character !== undefined && /^[\p{L}\p{M}\p{N}\p{Pc}]$/u.test(character);
}
