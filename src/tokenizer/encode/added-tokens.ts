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

/** Text between tokens, or one token. */
export type Part = { readonly text: string; readonly at: number } | { readonly id: number };

/** Says whether the token may stand at [begin, end) of the text. */
export type Permit = (token: AddedToken, begin: number, end: number) => boolean;

export class AddedTokens {
  readonly tokens: readonly AddedToken[];
  private readonly byContent = new Map<string, AddedToken>();
  /** Finds where a token may begin, by its first two UTF-16 units. */
  private readonly beginnings: RegExp | null;
  /** For each first UTF-16 unit, the lengths of the tokens that start so, longest first. */
  private readonly lengths = new Map<number, number[]>();

  constructor(tokens: readonly AddedToken[]) {
    this.tokens = tokens.filter(({ content }) => content !== '');
    const lengths = new Map<number, Set<number>>();
    for (const token of this.tokens) {
      if (this.byContent.has(token.content)) continue;
      this.byContent.set(token.content, token);
      const first = token.content.charCodeAt(0);
      lengths.set(first, (lengths.get(first) ?? new Set()).add(token.content.length));
    }
    for (const [first, set] of lengths)
      this.lengths.set(
        first,
        Array.from(set).sort((a, b) => b - a),
      );
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
        parts.push({ id: token.id });
        done = end;
        beginnings.lastIndex = end;
      }
    }
    if (done === 0) return text === '' ? [] : [{ text, at: 0 }];
    if (done < text.length) parts.push({ text: text.slice(done), at: done });
    return parts;
  }

  private longestAt(text: string, begin: number, permit: Permit): AddedToken | null {
    for (const length of this.lengths.get(text.charCodeAt(begin)) ?? []) {
      const token = this.byContent.get(text.slice(begin, begin + length));
      if (token === undefined || token.content.length !== length) continue;
      if (token.singleWord && (isWord(text[begin - 1]) || isWord(text[begin + length]))) continue;
      if (permit(token, begin, begin + length)) return token;
    }
    return null;
  }
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
