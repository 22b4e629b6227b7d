/**
 * Removing what the merged runs (dedup/runs.ts) call duplicates, and what repeats inside one document.
 * The same hashing serves the collecting pass, so that the two cannot disagree.
 */

import { HashMap64 } from '../dedup/hash-set.ts';
import { hashLine, hashWords, type LineNormalisation } from '../dedup/line-hash.ts';
import { KEEP_ONCE } from '../dedup/runs.ts';
import { eachWindow, tokenPlaces } from '../dedup/windows.ts';
import { characterCount, type Document } from '../document.ts';
import { splitSentences } from './c4.ts';
import type { Drop, LineLog, Stage } from './stage.ts';

/** span: every run of so many neighbouring sentences, as C4 compares them; passage: every run of so many tokens. */
export type DedupItem = 'line' | 'document' | 'url' | 'span' | 'passage';

/** Removed already: a KEEP_ONCE hash whose one appearance has been. */
const USED = 3;
const REMOVE = 1;

/** Hashes of a document's items, each once, into `add`. */
export function collectHashes(
  document: Document,
  item: DedupItem,
  normalise: LineNormalisation,
  length: number,
  add: (low: number, high: number) => void,
): void {
  if (item === 'document' || item === 'url') {
    const key = itemKey(document, item);
    if (key === undefined) return;
    hashLine(key, item === 'url' ? 'exact' : normalise);
    add(hashWords[0]!, hashWords[1]!);
    return;
  }
  if (item === 'passage') {
    const places = tokenPlaces(document.text);
    const seen = new HashMap64(places.count);
    eachWindow(document.text, places, length, (low, high) => {
      if (seen.get(low, high) !== 0) return;
      seen.set(low, high, REMOVE);
      add(low, high);
    });
    return;
  }
  const seen = new HashMap64(document.text.length / 40);
  for (const line of item === 'line' ? document.text.split('\n') : spansOf(splitSentences(document.text), length)) {
    hashLine(line, normalise);
    const low = hashWords[0]!;
    const high = hashWords[1]!;
    if (seen.get(low, high) !== 0) continue;
    seen.set(low, high, REMOVE);
    add(low, high);
  }
}

/** One entry per document: its whole text, or its address; documents without an address are never duplicates. */
function itemKey(document: Document, item: 'document' | 'url'): string | undefined {
  return item === 'url' ? document.url : document.text;
}

/**
 * Line duplicates of CCNet: lines that other documents of the group hold go, first appearance included or not as the duplicates say; of lines
 * repeated within a document the first stays; a document without lines goes. Line numbers that stay are `line_ids` in cc_net.
 */
export function removeDuplicateLines(name: string, normalise: LineNormalisation, duplicates: HashMap64): Stage {
  return {
    name,
    apply(document: Document, log: LineLog): Drop | undefined {
      const lines = document.text.split('\n');
      const seen = new HashMap64(lines.length);
      const kept: string[] = [];
      for (const [i, line] of lines.entries()) {
        hashLine(line, normalise);
        const low = hashWords[0]!;
        const high = hashWords[1]!;
        if (seen.get(low, high) !== 0) {
          log.removed('repeated in the document', i, line);
          continue;
        }
        seen.set(low, high, REMOVE);
        if (isRemoved(duplicates, low, high)) log.removed('also in another document', i, line);
        else kept.push(line);
      }
      if (kept.length === 0) return { reason: 'every line is a duplicate', detail: `${lines.length} lines` };
      if (kept.length < lines.length) {
        document.attributes.originalLines ??= lines.length;
        document.attributes.originalLength ??= characterCount(document.text);
        document.text = kept.join('\n');
      }
      return undefined;
    },
  };
}

function spansOf(sentences: readonly string[], length: number): string[] {
  return sentences.slice(length - 1).map((_, i) =>
    sentences
      .slice(i, i + length)
      .map((each) => each.trim())
      .join(' '),
  );
}

