/**
 * Inline expansion of the macros that an author defines: `\newcommand`, `\renewcommand`, `\providecommand` (with arguments and an
 * optional one), `\def` with plain `#1#2…`, `\DeclareMathOperator`. Definitions disappear, uses become their bodies.
 * Macros that call themselves, or each other, end at the limits and stay as they are from there on; the caller is told.
 * Source: LLaMA, arXiv:2302.13971 §2.1 ("we inline-expanded definitions and macros written by users").
 */
export interface Macro {
  readonly argumentCount: number;
  /** Value of an absent `[…]`, when the first argument is optional. */
  readonly optionalDefault: string | undefined;
  readonly body: string;
}

const MAXIMUM_EXPANSIONS = 200_000;
const MAXIMUM_DEPTH = 40;
/** Output may be this much longer than the input. */
const GROWTH_FACTOR = 4;
const GROWTH_CHARACTERS = 1 << 20;

export interface Expanded {
  readonly text: string;
  readonly macroCount: number;
  readonly expansions: number;
  /** True when a limit ended the expansion. */
  readonly stopped: boolean;
}

export function expandMacros(source: string): Expanded {
  const { text, macros } = takeDefinitions(source);
  if (macros.size === 0) return { text, macroCount: 0, expansions: 0, stopped: false };
  const budget = { expansions: 0, room: text.length * (GROWTH_FACTOR - 1) + GROWTH_CHARACTERS, stopped: false };
  const expanded = expand(text, macros, budget, 0);
  return { text: expanded, macroCount: macros.size, expansions: budget.expansions, stopped: budget.stopped };
}

const definition = /\\(newcommand|renewcommand|providecommand|def|DeclareMathOperator)(\*?)(?![a-zA-Z@])/g;

/** Cuts every definition that can be understood out of the text; the last definition of a name wins. */
function takeDefinitions(source: string): { text: string; macros: Map<string, Macro> } {
  const macros = new Map<string, Macro>();
  let text = '';
  let at = 0;
  definition.lastIndex = 0;
  for (let match = definition.exec(source); match; match = definition.exec(source)) {
    const parsed =
      match[1] === 'def'
        ? parseDef(source, definition.lastIndex)
        : parseCommand(source, definition.lastIndex, match[1]!);
    if (!parsed) continue;
    macros.set(parsed.name, parsed.macro);
    text += source.slice(at, match.index);
    at = parsed.end;
    // A line that held nothing but definitions goes whole.
    if (source[at] === '\n' && (text === '' || text.endsWith('\n'))) at++;
    definition.lastIndex = Math.max(at, match.index + 1);
  }
  return { text: text + source.slice(at), macros };
}

interface Definition {
  readonly name: string;
  readonly macro: Macro;
  readonly end: number;
}

/** `{\name}[2][default]{body}` or `\name…` */
function parseCommand(source: string, start: number, kind: string): Definition | undefined {
  const head = /\s*(?:\{\s*\\([a-zA-Z@]+|[^a-zA-Z\s])\s*\}|\\([a-zA-Z@]+|[^a-zA-Z\s]))/y;
  head.lastIndex = start;
  const match = head.exec(source);
  if (!match) return undefined;
  const name = (match[1] ?? match[2])!;
  let at = head.lastIndex;
  let argumentCount = 0;
  let optionalDefault: string | undefined;
  const count = readOptional(source, at);
  if (count && kind !== 'DeclareMathOperator') {
    argumentCount = Number(count.value.trim());
    if (!(Number.isInteger(argumentCount) && argumentCount >= 0 && argumentCount <= 9)) return undefined;
    at = count.end;
    const preset = readOptional(source, at);
    if (preset) {
      optionalDefault = preset.value;
      at = preset.end;
    }
  }
  const body = readGroup(source, at);
  if (!body) return undefined;
  const value = kind === 'DeclareMathOperator' ? `\\operatorname{${body.value}}` : body.value;
  return { name, macro: { argumentCount, optionalDefault, body: value }, end: body.end };
}

