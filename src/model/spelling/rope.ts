/** How files spell rotary positions: theta, the part of a head that is rotated, and the ways they are stretched. */

import { ConfigError } from '../../base/errors.ts';
import { Facts } from '../../formats/config/facts.ts';
import { readTensor } from '../../formats/file-tensor.ts';
import { isObject, show } from '../../formats/json.ts';
import { recogniseLlama3 } from '../checkpoint/rope-factors.ts';
import { shortestF32 } from '../checkpoint/shortest.ts';
import type { LlamaConfig, RopeScaling } from '../config.ts';
import type { Fact, GgufEntry, GgufFacts } from './relative.ts';

const DEFAULT_THETA = 10_000;
/** A key of our own: llama.cpp rounds YaRN's ramp to whole pairs whatever a model's configuration says. */
const OWN_TRUNCATE = 'rope.scaling.yarn_truncate';

export interface RopeOptions {
  /** config.json may say that a part of each head is rotated. */
  readonly fraction?: boolean;
  /** Keys of rope_parameters that another fact reads. */
  readonly others?: readonly string[];
}

export function rope({ fraction = false, others = [] }: RopeOptions = {}): Fact {
  return {
    fields: ['ropeTheta', 'ropeScaling', 'rotatedSize'],
    readHf: (keys, known) => readHfRope(keys, known, fraction, others),
    writeHf: (config) => ({
      rope_theta: config.ropeTheta,
      ...(config.ropeScaling.kind === 'none' ? {} : { rope_scaling: hfScaling(config) }),
      ...(originalOf(config.ropeScaling) === null
        ? {}
        : { original_max_position_embeddings: originalOf(config.ropeScaling) }),
      ...(fraction && config.rotatedSize !== null
        ? { partial_rotary_factor: config.rotatedSize / config.headSize }
        : {}),
    }),
    readGguf: readGgufRope,
    writeGguf: ggufRope,
  };
}

/** rope_theta and rope_scaling (transformers 4), or both inside rope_parameters (5). */
function readHfRope(
  keys: Facts,
  known: LlamaConfig,
  fraction: boolean,
  others: readonly string[],
): Partial<LlamaConfig> {
  const parameters = keys.take('rope_parameters');
  const scaling = keys.take('rope_scaling');
  for (const [key, value] of [
    ['rope_parameters', parameters],
    ['rope_scaling', scaling],
  ] as const) {
    if (value !== null && !isObject(value)) keys.problem(key, `is ${show(value)}, expected an object or null`);
  }
  const outerTheta = keys.numberOrNull('rope_theta');
  if (isObject(parameters) && isObject(scaling)) {
    keys.problem('rope_scaling', 'is given besides rope_parameters; expected one of the two');
  }
  const key = isObject(parameters) ? 'rope_parameters' : 'rope_scaling';
  const values = isObject(parameters) ? parameters : isObject(scaling) ? scaling : {};
  const inner = new Facts(keys.where, values, `${key}.`);
  const original = keys.countOrNull('original_max_position_embeddings');
  const outerFraction = keys.numberOrNull('partial_rotary_factor') ?? 1;
  const share = inner.number('partial_rotary_factor', outerFraction);
  if (share !== 1 && !fraction)
    keys.problem('partial_rotary_factor', `is ${share}, expected 1: whole heads are rotated`);
  const rotatedSize = share === 1 ? null : Math.trunc(known.headSize * share);
  const read = readHfScaling(inner, outerTheta, original, { ...known, rotatedSize });
  inner.ignore(others);
  keys.include(inner);
  return { rotatedSize, ...read };
}

