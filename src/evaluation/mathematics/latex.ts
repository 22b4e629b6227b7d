/**
 * LaTeX expressions as trees. What is accepted, and how far a text is read, follows the grammar that sympy's parse_latex documents:
 * letters are symbols, and so are \pi and i; a letter before a parenthesis is a function; what cannot begin or go on ends the reading.
 */

export type Expression =
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'symbol'; readonly name: string }
  | { readonly kind: 'infinity' }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] }
  /** An equation or inequality, which is no value. */
  | { readonly kind: 'relation'; readonly args: readonly Expression[] };

export class NoExpression extends Error {}

interface Token {
  readonly kind: string;
  readonly text: string;
}

const relationSigns = [
  '\\neq',
  '\\leqq',
  '\\leqslant',
  '\\leq',
  '\\le',
  '\\geqq',
  '\\geqslant',
  '\\geq',
  '\\ge',
  '<',
  '>',
  '=',
];
const skipped = /^(?:[ \t\r\n]+|\\(?:,|:|;|!|\*|-|\.|\/|"|\(|=))/;
const skippedCommands = [
  ...[
    'thinspace',
    'medspace',
    'thickspace',
    'quad',
    'qquad',
    'negthinspace',
    'negmedspace',
    'negthickspace',
    'left',
    'right',
  ],
  ...['vrule', 'vcenter', 'vbox', 'vskip', 'vspace', 'hfil'],
];
const marks = '+-*/(){}[]|_^:!,.';
const MOST_TOKENS = 2000;
const DEEPEST = 200;

/** Throws NoExpression at what is no token. */
function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let rest = text;
  const take = (length: number, kind: string) => {
    tokens.push({ kind, text: rest.slice(0, length) });
    rest = rest.slice(length);
    if (tokens.length > MOST_TOKENS) throw new NoExpression('too long');
  };
  while (rest !== '') {
    const space = skipped.exec(rest);
    const bar = /^\\(?:left|right)\|/.exec(rest);
    const command = /^\\[a-zA-Z]+/.exec(rest)?.[0];
    const differential = /^d[ \t\r\n]*(?:[a-zA-Z]|\\[a-zA-Z]+)/.exec(rest)?.[0];
    const equals = /^(?:&[ \t\r\n]*)?=(?:[ \t\r\n]*&)?/.exec(rest)?.[0];
    if (space) rest = rest.slice(space[0].length);
    else if (bar) take(bar[0].length, bar[0]);
    else if (command !== undefined && skippedCommands.includes(command.slice(1))) rest = rest.slice(command.length);
    else if (command !== undefined) take(command.length, relationSigns.includes(command) ? 'relation' : command);
    else if (rest.startsWith('\\{') || rest.startsWith('\\}')) take(2, rest.slice(0, 2));
    else if (equals !== undefined) take(equals.length, 'relation');
    else if (rest[0] === '<' || rest[0] === '>') take(1, 'relation');
    else if (differential !== undefined) take(differential.length, 'differential');
    else if (/^[a-zA-Z]/.test(rest)) take(1, 'letter');
    else if (/^[0-9]/.test(rest)) take(1, 'digit');
    else if (/^'/.test(rest)) take(/^'+/.exec(rest)![0].length, 'quotes');
    else if (marks.includes(rest[0]!)) take(1, rest[0]!);
    else throw new NoExpression(`no token: ${rest.slice(0, 10)}`);
  }
  return tokens;
}

const functions = [
  ...[
    'exp',
    'log',
    'lg',
    'ln',
    'sin',
    'cos',
    'tan',
    'csc',
    'sec',
    'cot',
    'arcsin',
    'arccos',
    'arctan',
    'arccsc',
    'arcsec',
  ],
  ...['arccot', 'sinh', 'cosh', 'tanh', 'arsinh', 'arcosh', 'artanh'],
].map((name) => `\\${name}`);
const fractions = ['\\frac', '\\dfrac', '\\tfrac'];
const binomials = ['\\binom', '\\dbinom', '\\tbinom'];
const unread = ['\\int', '\\sum', '\\prod', '\\lim', '\\langle', '\\left|'];
/** Commands that are no symbols. */
const reserved = [
  ...functions,
  ...fractions,
  ...binomials,
  ...unread,
  ...[
    '\\sqrt',
    '\\overline',
    '\\times',
    '\\cdot',
    '\\div',
    '\\mathit',
    '\\lfloor',
    '\\rfloor',
    '\\lceil',
    '\\rceil',
    '\\rangle',
  ],
  ...['\\to', '\\rightarrow', '\\Rightarrow', '\\longrightarrow', '\\Longrightarrow', '\\right|'],
];
const closers: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}', '\\{': '\\}' };
const products: Readonly<Record<string, 'multiply' | 'divide'>> = {
  '*': 'multiply',
  '\\times': 'multiply',
  '\\cdot': 'multiply',
  '/': 'divide',
  '\\div': 'divide',
  ':': 'divide',
};

