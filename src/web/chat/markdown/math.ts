/**
 * TeX's mathematics as MathML, which browsers draw themselves. What models write is read: fractions, roots, scripts, sums with limits,
 * fences, matrices and cases, accents, alphabets, Greek, functions, texts. What is not known is shown as it is written.
 */

export interface MathNode {
  readonly tag: string;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly children: readonly (MathNode | string)[];
}

const node = (tag: string, children: readonly (MathNode | string)[], attributes?: Record<string, string>): MathNode =>
  attributes ? { tag, attributes, children } : { tag, children };

const pairs = (list: string) =>
  Object.fromEntries(list.split(' ').map((pair) => pair.split(':') as [string, string])) as Record<string, string>;

/** Letters and the like, which stand upright or slanted as MathML has them. */
const identifiers = pairs(
  'alpha:α beta:β gamma:γ delta:δ epsilon:ϵ varepsilon:ε zeta:ζ eta:η theta:θ vartheta:ϑ iota:ι kappa:κ lambda:λ mu:μ nu:ν xi:ξ pi:π varpi:ϖ rho:ρ varrho:ϱ sigma:σ varsigma:ς tau:τ upsilon:υ phi:ϕ varphi:φ chi:χ psi:ψ omega:ω ' +
    'Gamma:Γ Delta:Δ Theta:Θ Lambda:Λ Xi:Ξ Pi:Π Sigma:Σ Upsilon:Υ Phi:Φ Psi:Ψ Omega:Ω infty:∞ partial:∂ nabla:∇ ell:ℓ hbar:ℏ Re:ℜ Im:ℑ aleph:ℵ emptyset:∅ varnothing:∅ top:⊤ bot:⊥ imath:ı jmath:ȷ degree:° dots:… ldots:… cdots:⋯ vdots:⋮ ddots:⋱ prime:′',
);

const operators = pairs(
  'times:× cdot:⋅ div:÷ pm:± mp:∓ ast:∗ star:⋆ circ:∘ bullet:∙ oplus:⊕ ominus:⊖ otimes:⊗ odot:⊙ cap:∩ cup:∪ setminus:∖ wedge:∧ land:∧ vee:∨ lor:∨ neg:¬ lnot:¬ ' +
    'le:≤ leq:≤ ge:≥ geq:≥ ne:≠ neq:≠ equiv:≡ approx:≈ sim:∼ simeq:≃ cong:≅ propto:∝ ll:≪ gg:≫ prec:≺ succ:≻ subset:⊂ supset:⊃ subseteq:⊆ supseteq:⊇ in:∈ notin:∉ ni:∋ forall:∀ exists:∃ nexists:∄ ' +
    'to:→ rightarrow:→ leftarrow:← leftrightarrow:↔ Rightarrow:⇒ Leftarrow:⇐ Leftrightarrow:⇔ implies:⟹ iff:⟺ mapsto:↦ longrightarrow:⟶ uparrow:↑ downarrow:↓ gets:← mid:∣ parallel:∥ perp:⊥ angle:∠ therefore:∴ because:∵ vdash:⊢ models:⊨ colon:: ' +
    'langle:⟨ rangle:⟩ lfloor:⌊ rfloor:⌋ lceil:⌈ rceil:⌉ lbrace:{ rbrace:} lvert:| rvert:| lVert:‖ rVert:‖ Vert:‖ vert:| backslash:∖ triangle:△ square:□ dagger:†',
);

const large = pairs(
  'sum:∑ prod:∏ coprod:∐ int:∫ iint:∬ iiint:∭ oint:∮ bigcup:⋃ bigcap:⋂ bigoplus:⨁ bigotimes:⨂ bigvee:⋁ bigwedge:⋀',
);

const functions = new Set(
  'sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp det dim ker deg gcd arg max min sup inf lim limsup liminf argmax argmin Pr hom softmax'.split(
    ' ',
  ),
);
const withLimits = new Set('max min sup inf lim limsup liminf argmax argmin det gcd Pr'.split(' '));