/** Reads the object behind rope_scaling or rope_parameters. `outerTheta`: a rope_theta beside it. */
export function readHfScaling(
  keys: Facts,
  outerTheta: number | null,
  original: number | null,
  known: LlamaConfig,
): Pick<LlamaConfig, 'ropeTheta' | 'ropeScaling'> {
  const ropeTheta = keys.number('rope_theta', outerTheta ?? DEFAULT_THETA);
  if (outerTheta !== null && outerTheta !== ropeTheta) {
    keys.problem('rope_theta', `is ${ropeTheta}, but the rope_theta outside is ${outerTheta}; expected one value`);
  }
  const oldType = keys.take('type');
  const type = keys.take('rope_type') ?? oldType ?? 'default';
  if (oldType !== null && oldType !== type) keys.problem('type', `is ${show(oldType)}, but rope_type is ${show(type)}`);
  const ropeScaling = readKind(keys, type, original, known);
  const [low, high] =
    ropeScaling.kind === 'llama3'
      ? [ropeScaling.lowFreqFactor, ropeScaling.highFreqFactor]
      : ropeScaling.kind === 'yarn'
        ? [ropeScaling.betaSlow, ropeScaling.betaFast]
        : [0, 1];
  // Llama 3.1's formula has a ramp of no length, too (Llama 4 Scout).
  const isRamp = ropeScaling.kind === 'llama3' ? high >= low : high > low;
  if (!(low >= 0 && isRamp) && keys.problems.length === 0) {
    keys.problem(
      'rope_type',
      `${show(type)} ramps from ${low} to ${high}, expected the first to be smaller and not negative`,
    );
  }
  return { ropeTheta, ropeScaling };
}

function readKind(keys: Facts, type: unknown, outerOriginal: number | null, known: LlamaConfig): RopeScaling {
  const { contextLength } = known;
  switch (type) {
    case 'default':
      keys.take('original_max_position_embeddings');
      return { kind: 'none' };
    case 'linear':
      keys.take('original_max_position_embeddings');
      return { kind: 'linear', factor: keys.number('factor') };
    case 'dynamic':
      keys.only('alpha', [null], 'this is another scaling, of HunYuan models');
      return {
        kind: 'dynamic',
        factor: keys.number('factor'),
        originalContextLength: keys.count('original_max_position_embeddings', outerOriginal ?? contextLength),
      };
    case 'llama3':
      return {
        kind: 'llama3',
        factor: keys.number('factor'),
        lowFreqFactor: keys.number('low_freq_factor'),
        highFreqFactor: keys.number('high_freq_factor'),
        originalContextLength: keys.count('original_max_position_embeddings'),
      };
    case 'yarn':
      keys.only('finetuned', [true, false], 'it says how the model was made');
      keys.only('extrapolation_factor', [1, null], 'YaRN blends fully');
      return {
        kind: 'yarn',
        factor: keys.number('factor'),
        originalContextLength: keys.count('original_max_position_embeddings', outerOriginal ?? contextLength),
        betaFast: keys.number('beta_fast', 32),
        betaSlow: keys.number('beta_slow', 1),
        wholePairs: keys.flag('truncate', true),
        attentionFactor: keys.numberOrNull('attention_factor') ?? quotientOfScales(keys) ?? timesUsual(keys),
      };
    case 'longrope':
    case 'su': {
      const originalContextLength = keys.count('original_max_position_embeddings', outerOriginal ?? contextLength);
      const factor = keys.number('factor', contextLength / originalContextLength);
      const given = keys.numberOrNull('attention_factor');
      return {
        kind: 'longrope',
        shortFactors: factors(keys, 'short_factor', known),
        longFactors: factors(keys, 'long_factor', known),
        originalContextLength,
        attentionFactor: given ?? longropeMagnitude(factor, originalContextLength),
      };
    }
    default:
      keys.problem('rope_type', `is ${show(type)}, expected default, linear, dynamic, llama3, yarn or longrope`);
      keys.ignore(['factor', 'original_max_position_embeddings', 'attention_factor', 'alpha']);
      return { kind: 'none' };
  }
}

/** YaRN's magnitude where a file gives two weights of it, whose quotient is what is left: of Ministral 3, 1. null: it gives none. */
function quotientOfScales(keys: Facts): number | null {
  const [weight, all] = [keys.numberOrNull('mscale'), keys.numberOrNull('mscale_all_dim')];
  if (!weight || !all) return null;
  const scale = (by: number) => 0.1 * by * Math.log(Math.max(1, keys.number('factor'))) + 1;
  return scale(weight) / scale(all);
}

/**
 * YaRN's magnitude where a file gives a factor of the usual one, as vLLM's and llama.cpp's configurations do (transformers knows no such
 * key): of DeepSeek R1 0528 Qwen3 8B, whose factor undoes it. null: it gives none.
 */
function timesUsual(keys: Facts): number | null {
  const factor = keys.numberOrNull('attn_factor');
  if (factor === null || factor === 1) return null;
  return Number((factor * (0.1 * Math.log(Math.max(1, keys.number('factor'))) + 1)).toPrecision(12));
}

