/** Python's literals, as `ast.literal_eval` reads them: texts, numbers, lists, tuples, dictionaries, True, False, None. */

export type Literal = string | number | boolean | null | readonly Literal[] | { readonly [key: string]: Literal };

const DEEPEST = 100;
const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
  '\n': '',
};

/** undefined where the text is no literal. */
export function parseLiteral(text: string): Literal | undefined {
  const reader = new LiteralReader(text);
  try {
    const value = reader.value(0);
    reader.space();
    return reader.atEnd ? value : undefined;
  } catch (error) {
    if (error instanceof NoLiteral) return undefined;
    throw error;
  }
}

class NoLiteral extends Error {}

class LiteralReader {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get atEnd(): boolean {
    return this.at >= this.text.length;
  }

  space(): void {
    while (/^[ \t\r\n]$/.test(this.text[this.at] ?? '')) this.at++;
  }

  value(depth: number): Literal {
    if (depth > DEEPEST) throw new NoLiteral();
    this.space();
    const mark = this.text[this.at];
    if (mark === '[' || mark === '(') return this.list(mark === '[' ? ']' : ')', depth);
    if (mark === '{') return this.dictionary(depth);
    if (mark === '"' || mark === "'") return this.texts();
    const [word] = /^(True|False|None)\b/.exec(this.text.slice(this.at, this.at + 6)) ?? [];
    if (word) {
      this.at += word.length;
      return word === 'None' ? null : word === 'True';
    }
    const [number] =
      /^[-+]?(\d[\d_]*(\.\d*)?|\.\d+)([eE][-+]?\d+)?/.exec(this.text.slice(this.at, this.at + 400)) ?? [];
    if (!number) throw new NoLiteral();
    this.at += number.length;
    return Number(number.replaceAll('_', ''));
  }

  private list(end: string, depth: number): Literal[] {
    this.at++;
    const members: Literal[] = [];
    for (;;) {
      this.space();
      if (this.text[this.at] === end) break;
      members.push(this.value(depth + 1));
      this.comma(end);
    }
    this.at++;
    return members;
  }

  private dictionary(depth: number): Literal {
    this.at++;
    const entries: [string, Literal][] = [];
    for (;;) {
      this.space();
      if (this.text[this.at] === '}') break;
      const key = this.value(depth + 1);
      this.space();
      if (this.text[this.at++] !== ':') throw new NoLiteral();
      entries.push([String(key), this.value(depth + 1)]);
      this.comma('}');
    }
    this.at++;
    return Object.fromEntries(entries);
  }

  private comma(end: string): void {
    this.space();
    if (this.text[this.at] === ',') this.at++;
    else if (this.text[this.at] !== end) throw new NoLiteral();
  }

  /** Texts beside each other are one. */
  private texts(): string {
    let whole = '';
    while (this.text[this.at] === '"' || this.text[this.at] === "'") {
      const quote = this.text[this.at++]!;
      for (;;) {
        const mark = this.text[this.at++];
        if (mark === undefined || mark === '\n') throw new NoLiteral();
        if (mark === quote) break;
        whole += mark === '\\' ? this.escaped() : mark;
      }
      this.space();
    }
    return whole;
  }

  private escaped(): string {
    const letter = this.text[this.at++] ?? '';
    const length = { x: 2, u: 4, U: 8 }[letter];
    if (length === undefined) return escapes[letter] ?? `\\${letter}`;
    const digits = this.text.slice(this.at, this.at + length);
    if (digits.length < length || !/^[\da-fA-F]+$/.test(digits) || Number.parseInt(digits, 16) > 0x10ffff)
      throw new NoLiteral();
    this.at += length;
    return String.fromCodePoint(Number.parseInt(digits, 16));
  }
}
