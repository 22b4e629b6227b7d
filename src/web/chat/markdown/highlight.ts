/**
 * Code as coloured parts: comments, texts, numbers, keywords. One scan for all languages, which knows of each only how its comments and
 * texts are written and its words: near enough to read by, and never wrong about the letters, as all of them come out again.
 */

export type CodePart = {
  readonly kind: 'plain' | 'comment' | 'text' | 'number' | 'keyword' | 'name';
  readonly text: string;
};

interface Language {
  readonly line?: string;
  readonly block?: readonly [open: string, close: string];
  readonly quotes: string;
  readonly words: ReadonlySet<string>;
  readonly ignoresCase?: boolean;
}

const words = (list: string) => new Set(list.split(' '));

const C =
  'if else for while do switch case default break continue return struct enum union void int long short char float double const static sizeof typedef true false null';
const families = {
  script: {
    line: '//',
    block: ['/*', '*/'],
    quotes: '"\'`',
    words: words(
      'const let var function return if else for while do switch case default break continue new class extends super this import export from as async await yield try catch finally throw typeof instanceof in of delete void null undefined true false interface type enum implements readonly public private protected static satisfies keyof declare abstract',
    ),
  },
  python: {
    line: '#',
    block: ['"""', '"""'],
    quotes: '"\'',
    words: words(
      'def class return if elif else for while break continue import from as with try except finally raise lambda pass yield global nonlocal assert del in is not and or None True False async await match case self',
    ),
  },
  c: {
    line: '//',
    block: ['/*', '*/'],
    quotes: '"\'',
    words: words(
      `${C} auto class namespace template typename using public private protected virtual override new delete this throw try catch bool nullptr constexpr unsigned signed final package import interface extends implements boolean string var let fn mut impl trait pub use mod match loop where func go defer chan map range fun val when object data internal in is as out ref`,
    ),
  },
  shell: {
    line: '#',
    quotes: '"\'',
    words: words(
      'if then else elif fi for while do done case esac function in return export local echo cd set unset exit source',
    ),
  },
  sql: {
    line: '--',
    block: ['/*', '*/'],
    quotes: '\'"',
    ignoresCase: true,
    words: words(
      'select from where and or not in is null as join left right inner outer full on group by order having limit offset insert into values update set delete create table index view drop alter primary key foreign references distinct union all case when then else end with asc desc between like exists true false',
    ),
  },
  data: { line: '#', quotes: '"\'', words: words('true false null yes no on off') },
  json: { line: '//', block: ['/*', '*/'], quotes: '"', words: words('true false null') },
  markup: { block: ['<!--', '-->'], quotes: '"\'', words: words('') },
  style: { block: ['/*', '*/'], quotes: '"\'', words: words('important media supports import keyframes from to') },
  lisp: {
    line: ';',
    quotes: '"',
    words: words('define lambda let if cond else quote defn def fn do loop recur nil true false'),
  },
  haskell: {
    line: '--',
    block: ['{-', '-}'],
    quotes: '"',
    words: words(
      'module where import data type newtype class instance deriving case of let in if then else do local function end nil true false and or not return for while repeat until',
    ),
  },
} as const satisfies Record<string, Language>;

const names: Readonly<Record<keyof typeof families, string>> = {
  script: 'js jsx ts tsx javascript typescript mjs cjs',
  python: 'py python python3',
  c: 'c h cpp c++ cc hpp java cs csharp c# rust rs go golang kotlin kt swift scala dart php',
  shell: 'sh bash zsh shell console fish dockerfile makefile make',
  sql: 'sql mysql postgres postgresql sqlite',
  data: 'yaml yml toml ini r ruby rb perl',
  json: 'json jsonc json5 jsonl',
  markup: 'html xml svg vue markdown md',
  style: 'css scss less',
  lisp: 'lisp clojure clj scheme racket',
  haskell: 'haskell hs lua elm',
};

const byName = new Map<string, Language>(
  Object.entries(names).flatMap(([family, list]) =>
    list.split(' ').map((name) => [name, families[family as keyof typeof families]] as const),
  ),
);

/** More than this is shown plainly. */
const LONGEST = 100_000;

export function highlight(text: string, language: string): readonly CodePart[] {
  const known = byName.get(language.toLowerCase().split(/[\s,{:]/)[0]!);
  if (!known || text.length > LONGEST) return [{ kind: 'plain', text }];
  const parts: CodePart[] = [];
  let plain = 0;
  let at = 0;
  const take = (kind: CodePart['kind'], end: number) => {
    if (plain < at) parts.push({ kind: 'plain', text: text.slice(plain, at) });
    parts.push({ kind, text: text.slice(at, end) });
    plain = at = end;
  };
  while (at < text.length) {
    const char = text[at]!;
    if (known.block && text.startsWith(known.block[0], at)) {
      const end = text.indexOf(known.block[1], at + known.block[0].length);
      const isText = known.block[0] === '"""';
      take(isText ? 'text' : 'comment', end < 0 ? text.length : end + known.block[1].length);
    } else if (
      known.line !== undefined &&
      text.startsWith(known.line, at) &&
      !(known.line === '#' && /[\w$]/.test(text[at - 1] ?? ' '))
    ) {
      const end = text.indexOf('\n', at);
      take('comment', end < 0 ? text.length : end);
    } else if (known.quotes.includes(char)) {
      take('text', endOfQuoted(text, at));
    } else if (/\d/.test(char)) {
      take(
        'number',
        at + /^(?:0x[\da-f_]+|[\d_]+(?:\.\d+)?(?:e[+-]?\d+)?)\w*/i.exec(text.slice(at, at + 64))![0].length,
      );
    } else if (/[A-Za-z_$]/.test(char)) {
      const word = /^[\w$]+/.exec(text.slice(at, at + 128))![0];
      if (known.words.has(known.ignoresCase ? word.toLowerCase() : word)) take('keyword', at + word.length);
      else if (text[at + word.length] === '(') take('name', at + word.length);
      else at += word.length;
    } else at++;
  }
  if (plain < text.length) parts.push({ kind: 'plain', text: text.slice(plain) });
  return parts;
}

/** A text that is not closed ends with its line, but for one in backquotes. */
function endOfQuoted(text: string, start: number): number {
  const quote = text[start]!;
  for (let at = start + 1; at < text.length; at++) {
    const char = text[at]!;
    if (char === '\\') at++;
    else if (char === quote) return at + 1;
    else if (char === '\n' && quote !== '`') return at;
  }
  return text.length;
}
