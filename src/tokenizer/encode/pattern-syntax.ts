/**
 * The regular expressions of tokenizer.json files as a tree: what Rust's regex, fancy-regex and Oniguruma have in common. What is outside
 * (back references, classes in classes, look-behind of more than one character) is refused, never misread.
 */

/** A set of characters, as the text of a JavaScript class, with or without case. */
export interface CharacterSet {
  readonly source: string;
  readonly ignoreCase: boolean;
}

export type Pattern =
  | { readonly kind: 'set'; readonly set: CharacterSet }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Pattern[] }
  | {
      readonly kind: 'repeat';
      readonly part: Pattern;
      readonly min: number;
      readonly max: number;
      readonly lazy: boolean;
    }
  /** A group that gives nothing back once it has matched; possessive quantifiers are such. */
  | { readonly kind: 'atomic'; readonly part: Pattern }
  | { readonly kind: 'ahead'; readonly part: Pattern; readonly negated: boolean }
  | { readonly kind: 'behind'; readonly set: CharacterSet; readonly negated: boolean }
  | { readonly kind: 'start' | 'end' | 'word-border' | 'no-word-border' };

/** Throws an Error with the problem in words (`expected …, found …`). */
export function parsePattern(source: string): Pattern {
  const parser = new Parser(source);
  const pattern = parser.choice(false);
  if (parser.at < source.length) throw new Error('expected the pattern to end, found a closing parenthesis too many');
  return pattern;
}

const WORD = '\\p{L}\\p{M}\\p{N}\\p{Pc}';
/** Classes of one letter, as what stands inside a JavaScript class. */
const classes: Readonly<Record<string, string>> = {
  s: '\\p{White_Space}',
  d: '\\p{Nd}',
  w: WORD,
  S: '\\P{White_Space}',
  D: '\\P{Nd}',
};
const controls: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  f: '\f',
  v: '\v',
  a: '\x07',
  e: '\x1b',
};
const MAX_DEPTH = 100;
const MAX_REPEAT = 1000;

class Parser {
  at = 0;
  private depth = 0;
  private readonly source: string;

  constructor(source: string) {
    this.source = source;
  }

  choice(ignoreCase: boolean): Pattern {
    if (++this.depth > MAX_DEPTH) throw new Error(`expected groups nested at most ${MAX_DEPTH} deep, found more`);
    const parts = [this.sequence(ignoreCase)];
    while (this.take('|')) parts.push(this.sequence(ignoreCase));
    this.depth--;
    return parts.length === 1 ? parts[0]! : { kind: 'choice', parts };
  }

  private sequence(outerCase: boolean): Pattern {
    let ignoreCase = outerCase;
    const parts: Pattern[] = [];
    while (this.at < this.source.length && !'|)'.includes(this.source[this.at]!)) {
      if (this.take('(?i)')) ignoreCase = true;
      else parts.push(this.repeated(ignoreCase));
    }
    return parts.length === 1 ? parts[0]! : { kind: 'sequence', parts };
  }

  private repeated(ignoreCase: boolean): Pattern {
    let part = this.single(ignoreCase);
    for (;;) {
      const counts = this.quantifier();
      if (counts === null) return part;
      const [min, max, isBraces] = counts;
      const lazy = this.take('?');
      part = { kind: 'repeat', part, min, max, lazy };
      if (!lazy && !isBraces && this.take('+')) part = { kind: 'atomic', part };
    }
  }

  private quantifier(): [min: number, max: number, isBraces: boolean] | null {
    if (this.take('*')) return [0, Infinity, false];
    if (this.take('+')) return [1, Infinity, false];
    if (this.take('?')) return [0, 1, false];
    const braces = /^\{(\d*)(,?)(\d*)\}/.exec(this.source.slice(this.at, this.at + 16));
    if (braces === null || braces[1] + braces[3]! === '') return null;
    this.at += braces[0].length;
    const min = Number(braces[1]);
    const max = braces[2] === '' ? min : braces[3] === '' ? Infinity : Number(braces[3]);
    if (!(min <= max && min <= MAX_REPEAT && (max <= MAX_REPEAT || max === Infinity))) {
      throw new Error(`expected counts up to ${MAX_REPEAT} in order, found ${braces[0]}`);
    }
    return [min, max, true];
  }

  private single(ignoreCase: boolean): Pattern {
    const set = (source: string): Pattern => ({ kind: 'set', set: { source, ignoreCase } });
    if (this.take('(')) return this.group(ignoreCase);
    if (this.take('.')) return set('[^\\n]');
    if (this.take('^')) return { kind: 'start' };
    if (this.take('$')) return { kind: 'end' };
    if (this.take('[')) return set(this.characterClass());
    if (this.source[this.at] === '\\') {
      const letter = this.source[this.at + 1];
      if (letter === 'A' || letter === 'z' || letter === 'Z' || letter === 'b' || letter === 'B') {
        this.at += 2;
        if (letter === 'Z') return { kind: 'end' };
        return { kind: ({ A: 'start', z: 'end', b: 'word-border', B: 'no-word-border' } as const)[letter] };
      }
      return set(`[${this.escape()}]`);
    }
    const character = String.fromCodePoint(this.source.codePointAt(this.at)!);
    if ('*+?'.includes(character)) throw new Error(`expected something before ${character}, found nothing`);
    this.at += character.length;
    return set(`[${literal(character)}]`);
  }