const accents = pairs(
  'hat:^ widehat:^ bar:¯ overline:¯ vec:→ tilde:~ widetilde:~ dot:˙ ddot:¨ check:ˇ breve:˘ overrightarrow:→',
);
const spaces: Readonly<Record<string, string>> = {
  ',': '0.17em',
  ':': '0.22em',
  '>': '0.22em',
  ';': '0.28em',
  ' ': '0.25em',
  quad: '1em',
  qquad: '2em',
  '!': '-0.17em',
};
/** Where Unicode has the alphabet's A and a, and the letters that it has elsewhere. */
type Alphabet = readonly [capitals: number, smalls: number, elsewhere: Readonly<Record<string, string>>];
const bold: Alphabet = [0x1d400, 0x1d41a, {}];
const script: Alphabet = [0x1d49c, 0x1d4b6, pairs('B:ℬ E:ℰ F:ℱ H:ℋ I:ℐ L:ℒ M:ℳ R:ℛ e:ℯ g:ℊ o:ℴ')];
const alphabets: Readonly<Record<string, Alphabet>> = {
  mathbf: bold,
  boldsymbol: bold,
  bm: bold,
  mathbb: [0x1d538, 0x1d552, pairs('C:ℂ H:ℍ N:ℕ P:ℙ Q:ℚ R:ℝ Z:ℤ')],
  mathcal: script,
  mathscr: script,
  mathfrak: [0x1d504, 0x1d51e, pairs('C:ℭ H:ℌ I:ℑ R:ℜ Z:ℨ')],
  mathsf: [0x1d5a0, 0x1d5ba, {}],
  mathtt: [0x1d670, 0x1d68a, {}],
};

const fences: Readonly<Record<string, readonly [string, string]>> = {
  matrix: ['', ''],
  smallmatrix: ['', ''],
  pmatrix: ['(', ')'],
  bmatrix: ['[', ']'],
  Bmatrix: ['{', '}'],
  vmatrix: ['|', '|'],
  Vmatrix: ['‖', '‖'],
  cases: ['{', ''],
  array: ['', ''],
  aligned: ['', ''],
  align: ['', ''],
  'align*': ['', ''],
  split: ['', ''],
  gathered: ['', ''],
  equation: ['', ''],
  'equation*': ['', ''],
};

/** How deep groups may lie in each other, and how long a formula is drawn. */
const DEEPEST = 40;
const LONGEST = 10_000;

/** The formula; null: it cannot be drawn (a group is not closed, or it is too deep or long), and is shown as it is written. */
export function parseMath(tex: string): MathNode | null {
  if (tex.length > LONGEST) return null;
  const reader = new Reader(tokensOf(tex));
  try {
    const row = reader.row(() => false, 0);
    return reader.isAtEnd ? row : null;
  } catch (error) {
    if (error instanceof Unreadable) return null;
    throw error;
  }
}

class Unreadable extends Error {}

/** Commands, single characters, numbers as wholes, and blanks, which only count in texts. */
function tokensOf(tex: string): string[] {
  return (
    tex
      .match(/\\[a-zA-Z]+\*?|\\[\s\S]|\d+(?:\.\d+)?|\s+|[\s\S]/gu)
      ?.map((token) => (/^\s/.test(token) ? ' ' : token)) ?? []
  );
}

class Reader {
  private at = 0;
  private readonly tokens: readonly string[];

  constructor(tokens: readonly string[]) {
    this.tokens = tokens;
  }

  get isAtEnd(): boolean {
    return this.peek() === undefined;
  }

  private peek(): string | undefined {
    while (this.tokens[this.at] === ' ') this.at++;
    return this.tokens[this.at];
  }

  private next(): string | undefined {
    const token = this.peek();
    this.at++;
    return token;
  }

  /** What stands up to where `ends` says, as one thing. */
  row(ends: (token: string) => boolean, depth: number): MathNode {
    if (depth > DEEPEST) throw new Unreadable();
    const children: MathNode[] = [];
    while (!this.isAtEnd && !ends(this.peek()!)) {
      if (this.peek() === '}') break;
      children.push(this.scripted(depth));
    }
    return children.length === 1 ? children[0]! : node('mrow', children);
  }

  /** One thing with what stands above and below it. */
  private scripted(depth: number): MathNode {
    const start = this.peek()!;
    const base = start === '^' || start === '_' ? node('mrow', []) : this.atom(depth);
    let below: MathNode | null = null;
    let above: MathNode | null = null;
    for (;;) {
      const token = this.peek();
      if (token === "'") {
        let primes = '';
        for (; this.peek() === "'"; this.at++) primes += '′';
        above = above ? node('mrow', [node('mo', [primes]), above]) : node('mo', [primes]);
      } else if (token === '\\limits' || token === '\\nolimits') this.at++;
      else if (token === '_' || token === '^') {
        this.at++;
        const script = this.atom(depth);
        if (token === '_') below = below ? node('mrow', [below, script]) : script;
        else above = above ? node('mrow', [above, script]) : script;
      } else break;
    }
    if (!below && !above) return base;
    const name = start.slice(1);
    const hasLimits =
      withLimits.has(name) ||
      (name in large && !name.includes('int')) ||
      start.startsWith('\\under') ||
      start === '\\overbrace';
    const [both, under, over] = hasLimits ? ['munderover', 'munder', 'mover'] : ['msubsup', 'msub', 'msup'];
    if (below && above) return node(both!, [base, below, above]);
    return below ? node(under!, [base, below]) : node(over!, [base, above!]);
  }