/**
 * C4: of any span of so many sentences that occurs more than once in the corpus, all appearances but one go.
 * Source: Raffel et al. 2019, arXiv:1910.10683 §2.2, with 3 sentences.
 */
export function removeDuplicateSpans(
  name: string,
  normalise: LineNormalisation,
  length: number,
  duplicates: HashMap64,
): Stage {
  return {
    name,
    apply(document: Document, log: LineLog): Drop | undefined {
      const sentences = splitSentences(document.text);
      const seen = new HashMap64(sentences.length);
      const gone = new Set<number>();
      for (const [i, span] of spansOf(sentences, length).entries()) {
        hashLine(span, normalise);
        const low = hashWords[0]!;
        const high = hashWords[1]!;
        const repeated = seen.get(low, high) !== 0;
        seen.set(low, high, REMOVE);
        if (!repeated && !isRemoved(duplicates, low, high)) continue;
        for (let k = i; k < i + length; k++) gone.add(k);
      }
      if (gone.size === 0) return undefined;
      for (const i of [...gone].sort((a, b) => a - b)) log.removed('in a repeated span', i, sentences[i]!.trim());
      document.text = sentences
        .filter((_, i) => !gone.has(i))
        .join('')
        .trim();
      return document.text === ''
        ? { reason: 'every span is a duplicate', detail: `${sentences.length} sentences` }
        : undefined;
    },
  };
}

/**
 * Exact substrings: of any passage of at least `length` tokens that occurs more than once in the corpus, all appearances go but the first,
 * or all, as the duplicates say. Source: Lee et al. 2021, arXiv:2107.06499 §4.1, with 50 tokens.
 */
export function removeDuplicatePassages(name: string, length: number, duplicates: HashMap64): Stage {
  return {
    name,
    apply(document: Document, log: LineLog): Drop | undefined {
      const { text } = document;
      const places = tokenPlaces(text);
      const seen = new HashMap64(places.count);
      const passages: { readonly start: number; end: number }[] = [];
      eachWindow(text, places, length, (low, high, first) => {
        const isRepeated = seen.get(low, high) !== 0;
        seen.set(low, high, REMOVE);
        if (!isRepeated && !isRemoved(duplicates, low, high)) return;
        const [start, end] = [places.starts[first]!, places.ends[first + length - 1]!];
        const last = passages.at(-1);
        if (last && start <= last.end) last.end = end;
        else passages.push({ start, end });
      });
      if (passages.length === 0) return undefined;
      let rest = '';
      let at = 0;
      for (const [i, { start, end }] of passages.entries()) {
        log.removed('in a repeated passage', i, text.slice(start, end));
        rest = joined(rest, text.slice(at, start));
        at = end;
      }
      document.text = joined(rest, text.slice(at)).trim();
      return document.text === ''
        ? { reason: 'every passage is a duplicate', detail: `${places.count} tokens` }
        : undefined;
    },
  };
}

/** Where something was taken out, the white space of one side is enough. */
function joined(before: string, after: string): string {
  return /\s/.test(before.slice(-1)) ? before + after.trimStart() : before + after;
}

/** Documents whose text, or address, another document has. */
export function removeDuplicateDocuments(
  name: string,
  item: 'document' | 'url',
  normalise: LineNormalisation,
  duplicates: HashMap64,
): Stage {
  const reason = item === 'url' ? 'another document has this address' : 'another document has this text';
  return {
    name,
    apply(document: Document): Drop | undefined {
      const key = itemKey(document, item);
      if (key === undefined) return undefined;
      hashLine(key, item === 'url' ? 'exact' : normalise);
      return isRemoved(duplicates, hashWords[0]!, hashWords[1]!) ? { reason } : undefined;
    },
  };
}

function isRemoved(duplicates: HashMap64, low: number, high: number): boolean {
  const action = duplicates.get(low, high);
  if (action !== KEEP_ONCE) return action !== 0;
  duplicates.set(low, high, USED);
  return false;
}
