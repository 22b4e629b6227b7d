/** Facts that differ from block to block: sliding windows, and blocks without rotations. */

import { ConfigError } from '../../base/errors.ts';
import type { Facts } from '../../formats/config/facts.ts';
import { isObject, show } from '../../formats/json.ts';
import { type LlamaConfig, MOST_BLOCKS } from '../config.ts';
import type { Fact, GgufEntry } from './relative.ts';

/** Whether block i is so, of a configuration that says nothing more. */
export type BlockRule = (block: number, known: LlamaConfig) => boolean;

/** In every run of `period` blocks, all but the last. */
export const allButEvery =
  (period: number): BlockRule =>
  (block) =>
    (block + 1) % period !== 0;

export interface WindowOptions {
  /** Which blocks slide where the file has a window and does not list them; absent: all. */
  readonly slides?: BlockRule;
  /** The window is there only where `use_sliding_window` is true, from block `max_window_layers` on. */
  readonly switched?: boolean;
  /** Keys that say the period of the pattern. */
  readonly hfPeriods?: readonly string[];
  readonly gguf?: 'none' | 'window' | 'period';
  /** The key of its size, and layer_types' word for a block with it. */
  readonly hfWindow?: string;
  readonly hfType?: string;
}

const listOf = (count: number, rule: (block: number) => boolean) =>
  Array.from({ length: Math.min(count, MOST_BLOCKS) }, (_, i) => rule(i));

/** Of a list of blocks, what the configuration keeps: null where it is the same for all. */
function shorten(
  window: number | null,
  slides: readonly boolean[],
): Pick<LlamaConfig, 'slidingWindow' | 'slidingBlocks'> {
  if (window === null || !slides.includes(true)) return { slidingWindow: null, slidingBlocks: null };
  return { slidingWindow: window, slidingBlocks: slides.includes(false) ? slides : null };
}

/** sliding_window and which blocks have it. Models without a window use it too: what they say must agree. */
export function window({
  slides = () => true,
  switched = false,
  hfPeriods = [],
  gguf = 'window',
  hfWindow = 'sliding_window',
  hfType = 'sliding_attention',
}: WindowOptions = {}): Fact {
  return {
    fields: ['slidingWindow', 'slidingBlocks'],
    readHf: (keys, known) => {
      const size = readWindow(keys, hfWindow);
      keys.only('sliding_window_size', [size, null], `${hfWindow} says it too`);
      const isUsed = switched ? keys.flag('use_sliding_window', false) : keys.flag('use_sliding_window', true);
      const period = hfPeriods.map((key) => readPeriod(keys, key)).find((value) => value !== null) ?? null;
      const from = readFrom(keys, switched && isUsed);
      const rule: BlockRule = period === null ? slides : allButEvery(period);
      const own = listOf(known.blockCount, (i) => isUsed && i >= from && rule(i, known));
      const listed = readTypes(keys, known.blockCount, hfType);
      if (listed !== null && size === null && listed.includes(true)) {
        keys.problem(hfWindow, `is missing, but layer_types has blocks of ${hfType}`);
      }
      if (listed !== null && switched && isUsed && listed.some((slidesHere, i) => slidesHere !== own[i])) {
        keys.problem('layer_types', 'lists other blocks than use_sliding_window and max_window_layers say');
      }
      return shorten(switched && !isUsed ? null : size, listed ?? own);
    },
    writeHf: ({ slidingWindow, slidingBlocks, blockCount }) => ({
      ...(switched ? { use_sliding_window: slidingWindow !== null } : {}),
      [hfWindow]: slidingWindow,
      ...(switched && slidingWindow !== null
        ? { max_window_layers: slidingBlocks === null ? 0 : slidingBlocks.indexOf(true) }
        : {}),
      ...(slidingBlocks === null && slidingWindow === null
        ? {}
        : {
            layer_types: listOf(blockCount, (i) => slidingBlocks?.[i] ?? true).map((slidesHere) =>
              slidesHere ? hfType : 'full_attention',
            ),
          }),
    }),
    readGguf: (keys, known) => {
      if (gguf === 'none') return { slidingWindow: null, slidingBlocks: null };
      const size = keys.number('attention.sliding_window', 0) || null;
      const pattern = gguf === 'period' ? keys.take('attention.sliding_window_pattern') : null;
      if (Array.isArray(pattern))
        return shorten(
          size,
          listOf(known.blockCount, (i) => Boolean(pattern[i])),
        );
      const rule = typeof pattern === 'number' && pattern > 0 ? allButEvery(pattern) : slides;
      return shorten(
        size,
        listOf(known.blockCount, (i) => rule(i, known)),
      );
    },
    writeGguf: (config): GgufEntry[] => {
      const { slidingWindow, slidingBlocks, blockCount } = config;
      if (slidingWindow === null) return [];
      const usual = listOf(blockCount, (i) => slides(i, config));
      const actual = slidingBlocks ?? listOf(blockCount, () => true);
      const entry: GgufEntry = ['attention.sliding_window', 'u32', slidingWindow];
      if (actual.every((slidesHere, i) => slidesHere === usual[i])) return [entry];
      const period = actual.indexOf(false) + 1;
      if (gguf === 'period' && actual.every((slidesHere, i) => slidesHere === allButEvery(period)(i, config))) {
        return [entry, ['attention.sliding_window_pattern', 'u32', period]];
      }
      throw new ConfigError('writing GGUF', [
        'slidingBlocks is a pattern of blocks that this architecture has no key for',
      ]);
    },
  };
}

