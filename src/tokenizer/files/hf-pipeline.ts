/**
 * The stages of tokenizer.json around the model, in the tokenizers library's terms: normalizer, pre_tokenizer, decoder,
 * post_processor. What Cria does not know it refuses, as another split means other tokens.
 */

import { SPACE } from '../encode/merges.ts';
import { splitPatterns } from '../encode/named-splits.ts';
import type { MetaspaceNormalization } from '../encode/normalize.ts';
import { compileSplitPattern, matchesOf, type Splitter, splitBy, splitInTurn } from '../encode/split-pattern.ts';
import type { JsonNode } from './json.ts';

type Normalize = (text: string, atStart: boolean) => string;
const advice =
  'Cria reads the tokenizer.json files of LLaMA, Llama 3, Mistral and Qwen 2 and of tokenizers built like these.';

/** A node and, where it is a Sequence, its parts. */
function stages(node: JsonNode, list: string): JsonNode[] {
  if (node.isMissing) return [];
  return node.at('type').text() === 'Sequence' ? node.at(list).items() : [node];
}

export function readNormalizer(node: JsonNode): Normalize {
  const steps = stages(node, 'normalizers').map((step): Normalize => {
    const type = step.at('type').text();
    switch (type) {
      case 'NFC':
      case 'NFD':
      case 'NFKC':
      case 'NFKD':
        return (text) => text.normalize(type);
      case 'Lowercase':
        return (text) => text.toLowerCase();
      case 'Prepend': {
        const prefix = step.at('prepend').text();
        return (text) => (text === '' ? '' : prefix + text);
      }
      case 'Replace': {
        const from = step.at('pattern').at('String').text();
        const to = step.at('content').text();
        return (text) => text.replaceAll(from, () => to);
      }
      default:
        throw step.at('type').expected('NFC, NFD, NFKC, NFKD, Lowercase, Prepend or Replace', advice);
    }
  });
  return (text, atStart) => steps.reduce((done, step) => step(done, atStart), text);
}

/** How text is cut into words: by patterns over bytes, by Metaspace, or not at all. */
export type PreTokenizer =
  | { readonly kind: 'byte-level'; readonly split: Splitter; readonly prefixSpace: boolean }
  | { readonly kind: 'metaspace'; readonly rule: MetaspaceNormalization; readonly words: 'free' | 'each' }
  | { readonly kind: 'none' };

/** `normalize`: what the text has been through before. */
export function readPreTokenizer(node: JsonNode, normalize: Normalize): PreTokenizer {
  const steps = stages(node, 'pretokenizers');
  if (steps.length === 0) return { kind: 'none' };
  const [first] = steps;
  if (steps.length === 1 && first!.at('type').text() === 'Metaspace') return readMetaspace(first!);
  if (steps.length === 1 && splitsAtNothing(first!, normalize)) return { kind: 'none' };
  const splitters: Splitter[] = [];
  let prefixSpace = false;
  let hasBytes = false;
  for (const step of steps) {
    const type = step.at('type').text();
    if (hasBytes) throw step.at('type').expected('nothing after ByteLevel', advice);
    if (type === 'ByteLevel') {
      hasBytes = true;
      prefixSpace = step.at('add_prefix_space').flag(true);
      if (prefixSpace && splitters.length > 0) {
        throw step.at('add_prefix_space').expected('false after other pre-tokenizers', advice);
      }
      if (step.at('use_regex').flag(true)) splitters.push(patternSplitter(step, splitPatterns['gpt-2']));
    } else if (type === 'Digits') {
      splitters.push(splitBy(matchesOf(step.at('individual_digits').flag(false) ? /\p{N}/gu : /\p{N}+/gu), 'keep'));
    } else if (type === 'Punctuation') {
      if (step.at('behavior').text('Isolated') !== 'Isolated') throw step.at('behavior').expected('Isolated', advice);
      splitters.push(splitBy(matchesOf(/[\p{P}!-/:-@[-`{-~]/gu), 'keep'));
    } else if (type === 'Split') {
      splitters.push(readSplit(step));
    } else {
      throw step.at('type').expected('ByteLevel, Digits, Punctuation, Split or Metaspace alone', advice);
    }
  }
  if (!hasBytes) throw node.expected('a ByteLevel stage at the end', advice);
  return { kind: 'byte-level', split: splitInTurn(splitters), prefixSpace };
}

/** Gemma's: a cut at spaces, after which the normalizer has left none. */
function splitsAtNothing(step: JsonNode, normalize: Normalize): boolean {
  if (step.at('type').text() !== 'Split' || step.at('pattern').at('String').isMissing) return false;
  const text = step.at('pattern').at('String').text();
  return text === ' ' && !normalize('a b  c', true).includes(text);
}

function readMetaspace(step: JsonNode): PreTokenizer {
  if (step.at('replacement').text(SPACE) !== SPACE) throw step.at('replacement').expected(`"${SPACE}"`, advice);
  const legacy = step.at('add_prefix_space').flag(true) ? 'always' : 'never';
  const prefix = step.at('prepend_scheme').text(legacy);
  if (prefix !== 'always' && prefix !== 'first' && prefix !== 'never') {
    throw step.at('prepend_scheme').expected('always, first or never');
  }
  const words = step.at('split').flag(true) ? 'each' : 'free';
  return { kind: 'metaspace', rule: { prefix, unlessSpaced: true }, words };
}

function readSplit(step: JsonNode): Splitter {
  const pattern = step.at('pattern');
  const source = pattern.at('Regex').isMissing ? escapeRegExp(pattern.at('String').text()) : pattern.at('Regex').text();
  const behavior = step.at('behavior').text();
  const inverted = step.at('invert').flag(false);
  if (behavior === 'Isolated') return patternSplitter(step, source);
  if (behavior === 'Removed' && inverted) return splitBy(compileSplitPattern(step.file, source), 'drop');
  throw step.at('behavior').expected('Isolated, or Removed with invert', advice);
}

function patternSplitter(step: JsonNode, source: string): Splitter {
  return splitBy(compileSplitPattern(step.file, source), 'keep');
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

/** Whether decoding takes one leading space away again. */
export function stripsLeadingSpace(decoder: JsonNode, words: PreTokenizer): boolean {
  for (const step of stages(decoder, 'decoders')) {
    const type = step.at('type').text();
    if (type === 'Strip') return step.at('start').count() > 0;
    if (type === 'Metaspace') return words.kind !== 'metaspace' || words.rule.prefix !== 'never';
    if (!['Replace', 'ByteFallback', 'Fuse', 'ByteLevel'].includes(type)) {
      throw step.at('type').expected('Replace, ByteFallback, Fuse, Strip, Metaspace or ByteLevel', advice);
    }
  }
  return false;
}

/** The special tokens that the post-processor puts before and after a text. */
export function readTemplate(node: JsonNode): { before: string[]; after: string[] } {
  const before: string[] = [];
  const after: string[] = [];
  for (const step of stages(node, 'processors')) {
    if (step.at('type').text() !== 'TemplateProcessing') continue;
    let seen = false;
    for (const item of step.at('single').items()) {
      if (!item.at('Sequence').isMissing) seen = true;
      else (seen ? after : before).push(item.at('SpecialToken').at('id').text());
    }
  }
  return { before, after };
}
