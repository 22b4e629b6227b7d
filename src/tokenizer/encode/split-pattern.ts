/**
 * The regular expressions that cut text into words before byte-level BPE, and their translation from the dialects that
 * files are written in (Rust's regex and Oniguruma) to JavaScript.
 *
 * What differs: `\s` means Unicode White_Space there (with U+0085, without U+FEFF), and `\d`, `\w` are Unicode too.
 */
import { badTokenizer, show } from '../vocabulary.ts';
import { type FindMatches, linearPattern } from './linear-pattern.ts';
import { type NamedSplit, publishedPatterns, splitPatterns } from './named-splits.ts';

/** Calls `emit` with the words of `text`, in order; they may not be kept beyond the call. */
export type Splitter = (text: string, emit: (word: string) => void) => void;

/** The splitter of a name in the table. llama.cpp compares contractions in ASCII only, where `(?i:…)` would fold ſ to s. */
export function createSplitter({ steps }: NamedSplit): Splitter {
  return splitInTurn(
    steps.map((step) =>
      splitBy(matchesOf(new RegExp(translate(asciiContractions(splitPatterns[step])), 'gu')), 'keep'),
    ),
  );
}

function asciiContractions(pattern: string): string {
  return pattern.replaceAll(
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)",
    "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])",
  );
}

/** The whole text is one word. */
export const noSplit: Splitter = (text, emit) => emit(text);

/** Words are the matches and what lies between them ("Isolated"), or only the matches. */
export function splitBy(find: FindMatches, between: 'keep' | 'drop'): Splitter {
  return (text, emit) => {
    let done = 0;
    find(text, (begin, end) => {
      if (begin > done && between === 'keep') emit(text.slice(done, begin));
      if (end > begin) emit(text.slice(begin, end));
      done = end;
    });
    if (done < text.length && between === 'keep') emit(text.slice(done));
  };
}

/** The matches of one of our own patterns, by the engine of the platform: fast, but only for patterns known not to go astray. */
export function matchesOf(pattern: RegExp): FindMatches {
  return (text, onMatch) => {
    pattern.lastIndex = 0;
    for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
      const end = match.index + match[0].length;
      onMatch(match.index, end);
      if (end === match.index) pattern.lastIndex = end + ((text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1);
    }
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

/**
 * The matches of a pattern of a tokenizer file. A published pattern runs on the platform's engine; any other on one that takes time
 * proportional to the text, as a stranger's pattern may take a backtracking engine exponential time. Throws FormatError.
 */
export function compileSplitPattern(file: string, source: string): FindMatches {
  if (publishedPatterns.has(source)) return matchesOf(new RegExp(translate(source), 'gu'));
  const refuse = (problem: string) =>
    badTokenizer(
      file,
      'pre_tokenizer',
      `${problem} in the pattern ${show(source)}`,
      'Cria does not know this pattern.',
    );
  if (source.length > MAX_PATTERN_LENGTH) throw refuse(`expected at most ${MAX_PATTERN_LENGTH} characters`);
  try {
    return linearPattern(source);
  } catch (error) {
    throw refuse((error as Error).message);
  }
}

/** From the dialect of the files to JavaScript's, for patterns of our table; not every engine knows `(?i:…)`. */
function translate(source: string): string {
  return (
    source
      .replaceAll("(?i:'s|'t|'re|'ve|'m|'ll|'d)", "(?:'[sS\u017f]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])")
      .replace('(?i:[sdmt]|ll|ve|re)', '(?:[sS\u017fdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])')
      .replace(/\\(.)/gs, (pair, letter: string) => unicodeClasses[letter] ?? pair)
      // Possessive in cl100k, which matches the same without it.
      .replaceAll(']?+\\p{L}', ']?\\p{L}')
      .replaceAll(']++[', ']+[')
  );
}

const unicodeClasses: Readonly<Record<string, string>> = {
  s: '\\p{White_Space}',
  S: '\\P{White_Space}',
  d: '\\p{Nd}',
  D: '\\P{Nd}',
};
