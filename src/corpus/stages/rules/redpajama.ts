/**
 * RedPajama-V2's quality signals as attributes, under its own names, for selection by threshold: nothing is dropped here. Signals that it has for every
 * line are given as their mean over the lines; those that need its word lists and classifiers are left to `bad-words` and `classifier`.
 * Source: Weber et al. 2024, arXiv:2411.12372 appendix D; the definitions of the project's quality_signals.
 */
import { characterCount, type Document } from '../../document.ts';
import type { Stage } from '../stage.ts';
import { wordPunctuation } from './words.ts';

const DIGITS = 8;
const asciiPunctuation = /[!-/:-@[-`{-~]/g;

function normalise(text: string): string {
  return text.replace(asciiPunctuation, '').toLowerCase().trim().replace(/\s+/g, ' ').normalize('NFD');
}

const bullets = '\u2022\u2023\u25B6\u25C0\u25E6\u25A0\u25A1\u25AA\u25AB\u2013';

export function redPajamaSignals(): Stage {
  return {
    name: 'redpajama-signals',
    apply(document: Document): undefined {
      for (const [name, value] of Object.entries(signalsOf(document.text))) {
        if (value !== undefined) document.attributes[name] = Number(value.toFixed(DIGITS));
      }
      return undefined;
    },
  };
}

/** Undefined where a text has nothing to measure. */
export function signalsOf(text: string): Record<string, number | undefined> {
  const raw = wordPunctuation(text);
  const plain = normalise(text);
  const words = plain === '' ? [] : plain.split(' ');
  const lengths = words.map(characterCount);
  const characters = lengths.reduce((sum, length) => sum + length, 0);
  const lines = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  const ofRaw = (count: number) => (raw.length === 0 ? undefined : count / raw.length);
  const meanOverLines = (of: (line: string) => number) =>
    lines.length === 0 ? undefined : lines.reduce((sum, line) => sum + of(line), 0) / lines.length;
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  const entropy = [...counts.values()].reduce((sum, count) => {
    const share = count / words.length;
    return sum - share * Math.log(share);
  }, 0);
  const signals: Record<string, number | undefined> = {
    rps_doc_num_sentences: text.match(/(?<![\p{L}\p{N}_])[\p{L}\p{N}_][^.!?]*[.!?]*/gu)?.length ?? 0,
    rps_doc_word_count: words.length,
    rps_doc_mean_word_length: words.length === 0 ? undefined : characters / words.length,
    rps_doc_symbol_to_word_ratio: ofRaw(
      ['#', '...', '…'].reduce((sum, symbol) => sum + text.split(symbol).length - 1, 0),
    ),
    rps_doc_frac_lines_end_with_ellipsis: meanOverLines((line) => Number(/(?:\.\.\.|…)\s*$/.test(line))),
    rps_doc_frac_no_alph_words: ofRaw(raw.filter((word) => !/[a-zA-Z]/.test(word)).length),
    rps_doc_frac_unique_words: words.length === 0 ? undefined : counts.size / words.length,
    rps_doc_unigram_entropy: words.length === 0 ? undefined : entropy,
    rps_doc_frac_all_caps_words: ofRaw(raw.filter(isUpper).length),
    rps_doc_curly_bracket: text === '' ? undefined : (text.match(/[{}]/g)?.length ?? 0) / characterCount(text),
    rps_doc_lorem_ipsum: plain === '' ? undefined : (plain.split('lorem ipsum').length - 1) / characterCount(plain),
    rps_lines_ending_with_terminal_punctution_mark: meanOverLines((line) => Number(/[.!?”]\s*$/.test(line))),
    rps_lines_num_words: meanOverLines(
      (line) =>
        normalise(line)
          .split(' ')
          .filter((word) => word !== '').length,
    ),
    rps_lines_uppercase_letter_fraction: meanOverLines(
      (line) => (line.match(/\p{Lu}/gu)?.length ?? 0) / characterCount(line),
    ),
    rps_lines_start_with_bulletpoint: meanOverLines((line) =>
      Number(bullets.includes([...line.trimStart()][0] ?? '\n')),
    ),
    rps_lines_javascript_counts: meanOverLines(
      (line) =>
        normalise(line)
          .split(' ')
          .filter((word) => word === 'javascript').length,
    ),
  };
  for (const n of [2, 3, 4]) signals[`rps_doc_frac_chars_top_${n}gram`] = topGram(words, lengths, n, characters);
  for (const n of [5, 6, 7, 8, 9, 10])
    signals[`rps_doc_frac_chars_dupe_${n}grams`] = repeatedGrams(words, lengths, n, characters);
  return signals;
}

/** Python's str.isupper: some cased letter, and none that is not upper case. */
function isUpper(word: string): boolean {
  return /\p{Lu}/u.test(word) && !/[\p{Ll}\p{Lt}]/u.test(word);
}

function gramCounts(words: readonly string[], n: number): { grams: string[]; counts: Map<string, number> } {
  const grams: string[] = [];
  const counts = new Map<string, number>();
  for (let i = 0; i + n <= words.length; i++) {
    const gram = words.slice(i, i + n).join(' ');
    grams.push(gram);
    counts.set(gram, (counts.get(gram) ?? 0) + 1);
  }
  return { grams, counts };
}

function topGram(words: readonly string[], lengths: readonly number[], n: number, characters: number): number {
  const { grams, counts } = gramCounts(words, n);
  let top = '';
  let most = 1;
  for (const [gram, count] of counts) if (count > most) [top, most] = [gram, count];
  if (most === 1) return 0;
  const first = grams.indexOf(top);
  return (lengths.slice(first, first + n).reduce((sum, length) => sum + length, 0) * most) / characters;
}

/** Share of characters that lie in some n-gram that comes twice, each counted once. */
function repeatedGrams(words: readonly string[], lengths: readonly number[], n: number, characters: number): number {
  const { grams, counts } = gramCounts(words, n);
  let covered = 0;
  let from = 0;
  for (const [i, gram] of grams.entries()) {
    if (counts.get(gram)! < 2) continue;
    for (let k = Math.max(from, i); k < i + n; k++) covered += lengths[k]!;
    from = i + n;
  }
  return characters === 0 ? 0 : covered / characters;
}