const call = (name: string, ...args: Expression[]): Expression => ({ kind: 'call', name, args });
export const isSymbol = (part: Expression, name: string) => part.kind === 'symbol' && part.name === name;
export const hasSymbols = (part: Expression): boolean =>
  part.kind === 'symbol' || ('args' in part && part.args.some(hasSymbols));

/** The beginning of a text as an expression, as far as it goes. Throws NoExpression. */
export function parseLatex(text: string): Expression {
  return new LatexParser(tokenize(text.trim())).relation();
}

class LatexParser {
  private readonly tokens: readonly Token[];
  private at = 0;
  private depth = 0;
  /** How many |…| are open. */
  private bars = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  relation(): Expression {
    const sides = [this.sum()];
    while (this.kind === 'relation') {
      this.at++;
      sides.push(this.sum());
    }
    return sides.length === 1 ? sides[0]! : { kind: 'relation', args: sides };
  }

  private get kind(): string {
    return this.tokens[this.at]?.kind ?? 'end';
  }

  private is(kind: string): boolean {
    return this.kind === kind;
  }

  private take(kind: string): Token {
    const token = this.tokens[this.at];
    if (token?.kind !== kind) throw new NoExpression(`expected ${kind}, found ${this.kind}`);
    this.at++;
    return token;
  }

  /** What cannot be read to its end is not begun: "5-" is 5. null: nothing was read. */
  private attempt(read: () => Expression): Expression | null {
    const { at, depth, bars } = this;
    try {
      return read();
    } catch (error) {
      if (!(error instanceof NoExpression)) throw error;
      Object.assign(this, { at, depth, bars });
      return null;
    }
  }

  private sum(): Expression {
    if (++this.depth > DEEPEST) throw new NoExpression('too deep');
    let left = this.product('any');
    while (this.kind === '+' || this.kind === '-') {
      const name = this.kind === '+' ? 'add' : 'subtract';
      const right = this.attempt(() => {
        this.at++;
        return this.product('any');
      });
      if (right === null) break;
      left = call(name, left, right);
    }
    this.depth--;
    return left;
  }

  private product(functionsToo: 'any' | 'no functions'): Expression {
    let left = this.signed(functionsToo);
    for (;;) {
      const name = products[this.kind];
      if (name === undefined) return left;
      const right = this.attempt(() => {
        this.at++;
        return this.signed(functionsToo);
      });
      if (right === null) return left;
      left = call(name, left, right);
    }
  }

  private signed(functionsToo: 'any' | 'no functions'): Expression {
    if (this.kind === '+' || this.kind === '-') {
      const sign = this.tokens[this.at++]!.kind;
      const inner = this.signed(functionsToo);
      return sign === '+' ? inner : call('negate', inner);
    }
    const parts = [this.postfix()];
    while (this.begins(functionsToo)) {
      const part = this.attempt(() => this.postfix());
      if (part === null) break;
      parts.push(part);
    }
    return multiplied(parts);
  }

