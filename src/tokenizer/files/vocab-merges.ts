/**
 * A "slow" tokenizer of transformers, `vocab.json` with `merges.txt` and the names of its special tokens, put together as the
 * `tokenizer.json` that it is the older form of.
 *
 * Source  transformers: convert_slow_tokenizer.py (GPT2Converter, Qwen2Converter) for what is between the files.
 */
import { UnsupportedError } from '../../base/errors.ts';
import type { NamedSplit } from '../encode/named-splits.ts';
import { badTokenizer, show } from '../vocabulary.ts';
import { type AddedPiece, byteLevelJson } from './byte-level-json.ts';
import { JsonNode, parseJson } from './json.ts';

/** The texts of the files; null where a folder has none. */
export interface SlowTokenizerFiles {
  readonly vocab: string;
  readonly merges: string;
  readonly addedTokens: string | null;
  readonly config: string | null;
  readonly specialTokens: string | null;
  /** config.json, whose model_type decides where tokenizer_config.json does not. */
  readonly model: string | null;
}

/** How texts are split, by the class in tokenizer_config.json, else by the model_type in config.json. */
const splits: Readonly<Record<string, NamedSplit>> = {
  GPT2Tokenizer: { steps: ['gpt-2'] },
  Qwen2Tokenizer: { steps: ['qwen2'] },
  gpt2: { steps: ['gpt-2'] },
  qwen2: { steps: ['qwen2'] },
};

const NAMED = ['bos_token', 'eos_token', 'unk_token', 'pad_token'];

/** tokenizer.json. Throws FormatError, UnsupportedError `tokenizer.unsupported`. */
export function tokenizerJsonOfSlow(files: SlowTokenizerFiles): string {
  const root = (file: string, text: string | null) =>
    new JsonNode(file, text === null ? undefined : parseJson(file, text));
  const vocab = root('vocab.json', files.vocab);
  const config = root('tokenizer_config.json', files.config);
  const specials = root('special_tokens_map.json', files.specialTokens);
  const added = new Map<string, AddedPiece>();
  const idOf = (content: string): number | undefined => {
    const id = added.get(content)?.id ?? (vocab.value as Record<string, unknown>)[content];
    return typeof id === 'number' ? id : undefined;
  };
  for (const [content, id] of members(root('added_tokens.json', files.addedTokens)))
    added.set(content, { id: id.count(), content, special: false });
  for (const [id, token] of members(config.at('added_tokens_decoder'))) {
    const content = token.at('content').text();
    const flag = (name: string) => token.at(name).flag(false);
    added.set(content, {
      id: Number(id),
      content,
      special: flag('special'),
      lstrip: flag('lstrip'),
      rstrip: flag('rstrip'),
      single_word: flag('single_word'),
      normalized: flag('normalized'),
    });
  }
  for (const content of specialNames([config, specials])) {
    const id = idOf(content);
    if (id !== undefined) added.set(content, { ...added.get(content), id, content, special: true });
  }
  const begins = config.at('add_bos_token').flag(false)
    ? (nameOf(config.at('bos_token')) ?? nameOf(specials.at('bos_token')))
    : null;
  const beginId = begins === null ? undefined : idOf(begins);
  const split = splitOf(config, root('config.json', files.model));
  return byteLevelJson({
    vocab: vocab.entries().map(([piece]) => [piece, vocab.at(piece).count()] as const),
    merges: mergeLines(files.merges),
    added: [...added.values()].sort((a, b) => a.id - b.id),
    split,
    nfc: split.steps[0] === 'qwen2',
    prefixSpace: config.at('add_prefix_space').flag(false),
    begin: beginId === undefined ? null : { content: begins!, id: beginId },
    config: {},
  }).json;
}

function members(node: JsonNode): [string, JsonNode][] {
  return node.isMissing ? [] : node.entries().map(([key]) => [key, node.at(key)]);
}

function splitOf(config: JsonNode, model: JsonNode): NamedSplit {
  const named = config.at('tokenizer_class');
  const name = (named.isMissing ? model.at('model_type').text('') : named.text()).replace(/Fast$/, '');
  if (Object.hasOwn(splits, name)) return splits[name]!;
  throw new UnsupportedError(
    'tokenizer.unsupported',
    `tokenizer_config.json @ tokenizer_class: expected GPT2Tokenizer or Qwen2Tokenizer beside vocab.json and merges.txt, found ${name === '' ? 'none' : show(name)}. ` +
      'Save the tokenizer again with transformers, which then writes tokenizer.json.',
  );
}

/** The tokens that the files call special, as text or as { content }. */
function specialNames(roots: readonly JsonNode[]): string[] {
  const names: (string | null)[] = [];
  for (const root of roots) {
    for (const key of NAMED) names.push(nameOf(root.at(key)));
    const more = root.at('additional_special_tokens');
    if (!more.isMissing) names.push(...more.items().map(nameOf));
  }
  return names.filter((name) => name !== null);
}

function nameOf(node: JsonNode): string | null {
  if (node.isMissing) return null;
  return typeof node.value === 'string' ? node.value : node.at('content').text();
}

/** `merges.txt`: an optional first line `#version: …`, then a pair per line, in the order of their ranks. */
function* mergeLines(text: string): Generator<readonly [string, string]> {
  for (const [i, line] of text.split('\n').entries()) {
    const pair = line.replace(/\r$/, '');
    if (pair.trim() === '' || (i === 0 && pair.startsWith('#version'))) continue;
    const space = pair.indexOf(' ', 1);
    const [left, right] = [pair.slice(0, space), pair.slice(space + 1)];
    if (space < 0 || right === '' || right.includes(' ')) {
      throw badTokenizer('merges.txt', `line ${i + 1}`, `expected two pieces and a space, found ${show(pair)}`);
    }
    yield [left, right];
  }
}