/** √(1 + ln factor / ln original), 1 where nothing is stretched. Source: Ding et al. 2024, arXiv:2402.13753; transformers. */
function longropeMagnitude(factor: number, original: number): number {
  return factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
}

function factors(keys: Facts, key: string, { rotatedSize, headSize }: LlamaConfig): number[] {
  const value = keys.take(key);
  const pairs = Math.floor((rotatedSize ?? headSize) / 2);
  if (Array.isArray(value) && value.length === pairs && value.every((one) => typeof one === 'number' && one > 0)) {
    return value as number[];
  }
  const found = Array.isArray(value) ? `${value.length} values` : show(value);
  keys.problem(key, `is ${found}, expected ${pairs} positive numbers`);
  return [1]; // the problem ends the reading
}

function originalOf(scaling: RopeScaling): number | null {
  return scaling.kind === 'longrope' ? scaling.originalContextLength : null;
}

function hfScaling({ ropeScaling: scaling }: LlamaConfig): Record<string, unknown> {
  switch (scaling.kind) {
    case 'none':
      return { rope_type: 'default' };
    case 'linear':
      return { rope_type: 'linear', type: 'linear', factor: scaling.factor };
    case 'dynamic':
      return {
        rope_type: 'dynamic',
        type: 'dynamic',
        factor: scaling.factor,
        original_max_position_embeddings: scaling.originalContextLength,
      };
    case 'llama3':
      return {
        rope_type: 'llama3',
        factor: scaling.factor,
        low_freq_factor: scaling.lowFreqFactor,
        high_freq_factor: scaling.highFreqFactor,
        original_max_position_embeddings: scaling.originalContextLength,
      };
    case 'yarn':
      return {
        rope_type: 'yarn',
        factor: scaling.factor,
        original_max_position_embeddings: scaling.originalContextLength,
        beta_fast: scaling.betaFast,
        beta_slow: scaling.betaSlow,
        ...(scaling.wholePairs ? {} : { truncate: false }),
        ...(scaling.attentionFactor === null ? {} : { attention_factor: scaling.attentionFactor }),
      };
    case 'longrope':
      return {
        rope_type: 'longrope',
        type: 'longrope',
        short_factor: scaling.shortFactors,
        long_factor: scaling.longFactors,
        attention_factor: scaling.attentionFactor,
      };
    case 'factors':
      throw new ConfigError('config.json', [
        'ropeScaling is a list of factors that is none of the published scalings; transformers has no form for it',
      ]);
    default:
      return scaling satisfies never;
  }
}