  /** Whether the next token begins a factor. */
  private begins(functionsToo: 'any' | 'no functions'): boolean {
    const { kind } = this;
    if (kind === '|') return this.bars === 0;
    if (['letter', 'digit', 'differential', '(', '[', '{', '\\{', '\\lfloor', '\\lceil', '\\mathit'].includes(kind))
      return true;
    if (fractions.includes(kind) || binomials.includes(kind)) return true;
    if ([...functions, '\\sqrt', '\\overline', ...unread].includes(kind)) return functionsToo === 'any';
    return kind.startsWith('\\') && !reserved.includes(kind) && kind !== '\\}';
  }

  private postfix(): Expression {
    let base = this.primary();
    while (this.is('^')) {
      this.at++;
      base = call('power', base, this.atomOrBraced());
      if (this.is('_')) {
        this.at++;
        this.atomOrBraced(); // the grammar reads it and does nothing with it
      }
    }
    while (this.kind === '!') {
      this.at++;
      base = call('factorial', base);
    }
    return base;
  }

  private atomOrBraced(): Expression {
    return this.kind === '{' ? this.braced() : this.atom();
  }

  private braced(): Expression {
    this.take('{');
    const inner = this.outsideBars(() => this.sum());
    this.take('}');
    return inner;
  }

  private outsideBars<Result>(read: () => Result): Result {
    const { bars } = this;
    this.bars = 0;
    const result = read();
    this.bars = bars;
    return result;
  }

  private primary(): Expression {
    const { kind } = this;
    const closer = closers[kind];
    if (closer !== undefined) {
      this.at++;
      const inner = this.outsideBars(() => this.sum());
      this.take(closer);
      return inner;
    }
    if (kind === '|') {
      this.at++;
      this.bars++;
      const inner = this.sum();
      this.bars--;
      this.take('|');
      return call('abs', inner);
    }
    if (kind === '\\lfloor' || kind === '\\lceil') {
      this.at++;
      const inner = this.outsideBars(() => this.sum());
      this.take(kind === '\\lfloor' ? '\\rfloor' : '\\rceil');
      return call(kind === '\\lfloor' ? 'floor' : 'ceiling', inner);
    }
    if (functions.includes(kind)) return this.namedFunction();
    if (kind === '\\sqrt') {
      this.at++;
      let degree: Expression = { kind: 'number', text: '2' };
      if (this.kind === '[') {
        this.at++;
        degree = this.outsideBars(() => this.sum());
        this.take(']');
      }
      return call('root', this.braced(), degree);
    }
    if (kind === '\\overline') {
      this.at++;
      return call('conjugate', this.braced());
    }
    // Integrals, sums, limits and their like are not computed: they equal nothing.
    if (unread.includes(kind)) throw new NoExpression(`${kind} is not computed`);
    return this.atom();
  }

  private atom(): Expression {
    const { kind } = this;
    if (kind === 'digit') return this.number();
    if (kind === 'differential') {
      const name = this.tokens[this.at++]!.text.slice(1).trim().replace('\\', '');
      return { kind: 'symbol', name: `d${name}` };
    }
    if (kind === '\\mathit') {
      this.at++;
      this.take('{');
      let name = '';
      while (this.kind === 'letter' || this.kind === 'differential') name += this.tokens[this.at++]!.text;
      this.take('}');
      return { kind: 'symbol', name };
    }
    if (fractions.includes(kind)) {
      this.at++;
      const part = () => (this.kind === 'digit' ? this.digit() : this.braced());
      const upper = part();
      return call('divide', upper, part());
    }
    if (binomials.includes(kind)) {
      this.at++;
      const upper = this.braced();
      return call('binomial', upper, this.braced());
    }
    if (kind === 'letter' || (kind.startsWith('\\') && !reserved.includes(kind) && kind !== '\\}' && kind !== '\\{')) {
      return this.symbol();
    }
    throw new NoExpression(`expected an expression, found ${kind}`);
  }