  private group(outerCase: boolean): Pattern {
    let kind: 'group' | 'atomic' | 'ahead' | 'behind' = 'group';
    let negated = false;
    let ignoreCase = outerCase;
    if (this.take('?')) {
      if (this.take('i:')) ignoreCase = true;
      else if (this.take('-i:')) ignoreCase = false;
      else if (this.take('>')) kind = 'atomic';
      else if (this.take('=')) kind = 'ahead';
      else if (this.take('!')) [kind, negated] = ['ahead', true];
      else if (this.take('<=')) kind = 'behind';
      else if (this.take('<!')) [kind, negated] = ['behind', true];
      else if (!this.take(':')) {
        const name = /^P?<[A-Za-z_]\w*>/.exec(this.source.slice(this.at, this.at + 64));
        if (name === null)
          throw new Error(`expected a group that is known, found (?${this.source.slice(this.at, this.at + 4)}`);
        this.at += name[0].length;
      }
    }
    const part = this.choice(ignoreCase);
    if (!this.take(')')) throw new Error('expected a closing parenthesis, found the end');
    if (kind === 'group') return part;
    if (kind !== 'behind') return kind === 'atomic' ? { kind, part } : { kind, part, negated };
    if (part.kind !== 'set') throw new Error('expected a look-behind of one character, found a longer one');
    return { kind, set: part.set, negated };
  }

  /** After the bracket; the text of a JavaScript class. */
  private characterClass(): string {
    let text = this.take('^') ? '[^' : '[';
    for (let first = true; ; first = false) {
      const character = this.source[this.at];
      if (character === undefined) throw new Error('expected a closing bracket, found the end');
      if (character === ']' && !first) break;
      if (character === '[') throw new Error('expected no class inside a class, found one');
      if (this.source.startsWith('&&', this.at)) throw new Error('expected no && in a class, found it');
      if (character === '\\') text += this.escape();
      else if (character === '-') {
        this.at++;
        const isRange =
          !first && this.source[this.at] !== ']' && /\\u\{[0-9a-f]+\}$/.test(text) && !/-\\u\{[0-9a-f]+\}$/.test(text);
        text += isRange ? '-' : literal('-');
      } else {
        const whole = String.fromCodePoint(this.source.codePointAt(this.at)!);
        this.at += whole.length;
        text += literal(whole);
      }
    }
    this.at++;
    return `${text}]`;
  }

  /** An escape as what stands inside a JavaScript class. */
  private escape(): string {
    this.at++;
    const letter = this.source[this.at] ?? '';
    const rest = this.source.slice(this.at);
    const property = /^[pP]\{\^?[\w=]+\}/.exec(rest)?.[0] ?? /^[pP][LMNPSZC]/.exec(rest)?.[0];
    if (property !== undefined) {
      this.at += property.length;
      return propertyOf(property);
    }
    const code = /^(?:x\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2})|u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4}))/.exec(rest);
    if (code !== null) {
      this.at += code[0].length;
      const point = Number.parseInt(code[1] ?? code[2] ?? code[3] ?? code[4]!, 16);
      if (!(point <= 0x10ffff)) throw new Error(`expected a character, found ${code[0]}`);
      return literal(String.fromCodePoint(point));
    }
    this.at++;
    if (Object.hasOwn(classes, letter)) return classes[letter]!;
    if (Object.hasOwn(controls, letter)) return literal(controls[letter]!);
    if (letter === '' || /[A-Za-z0-9]/.test(letter))
      throw new Error(`expected an escape that is known, found \\${letter}`);
    return literal(letter);
  }

  private take(text: string): boolean {
    if (!this.source.startsWith(text, this.at)) return false;
    this.at += text.length;
    return true;
  }
}

function literal(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}

/** \p{L}, \p{^L}, \pL, \p{Han}: general categories as they are, scripts by their long name. */
function propertyOf(text: string): string {
  const name = text.replace(/^[pP]\{?\^?/, '').replace(/\}$/, '');
  const negated = text.startsWith('P') !== text.includes('^');
  for (const spelling of [name, `Script=${name}`]) {
    const property = `\\${negated ? 'P' : 'p'}{${spelling}}`;
    try {
      new RegExp(property, 'u');
      return property;
    } catch {
      // tried as the other
    }
  }
  throw new Error(`expected a property of characters, found \\${text}`);
}
