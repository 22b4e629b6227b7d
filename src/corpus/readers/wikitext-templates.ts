/**
 * Templates that carry text of the sentence they stand in: what a reader sees of them, in a few characters. All others are boxes, references and
 * housekeeping, and go. One pass, innermost first; the text outside of templates is not touched.
 * Source: the templates' own documentation at en.wikipedia.org (Template:Convert, Template:Lang, Template:Val …), and their French and German like.
 */

/** Arguments by place, from 0, and by name; each already free of templates. */
interface Call {
  readonly args: readonly string[];
  readonly named: ReadonlyMap<string, string>;
}

type Expand = (call: Call) => string;

const at =
  (place: number): Expand =>
  ({ args }) =>
    args[place] ?? '';
const first = at(0);
const second: Expand = ({ args }) => args[1] ?? args[0] ?? '';
const last: Expand = ({ args }) => args.at(-1) ?? '';
const fixed =
  (text: string): Expand =>
  () =>
    text;
const before =
  (text: string): Expand =>
  (call) =>
    `${text}${first(call)}`;
const quoted: Expand = ({ args, named }) => named.get('text') ?? named.get('quote') ?? args[0] ?? '';
const pair =
  (mark: string): Expand =>
  ({ args }) =>
    `${mark}${args.filter((each) => each !== '').join('–')}`;

const rangeWords: Readonly<Record<string, string>> = {
  '-': '–',
  '–': '–',
  to: ' to ',
  and: ' and ',
  or: ' or ',
  by: ' by ',
  x: ' × ',
  '×': ' × ',
  '+/-': ' ± ',
  '±': ' ± ',
};

/** `5|km|mi` → 5 km; `5|to|10|km` → 5 to 10 km. */
const convert: Expand = ({ args }) => {
  let text = args[0] ?? '';
  let i = 1;
  while (args[i] !== undefined && Object.hasOwn(rangeWords, args[i]!) && args[i + 1] !== undefined) {
    text += rangeWords[args[i]!]! + args[i + 1]!;
    i += 2;
  }
  return args[i] === undefined ? text : `${text} ${args[i]}`;
};

/** 1234567.5 → 1,234,567.5; what is no plain number stays. */
const groupDigits = (text: string): string =>
  /^[+−-]?\d+(?:\.\d+)?$/.test(text) ? text.replace(/\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ',')) : text;

const value: Expand = ({ args, named }) => {
  const error = args[1] === undefined ? '' : ` ± ${args[1]}`;
  const power = named.get('e') === undefined ? '' : ` × 10^${named.get('e')}`;
  const unit = named.get('u') ?? named.get('ul');
  return `${groupDigits(args[0] ?? '')}${error}${power}${unit === undefined ? '' : ` ${unit}`}`;
};

const fraction: Expand = ({ args }) => {
  if (args.length >= 3) return `${args[0]} ${args[1]}/${args[2]}`;
  return args.length === 1 ? `1/${args[0]}` : args.join('/');
};

/** `English|kanji|romaji` → English (kanji, romaji) */
const nihongo: Expand = ({ args: [name = '', ...others] }) => {
  const inBrackets = others.filter((each) => each !== '').slice(0, 2);
  if (name === '') return inBrackets.join(', ');
  return inBrackets.length === 0 ? name : `${name} (${inBrackets.join(', ')})`;
};