/** rope.*, the older rope.scale_linear, and the divisors in rope_freqs.weight or rope_factors_*.weight. */
function readGgufRope(keys: Facts, known: LlamaConfig, file: GgufFacts): Partial<LlamaConfig> {
  const { headSize, contextLength } = known;
  const size = keys.count('rope.dimension_count', headSize);
  if (size > headSize || size % 2 !== 0) {
    keys.problem('rope.dimension_count', `is ${size}, expected an even number up to the head size ${headSize}`);
  }
  const rotatedSize = size === headSize ? null : Math.min(size, headSize);
  const ropeTheta = shortestF32(keys.number('rope.freq_base', DEFAULT_THETA));
  const factor = keys.number('rope.scaling.factor', keys.number('rope.scale_linear', 1));
  const given = keys.take('rope.scaling.type') ?? (factor === 1 ? 'none' : 'linear');
  const originalContextLength = keys.count('rope.scaling.original_context_length', contextLength);
  const attentionFactor = keys.number('rope.scaling.attn_factor', 1);
  const logMultiplier = keys.number('rope.scaling.yarn_log_multiplier', 0);
  const betaFast = keys.number('rope.scaling.yarn_beta_fast', 32);
  const betaSlow = keys.number('rope.scaling.yarn_beta_slow', 1);
  const wholePairs = keys.flag(OWN_TRUNCATE, true);
  keys.only('rope.scaling.yarn_ext_factor', [1, -1, null], 'YaRN blends fully');
  const read = (ropeScaling: RopeScaling) => ({ rotatedSize, ropeTheta, ropeScaling });
  const divisors = (name: string) => readDivisors(keys, file, name, size / 2);

  const long = divisors('rope_factors_long.weight');
  const short = divisors('rope_factors_short.weight');
  if (long !== null || short !== null) {
    if (long === null || short === null) {
      keys.problem('rope.scaling.type', 'comes with one of rope_factors_long and rope_factors_short; expected both');
    }
    const [shortFactors, longFactors] = [short ?? long!, long ?? short!].map((list) => list.map(shortestF32));
    const magnitude = shortestF32(attentionFactor);
    return read({
      kind: 'longrope',
      shortFactors: shortFactors!,
      longFactors: longFactors!,
      originalContextLength,
      attentionFactor: magnitude,
    });
  }
  const single = divisors('rope_freqs.weight');
  if (single !== null) {
    if (given === 'yarn')
      keys.problem('rope.scaling.type', '"yarn" comes with rope_freqs.weight; expected one of the two');
    const all = single.map((divisor) => divisor * (given === 'none' ? 1 : factor));
    return read(recogniseLlama3(all, ropeTheta, size) ?? { kind: 'factors', factors: all });
  }
  // llama.cpp, too, rotates as usual where a file says longrope and has no factors.
  if (given === 'none' || given === 'longrope' || (given === 'linear' && factor === 1)) return read({ kind: 'none' });
  if (given === 'linear') return read({ kind: 'linear', factor });
  if (given !== 'yarn') {
    keys.problem('rope.scaling.type', `is ${show(given)}, expected none, linear, yarn or longrope`);
    return read({ kind: 'none' });
  }
  // The second weight of the magnitude's quotient; the first is 1.
  const usual = 0.1 * Math.log(Math.max(1, factor)) + 1;
  const shared = logMultiplier === 0 ? usual : usual / (0.1 * logMultiplier * Math.log(Math.max(1, factor)) + 1);
  const magnitude = attentionFactor === 1 && logMultiplier === 0 ? null : shortestF32(attentionFactor * shared);
  return read({
    kind: 'yarn',
    factor,
    originalContextLength,
    betaFast,
    betaSlow,
    wholePairs,
    attentionFactor: magnitude,
  });
}

function readDivisors(keys: Facts, { tensors }: GgufFacts, name: string, pairs: number): number[] | null {
  const tensor = tensors.get(name);
  if (tensor === undefined) return null;
  if (!(tensor.dtype === 'f32' && tensor.shape.length === 1 && tensor.shape[0] === pairs)) {
    keys.problems.push(`${name} is ${tensor.dtype} [${tensor.shape}], expected f32 [${pairs}]`);
    return null;
  }
  const divisors = [...new Float32Array(readTensor(tensor).buffer)];
  if (divisors.every((divisor) => divisor > 0 && Number.isFinite(divisor))) return divisors;
  keys.problems.push(`${name} holds numbers that are not positive and finite`);
  return null;
}

function ggufRope(config: LlamaConfig): GgufEntry[] {
  const { ropeTheta, ropeScaling: scaling, headSize, rotatedSize } = config;
  const entries: GgufEntry[] = [
    ['rope.freq_base', 'f32', ropeTheta],
    ['rope.dimension_count', 'u32', rotatedSize ?? headSize],
  ];
  if (scaling.kind === 'linear' || scaling.kind === 'yarn') {
    entries.push(['rope.scaling.type', 'string', scaling.kind], ['rope.scaling.factor', 'f32', scaling.factor]);
  }
  if (scaling.kind === 'yarn' || scaling.kind === 'longrope') {
    entries.push(['rope.scaling.original_context_length', 'u32', scaling.originalContextLength]);
  }
  if (scaling.kind === 'yarn') {
    const { attentionFactor, factor, betaFast, betaSlow, wholePairs } = scaling;
    if (!wholePairs) entries.push([OWN_TRUNCATE, 'bool', false]);
    if (betaFast !== 32) entries.push(['rope.scaling.yarn_beta_fast', 'f32', betaFast]);
    if (betaSlow !== 1) entries.push(['rope.scaling.yarn_beta_slow', 'f32', betaSlow]);
    if (attentionFactor !== null) {
      entries.push(['rope.scaling.attn_factor', 'f32', attentionFactor / (0.1 * Math.log(factor) + 1)]);
    }
  }
  if (scaling.kind === 'longrope') entries.push(['rope.scaling.attn_factor', 'f32', scaling.attentionFactor]);
  if (scaling.kind === 'dynamic') {
    throw new ConfigError('writing GGUF', ['ropeScaling is dynamic; GGUF has no form for it']);
  }
  return entries;
}