/** `\name#1#2{body}`; delimited arguments are TeX proper and are left alone. */
function parseDef(source: string, start: number): Definition | undefined {
  const head = /\s*\\([a-zA-Z@]+|[^a-zA-Z\s])((?:#\d)*)\s*(?=\{)/y;
  head.lastIndex = start;
  const match = head.exec(source);
  const body = match && readGroup(source, head.lastIndex);
  if (!match || !body) return undefined;
  return {
    name: match[1]!,
    macro: { argumentCount: match[2]!.length / 2, optionalDefault: undefined, body: body.value },
    end: body.end,
  };
}

interface Budget {
  expansions: number;
  room: number;
  stopped: boolean;
}

const control = /\\([a-zA-Z@]+|[^a-zA-Z])/g;

function expand(text: string, macros: ReadonlyMap<string, Macro>, budget: Budget, depth: number): string {
  const parts: string[] = [];
  let at = 0;
  const pattern = new RegExp(control);
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    const macro = macros.get(match[1]!);
    if (!macro || budget.stopped) continue;
    const call = readArguments(text, pattern.lastIndex, macro);
    if (!call) continue;
    if (depth >= MAXIMUM_DEPTH || budget.expansions >= MAXIMUM_EXPANSIONS || budget.room <= 0) {
      budget.stopped = true;
      continue;
    }
    budget.expansions++;
    const body = fill(macro.body, call.values, budget);
    parts.push(text.slice(at, match.index));
    const expanded = expand(body, macros, budget, depth + 1);
    parts.push(expanded);
    // `\foo bar` eats the space after the name; do not glue a word to what follows it.
    at = call.end;
    if (macro.argumentCount === 0 && /\\[a-zA-Z@]+$/.test(expanded) && /[a-zA-Z]/.test(text[at] ?? '')) parts.push(' ');
    pattern.lastIndex = Math.max(at, match.index + 1);
  }
  parts.push(text.slice(at));
  return parts.join('');
}

function fill(body: string, values: readonly string[], budget: Budget): string {
  const filled =
    values.length === 0 ? body : body.replace(/#(\d)/g, (whole, digit) => values[Number(digit) - 1] ?? whole);
  budget.room -= filled.length;
  return filled;
}

function readArguments(text: string, start: number, macro: Macro): { values: string[]; end: number } | undefined {
  const values: string[] = [];
  let at = start;
  if (macro.optionalDefault !== undefined) {
    const given = readOptional(text, at);
    values.push(given?.value ?? macro.optionalDefault);
    if (given) at = given.end;
  }
  while (values.length < macro.argumentCount) {
    const argument = readGroup(text, at) ?? readToken(text, at);
    if (!argument) return undefined;
    values.push(argument.value);
    at = argument.end;
  }
  return { values, end: at };
}

interface Piece {
  readonly value: string;
  readonly end: number;
}

/** `{…}` with balanced braces, after spaces. */
export function readGroup(text: string, start: number): Piece | undefined {
  return readBalanced(text, start, '{', '}');
}

function readOptional(text: string, start: number): Piece | undefined {
  return readBalanced(text, start, '[', ']');
}

/** A group longer than this is not an argument but a missing brace. */
const MAXIMUM_GROUP = 5000;

function readBalanced(text: string, start: number, open: string, close: string): Piece | undefined {
  let at = start;
  while (text[at] === ' ' || text[at] === '\t' || text[at] === '\n') at++;
  if (text[at] !== open) return undefined;
  let braces = 0;
  for (let i = at + 1; i < text.length && i - at < MAXIMUM_GROUP; i++) {
    const character = text[i]!;
    if (character === '\\') i++;
    else if (character === close && braces === 0) return { value: text.slice(at + 1, i), end: i + 1 };
    else if (character === '{') braces++;
    else if (character === '}') braces--;
  }
  return undefined;
}

/** One character or one control sequence, as TeX takes an argument without braces. */
function readToken(text: string, start: number): Piece | undefined {
  const token = /\s*(\\[a-zA-Z@]+|\\[^a-zA-Z]|[^\s{}])/y;
  token.lastIndex = start;
  const match = token.exec(text);
  return match ? { value: match[1]!, end: token.lastIndex } : undefined;
}