const rows: readonly (readonly [names: string, expand: Expand])[] = [
  ['convert cvt', convert],
  ['formatnum num nb unité unit', ({ args }) => [groupDigits(args[0] ?? ''), ...args.slice(1, 2)].join(' ')],
  ['val', value],
  ['lang langue script', second],
  ['transl transliteration tlit', last],
  ['nowrap nobr nobold nowr bold b i em strong italic small big smaller larger normal resize-text nobreak', last],
  ['abbr abbreviation abréviation tooltip hover', first],
  ['sup exp e-sup', first],
  ['sub ind', first],
  ['mvar math var', first],
  ['circa c. ca ca. vers', ({ args }) => `c. ${args.filter((each) => each !== '').join(' – c. ')}`],
  ['floruit fl fl.', pair('fl. ')],
  ['reign r.', pair('r. ')],
  ['frac fraction sfrac', fraction],
  ['as of', ({ args }) => `As of ${args.slice(0, 3).reverse().join(' ')}`],
  ['quote blockquote cquote quotation quote_box citation_bloc', quoted],
  ['ill interlanguage_link link-interwiki lien', first],
  ['linktext', ({ args }) => args.join('')],
  ['visible_anchor vanchor anchord', first],
  ['sic', ({ args }) => (args[0] === undefined ? '[sic]' : `${args.join('')} [sic]`)],
  ['not_a_typo as_written proper_name typo', ({ args }) => args.join('')],
  ['flag flagcountry flagu flagicon_text drapeau', first],
  ['nihongo nihongo2 nihongo3', nihongo],
  ['zh-l', first],
  ['us$ usd', before('US$')],
  ['gbp £', before('£')],
  ['eur €', before('€')],
  ['inr indian_rupee', before('₹')],
  ['jpy ¥', before('¥')],
  ['gaps', ({ args }) => args.join('')],
  ['e', before('×10^')],
  ['color colour font_color', last],
  ['angbr angle_bracket', ({ args }) => `⟨${args[0] ?? ''}⟩`],
  ['siècle s s-', ({ args }) => `${args[0] ?? ''}${args[1] === undefined ? 'e siècle' : `${args[1]} siècle`}`],
  ['date date-', ({ args }) => args.slice(0, 3).join(' ')],
  ['ndash en_dash', fixed('–')],
  ['mdash em_dash', fixed('—')],
  ['snd spnd spaced_ndash spaced_en_dash', fixed(' – ')],
  ['spaced_mdash smd', fixed(' — ')],
  ['· dot middot bullet •', fixed(' · ')],
  ['nbsp spaces space thinsp hsp', fixed(' ')],
  ['=', fixed('=')],
  ["'", fixed("'")],
  ["'s", fixed("'s")],
  ['okina hamza', fixed('ʻ')],
  ['minus', fixed('−')],
  ['times', fixed('×')],
  ['pi', fixed('π')],
];

const ships = new Set('hms uss ss rms hmas hmcs mv ms'.split(' '));

const templates = new Map<string, Expand>(
  rows.flatMap(([names, expand]) => names.split(' ').map((name) => [name.replaceAll('_', ' '), expand] as const)),
);

/** Known templates become their text, others nothing. What never closes stays, without its opening mark. */
export function expandTemplates(text: string): string {
  if (!text.includes('{{')) return text;
  const stack: string[] = [];
  let current = '';
  let from = 0;
  const mark = /\{\{|\}\}/g;
  for (let match = mark.exec(text); match; match = mark.exec(text)) {
    if (match[0] === '}}' && stack.length === 0) continue;
    current += text.slice(from, match.index);
    from = match.index + 2;
    if (match[0] === '{{') {
      stack.push(current);
      current = '';
    } else current = stack.pop()! + expandOne(current);
  }
  current += text.slice(from);
  return stack.length === 0 ? current : [...stack, current].join('');
}

/** A call of more is a box. */
const LONGEST_CALL = 20_000;

function expandOne(content: string): string {
  if (content.length > LONGEST_CALL) return '';
  const colon = /^\s*formatnum:\s*([^|]*)/i.exec(content);
  if (colon) return groupDigits(colon[1]!.trim());
  const [head, ...parts] = splitArguments(content);
  const given = head!.trim().replaceAll('_', ' ');
  const name = given.toLowerCase();
  const expand = templates.get(name) ?? (/^lang-[a-z-]{2,12}$/.test(name) ? first : undefined);
  if (!expand && !ships.has(name)) return '';
  const args: string[] = [];
  const named = new Map<string, string>();
  for (const part of parts) {
    const equals = /^\s*([\p{L}\p{N}_ -]{1,40}?)\s*=([\s\S]*)$/u.exec(part);
    if (!equals) args.push(part.trim());
    else if (/^\d{1,2}$/.test(equals[1]!)) args[Number(equals[1]) - 1] = equals[2]!.trim();
    else named.set(equals[1]!.toLowerCase(), equals[2]!.trim());
  }
  const call = { args: Array.from(args, (each) => each ?? ''), named };
  return expand ? expand(call) : `${given} ${first(call)}`;
}

/** At bars that stand in no link. */
function splitArguments(content: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i < content.length; i++) {
    const character = content[i]!;
    if (character === '[' && content[i + 1] === '[') depth++;
    else if (character === ']' && content[i + 1] === ']' && depth > 0) depth--;
    else if (character === '|' && depth === 0) {
      parts.push(content.slice(from, i));
      from = i + 1;
    }
  }
  parts.push(content.slice(from));
  return parts;
}