  private digit(): Expression {
    return { kind: 'number', text: this.take('digit').text };
  }

  /** Digits, with thousands set apart by commas: 1,000 is a number, and 1,00 is 1. */
  private number(): Expression {
    let text = '';
    while (this.is('digit')) text += this.take('digit').text;
    const isDigit = (place: number) => this.tokens[place]?.kind === 'digit';
    while (this.kind === ',' && [1, 2, 3].every((step) => isDigit(this.at + step))) {
      for (let i = 1; i <= 3; i++) text += this.tokens[this.at + i]!.text;
      this.at += 4;
    }
    if (this.is('.')) {
      this.at++;
      text += `.${this.take('digit').text}`;
      while (this.is('digit')) text += this.take('digit').text;
    }
    return { kind: 'number', text };
  }

  private symbol(): Expression {
    const { kind, text } = this.tokens[this.at++]!;
    let name = kind === 'letter' ? text : text.slice(1);
    for (let i = 0; i < 2; i++) {
      if (this.kind === '_') {
        this.at++;
        name += `_${JSON.stringify(this.atomOrBraced())}`;
      } else if (this.kind === 'quotes') name += this.tokens[this.at++]!.text;
    }
    if (this.kind === '(') {
      this.at++;
      const args = this.outsideBars(() => {
        const list = [this.sum()];
        while (this.kind === ',') {
          this.at++;
          list.push(this.sum());
        }
        return list;
      });
      this.take(')');
      return call(`function ${name}`, ...args);
    }
    return name === 'infty' ? { kind: 'infinity' } : { kind: 'symbol', name };
  }

  /** A function's subscript leaves digits for its argument where there is no other: \\log_28 is \\log_2 8. */
  private subscript(): Expression {
    const from = this.at;
    const whole = this.atomOrBraced();
    const digits = this.tokens.slice(from, this.at);
    if (digits.length < 2 || digits.some(({ kind }) => kind !== 'digit')) return whole;
    const after = this.at;
    const hasArgument = this.attempt(() => this.argument()) !== null;
    this.at = hasArgument ? after : after - 1;
    return hasArgument
      ? whole
      : {
          kind: 'number',
          text: digits
            .slice(0, -1)
            .map(({ text }) => text)
            .join(''),
        };
  }

  /** In parentheses, or the product that follows. */
  private argument(): Expression {
    if (!this.is('(')) return this.product('no functions');
    this.at++;
    const inner = this.outsideBars(() => this.sum());
    this.take(')');
    return inner;
  }

  private namedFunction(): Expression {
    const name = this.tokens[this.at++]!.text.slice(1);
    let base: Expression | undefined;
    let exponent: Expression | undefined;
    for (let i = 0; i < 2; i++) {
      if (this.kind === '_' && !base) {
        this.at++;
        base = this.subscript();
      } else if (this.kind === '^' && !exponent) {
        this.at++;
        exponent = this.atomOrBraced();
      }
    }
    const argument = this.argument();
    const value =
      name === 'log' || name === 'ln' || name === 'lg'
        ? base || name === 'lg'
          ? call('divide', call('ln', argument), call('ln', base ?? { kind: 'number', text: '10' }))
          : call('ln', argument)
        : call(name, argument);
    return exponent ? call('power', value, exponent) : value;
  }
}

/** Factors beside each other. An x between two of them that have no symbols is a multiplication sign: 3 x 4. */
function multiplied(parts: readonly Expression[]): Expression {
  const factors = parts.filter((part, i) => {
    const [before, after] = [parts[i - 1], parts[i + 1]];
    return !(before && after && isSymbol(part, 'x') && !hasSymbols(before) && !hasSymbols(after));
  });
  return factors.reduceRight((right, left) => call('multiply', left, right));
}
