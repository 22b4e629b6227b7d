/**
 * The regular expressions that cut text into words before byte-level BPE, and their translation from the dialects that
 * files are written in (Rust's regex and Oniguruma) to JavaScript.
 *
 * What differs: `\s` means Unicode White_Space there (with U+0085, without U+FEFF), and `\d`, `\w` are Unicode too.
 */
import { badTokenizer, show } from '../vocabulary.ts';

/** Calls `emit` with the words of `text`, in order; they may not be kept beyond the call. */
export type Splitter = (text: string, emit: (word: string) => void) => void;

/** Published patterns by the name that GGUF's `tokenizer.ggml.pre` gives them. */
export const splitPatterns = {
  'gpt-2': String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
  llama3: String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  qwen2: String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
} as const;

/** A published way to split text, by GGUF's name for it. Names that share an entry share its behaviour. */
export interface NamedSplit {
  readonly pattern: keyof typeof splitPatterns;
  /** Digits are cut apart before the pattern sees them. */
  readonly digitsApart?: boolean;
  /** Whole words that are tokens are not merged up. */
  readonly ignoreMerges?: boolean;
}

const gpt2: NamedSplit = { pattern: 'gpt-2' };
const digits: NamedSplit = { pattern: 'gpt-2', digitsApart: true };
const llama3: NamedSplit = { pattern: 'llama3', ignoreMerges: true };
const qwen2: NamedSplit = { pattern: 'qwen2' };

/** `tokenizer.ggml.pre` → how to split (llama.cpp, llama-vocab.cpp). */
export const namedSplits: Readonly<Record<string, NamedSplit>> = {
  'gpt-2': gpt2,
  'phi-2': gpt2,
  smollm: digits,
  starcoder: digits,
  llama3,
  'llama-v3': llama3,
  'llama-bpe': llama3,
  falcon3: llama3,
  qwen2,
  'deepseek-r1-qwen': qwen2,
};

export function createSplitter(file: string, { pattern, digitsApart = false }: NamedSplit): Splitter {
  const words = splitBy(compileSplitPattern(file, splitPatterns[pattern]), 'keep');
  return digitsApart ? splitInTurn([splitBy(/\p{N}/gu, 'keep'), words]) : words;
}

/** The whole text is one word. */
export const noSplit: Splitter = (text, emit) => emit(text);

/** Words are the matches and what lies between them ("Isolated"), or only the matches. */
export function splitBy(pattern: RegExp, between: 'keep' | 'drop'): Splitter {
  return (text, emit) => {
    let end = 0;
    pattern.lastIndex = 0;
    for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
      if (match.index > end && between === 'keep') emit(text.slice(end, match.index));
      const word = match[0];
      end = match.index + word.length;
      if (word.length > 0) emit(word);
      else pattern.lastIndex = end + ((text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1);
    }
    if (end < text.length && between === 'keep') emit(text.slice(end));
  };
}

/** One splitter after the other. */
export function splitInTurn(splitters: readonly Splitter[]): Splitter {
  const [first, ...rest] = splitters;
  if (first === undefined) return noSplit;
  if (rest.length === 0) return first;
  const after = splitInTurn(rest);
  return (text, emit) => first(text, (word) => after(word, emit));
}

const MAX_PATTERN_LENGTH = 2000;

/** A pattern of a tokenizer file as a global JavaScript RegExp; what would not mean the same, or could hang, is refused. */
export function compileSplitPattern(file: string, source: string): RegExp {
  const refuse = (problem: string) =>
    badTokenizer(
      file,
      'pre_tokenizer',
      `${problem} in the pattern ${show(source)}`,
      'Cria does not know this pattern.',
    );
  if (source.length > MAX_PATTERN_LENGTH) throw refuse(`expected at most ${MAX_PATTERN_LENGTH} characters`);
  if (/(?:[*+?}])\+/.test(bareOf(source))) throw refuse('expected no possessive quantifiers, found one');
  if (repeatsRepetition(source)) throw refuse('expected no repeated group that itself repeats, found one');
  const translated = source.replace(/\\(.)/gs, (pair, letter: string) => unicodeClasses[letter] ?? pair);
  try {
    return new RegExp(translated, 'gu');
  } catch (error) {
    throw refuse(`expected a regular expression, found one that fails (${(error as Error).message})`);
  }
}

const unicodeClasses: Readonly<Record<string, string>> = {
  s: '\\p{White_Space}',
  S: '\\P{White_Space}',
  d: '\\p{Nd}',
  D: '\\P{Nd}',
};

/** Whether some group is repeated without bound and repeats without bound inside, as in (a+)+: time may be exponential. */
function repeatsRepetition(source: string): boolean {
  const bare = bareOf(source);
  const repeats: boolean[] = [false];
  for (let i = 0; i < bare.length; i++) {
    const unbounded = bare[i] === '*' || bare[i] === '+' || /^\{\d+,\}/.test(bare.slice(i, i + 12));
    if (bare[i] === '(') {
      repeats.push(false);
    } else if (bare[i] === ')' && repeats.length > 1) {
      const inside = repeats.pop()!;
      const repeated = bare[i + 1] === '*' || bare[i + 1] === '+' || /^\{\d+,\}/.test(bare.slice(i + 1, i + 13));
      if (inside && repeated) return true;
      if (inside || repeated) repeats[repeats.length - 1] = true;
    } else if (unbounded) {
      repeats[repeats.length - 1] = true;
    }
  }
  return false;
}

/** The pattern's skeleton: escapes and character classes as one letter each. */
function bareOf(source: string): string {
  return source.replace(/\\[pP]\{[^}]*\}|\\./gs, 'x').replace(/\[[^\]]*\]/g, 'x');
}