/** The first block with a window. */
function readFrom(keys: Facts, isUsed: boolean): number {
  if (isUsed) return keys.count('max_window_layers', 28, 0);
  keys.take('max_window_layers');
  return 0;
}

/** The whole number behind sliding_window or another key; null where there is none. */
function readWindow(keys: Facts, key = 'sliding_window'): number | null {
  const value = keys.take(key);
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1) return value;
  if (value !== null && value !== 0) {
    keys.problem(key, `is ${show(value)}, expected a whole number from 1 or null`);
  }
  return null;
}

/** A number, or a pattern of letters such as LLLG. */
function readPeriod(keys: Facts, key: string): number | null {
  const value = keys.take(key);
  if (value === null || isObject(value)) return null;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1) return value;
  if (typeof value === 'string' && /^L*G$/.test(value)) return value.length;
  keys.problem(key, `is ${show(value)}, expected the period of the blocks without a window`);
  return null;
}

function readTypes(keys: Facts, blockCount: number, withWindow = 'sliding_attention'): boolean[] | null {
  const types = keys.take('layer_types');
  if (types === null) return null;
  const known = ['full_attention', withWindow];
  if (Array.isArray(types) && types.length === blockCount && types.every((type) => known.includes(type as string))) {
    return types.map((type) => type === withWindow);
  }
  keys.problem('layer_types', `is ${show(types)}, expected ${blockCount} times full_attention or ${withWindow}`);
  return null;
}

/** For models that attend to all earlier positions: what config.json may say of windows must say so. */
export const noWindow: Fact = {
  fields: ['slidingWindow', 'slidingBlocks'],
  readHf: (keys, { blockCount }) => {
    readWindow(keys);
    for (const key of ['max_window_layers', 'sliding_window_size']) keys.take(key);
    keys.only('use_sliding_window', [false, null], 'this model attends to all earlier positions');
    if (readTypes(keys, blockCount)?.includes(true)) {
      keys.problem('layer_types', 'has sliding_attention, but this model attends to all earlier positions');
    }
    return { slidingWindow: null, slidingBlocks: null };
  },
  writeHf: () => ({}),
  readGguf: () => ({ slidingWindow: null, slidingBlocks: null }),
  writeGguf: () => [],
};

/** Blocks that do not rotate queries and keys, by a rule of the family and by transformers' list, where 1 means rotated. */
export function rotatedBlocks({
  rotates,
  listKey,
  periodKey,
}: {
  readonly rotates: BlockRule;
  readonly listKey?: string;
  readonly periodKey?: string;
}): Fact {
  const byRule = (known: LlamaConfig, rule: BlockRule = rotates) => {
    const list = listOf(known.blockCount, (i) => rule(i, known));
    return { rotatedBlocks: list.includes(false) ? list : null };
  };
  return {
    fields: ['rotatedBlocks'],
    readHf: (keys, known) => {
      const period = periodKey === undefined ? null : keys.countOrNull(periodKey);
      const list = listKey === undefined ? null : keys.take(listKey);
      if (list === null || (Array.isArray(list) && list.length === 0))
        return byRule(known, period === null ? rotates : allButEvery(period));
      if (Array.isArray(list) && list.length === known.blockCount && list.every((one) => one === 0 || one === 1)) {
        return { rotatedBlocks: list.includes(0) ? list.map((one) => one === 1) : null };
      }
      keys.problem(listKey!, `is ${show(list)}, expected ${known.blockCount} times 1 (rotated) or 0`);
      return byRule(known);
    },
    writeHf: (config) =>
      listKey === undefined
        ? {}
        : { [listKey]: listOf(config.blockCount, (i) => config.rotatedBlocks?.[i] ?? true).map(Number) },
    readGguf: (_, known) => byRule(known),
    writeGguf: () => [],
  };
}