  private atom(depth: number): MathNode {
    const token = this.next();
    if (token === undefined) throw new Unreadable();
    if (token === '{') {
      const inner = this.row((next) => next === '}', depth + 1);
      this.expect('}');
      return inner;
    }
    if (token.startsWith('\\')) return this.command(token.slice(1), depth);
    if (/^\d/.test(token)) return node('mn', [token]);
    if (/^[\p{L}]$/u.test(token)) return node('mi', [token]);
    if (token === '~') return space('0.25em');
    if (token === '&') return node('mrow', []);
    const sign = token === '-' ? '−' : token === '*' ? '∗' : token;
    return node('mo', [sign], /[()[\]|]/.test(token) ? { stretchy: 'false' } : undefined);
  }

  private command(name: string, depth: number): MathNode {
    if (Object.hasOwn(identifiers, name)) return node('mi', [identifiers[name]!]);
    if (Object.hasOwn(operators, name)) return node('mo', [operators[name]!], { stretchy: 'false' });
    if (Object.hasOwn(large, name)) return node('mo', [large[name]!], { largeop: 'true' });
    if (Object.hasOwn(spaces, name)) return space(spaces[name]!);
    if (functions.has(name)) return node('mi', [name.replace(/^arg(?=m)/, 'arg ').replace(/^lim(?=[si])/, 'lim ')]);
    if (Object.hasOwn(accents, name)) {
      return node(
        'mover',
        [this.atom(depth + 1), node('mo', [accents[name]!], { stretchy: /wide|over/.test(name) ? 'true' : 'false' })],
        { accent: 'true' },
      );
    }
    if (Object.hasOwn(alphabets, name)) return inAlphabet(this.atom(depth + 1), alphabets[name]!);
    switch (name) {
      case 'frac':
      case 'dfrac':
      case 'tfrac':
      case 'cfrac':
        return node('mfrac', [this.atom(depth + 1), this.atom(depth + 1)]);
      case 'binom': {
        const parts = [this.atom(depth + 1), this.atom(depth + 1)];
        return fenced('(', node('mfrac', parts, { linethickness: '0' }), ')');
      }
      case 'sqrt': {
        if (this.peek() !== '[') return node('msqrt', [this.atom(depth + 1)]);
        this.at++;
        const index = this.row((token) => token === ']', depth + 1);
        this.expect(']');
        return node('mroot', [this.atom(depth + 1), index]);
      }
      case 'left': {
        const open = this.fence();
        const inner = this.row((token) => token === '\\right', depth + 1);
        this.expect('\\right');
        return fenced(open, inner, this.fence());
      }
      case 'big':
      case 'Big':
      case 'bigg':
      case 'Bigg':
      case 'bigl':
      case 'bigr':
      case 'Bigl':
      case 'Bigr':
      case 'middle':
        return node('mo', [this.fence()], { stretchy: 'true' });
      case 'text':
      case 'textrm':
      case 'textbf':
      case 'textit':
      case 'mbox':
      case 'mathrm':
      case 'operatorname':
      case 'operatorname*':
        // Blanks at the ends of a text would be left out.
        return node(name.startsWith('operator') ? 'mi' : 'mtext', [this.text().replace(/^ | $/g, '\u00a0')]);
      case 'underline':
      case 'underbrace':
        return node('munder', [
          this.atom(depth + 1),
          node('mo', [name === 'underline' ? '_' : '⏟'], { stretchy: 'true' }),
        ]);
      case 'overbrace':
        return node('mover', [this.atom(depth + 1), node('mo', ['⏞'], { stretchy: 'true' })]);
      case 'overset':
      case 'stackrel': {
        const above = this.atom(depth + 1);
        return node('mover', [this.atom(depth + 1), above]);
      }
      case 'underset': {
        const below = this.atom(depth + 1);
        return node('munder', [this.atom(depth + 1), below]);
      }
      case 'boxed':
        return node('mrow', [this.atom(depth + 1)], { class: 'math-boxed' });
      case 'not': {
        const negated = this.atom(depth + 1);
        const [sign] = negated.children;
        return typeof sign === 'string' ? { ...negated, children: [`${sign}\u0338`] } : negated;
      }
      case 'pmod':
        return node('mrow', [
          space('1em'),
          node('mo', ['(']),
          node('mi', ['mod']),
          space('0.3em'),
          this.atom(depth + 1),
          node('mo', [')']),
        ]);
      case 'bmod':
        return node('mo', ['mod']);
      case 'begin':
        return this.environment(this.text(), depth + 1);
      case 'displaystyle':
      case 'textstyle':
      case 'limits':
      case 'nolimits':
      case 'nonumber':
      case 'notag':
      case '\\':
        return node('mrow', []);
      case 'tag':
      case 'label':
        this.text();
        return node('mrow', []);
      case '|':
        return node('mo', ['‖'], { stretchy: 'false' });
      default:
        if (/^[{}$%#&_]$/.test(name)) return node('mo', [name], { stretchy: 'false' });
        return node('mtext', [`\\${name}`]);
    }
  }

  private environment(name: string, depth: number): MathNode {
    const [open, close] = fences[name] ?? ['', ''];
    if (name === 'array' && this.peek() === '{') this.text();
    const rows: MathNode[][] = [[]];
    const ends = (token: string) => token === '&' || token === '\\\\' || token === '\\end';
    for (;;) {
      rows.at(-1)!.push(node('mtd', [this.row(ends, depth + 1)]));
      const token = this.next();
      if (token === '\\\\') rows.push([]);
      else if (token === '\\end') break;
      else if (token !== '&') throw new Unreadable();
    }
    if (this.text() !== name) throw new Unreadable();
    const last = rows.at(-1)!;
    if (rows.length > 1 && last.length === 1 && isEmpty(last[0]!)) rows.pop();
    const isAligned = /align|split/.test(name);
    const table = node(
      'mtable',
      rows.map((row) => node('mtr', row)),
      {
        class: isAligned ? 'math-aligned' : name === 'cases' ? 'math-cases' : 'math-matrix',
      },
    );
    return open === '' && close === '' ? table : fenced(open, table, close);
  }

  private fence(): string {
    const token = this.next();
    if (token === undefined) throw new Unreadable();
    if (token === '.') return '';
    if (token === '\\|') return '‖';
    if (/^\\[{}]$/.test(token)) return token[1]!;
    return token.startsWith('\\') ? (operators[token.slice(1)] ?? token) : token;
  }

  /** The letters of a group, with the blanks between them. */
  private text(): string {
    this.expect('{');
    let text = '';
    for (let open = 0; ; this.at++) {
      const token = this.tokens[this.at];
      if (token === undefined) throw new Unreadable();
      if (token === '}' && open === 0) break;
      if (token === '{') open++;
      else if (token === '}') open--;
      else text += token.replace(/^\\(?=[^a-zA-Z])/, '');
    }
    this.at++;
    return text;
  }

  private expect(token: string): void {
    if (this.next() !== token) throw new Unreadable();
  }
}

const isEmpty = (cell: MathNode) =>
  cell.children.every((child) => typeof child !== 'string' && child.tag === 'mrow' && child.children.length === 0);

const space = (width: string) => node('mspace', [], { width });

function fenced(open: string, inner: MathNode, close: string): MathNode {
  const sign = (text: string, form: string) => node('mo', [text], { fence: 'true', stretchy: 'true', form });
  return node('mrow', [
    ...(open === '' ? [] : [sign(open, 'prefix')]),
    inner,
    ...(close === '' ? [] : [sign(close, 'postfix')]),
  ]);
}

function inAlphabet(part: MathNode, alphabet: Alphabet): MathNode {
  const [capitals, smalls, elsewhere] = alphabet;
  const letter = (char: string) => {
    const place = char.charCodeAt(0);
    const isCapital = place < 0x61;
    return elsewhere[char] ?? String.fromCodePoint(isCapital ? capitals + place - 0x41 : smalls + place - 0x61);
  };
  const children = part.children.map((child) =>
    typeof child === 'string' ? child.replace(/[A-Za-z]/g, letter) : inAlphabet(child, alphabet),
  );
  return { ...part, children };
}
