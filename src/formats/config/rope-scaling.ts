/** The ways config.json stretches rotary positions; the keys are transformers' (modeling_rope_utils.py). */

import { show } from '../json.ts';
import type { Facts } from './facts.ts';

export interface RopeFacts {
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScalingFacts;
}

export type RopeScalingFacts =
  | { readonly kind: 'none' }
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalContextLength: number;
    }
  | {
      readonly kind: 'yarn';
      readonly factor: number;
      readonly originalContextLength: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly attentionFactor: number | null;
    };

const DEFAULT_THETA = 10_000;

/** Reads the object behind rope_scaling or rope_parameters. `outerTheta`: a rope_theta beside it; `original`: the fallback. */
export function readRopeScaling(facts: Facts, outerTheta: number | null, original: number): RopeFacts {
  const ropeTheta = facts.number('rope_theta', outerTheta ?? DEFAULT_THETA);
  if (outerTheta !== null && outerTheta !== ropeTheta) {
    facts.problem('rope_theta', `is ${ropeTheta}, but the rope_theta outside is ${outerTheta}; expected one value`);
  }
  facts.only('partial_rotary_factor', [1], 'rotary positions turn whole heads');
  const oldType = facts.take('type');
  const type = facts.take('rope_type') ?? oldType ?? 'default';
  if (oldType !== null && oldType !== type)
    facts.problem('type', `is ${show(oldType)}, but rope_type is ${show(type)}`);
  const ropeScaling = readKind(facts, type, original);
  const [low, high] =
    ropeScaling.kind === 'llama3'
      ? [ropeScaling.lowFreqFactor, ropeScaling.highFreqFactor]
      : ropeScaling.kind === 'yarn'
        ? [ropeScaling.betaSlow, ropeScaling.betaFast]
        : [0, 1];
  if (!(low >= 0 && high > low) && facts.problems.length === 0) {
    facts.problem(
      'rope_type',
      `${show(type)} ramps from ${low} to ${high}, expected the first to be smaller and not negative`,
    );
  }
  return { ropeTheta, ropeScaling };
}

function readKind(facts: Facts, type: unknown, original: number): RopeScalingFacts {
  switch (type) {
    case 'default':
      return { kind: 'none' };
    case 'linear': {
      facts.take('original_max_position_embeddings');
      return { kind: 'linear', factor: facts.number('factor') };
    }
    case 'llama3':
      return {
        kind: 'llama3',
        factor: facts.number('factor'),
        lowFreqFactor: facts.number('low_freq_factor'),
        highFreqFactor: facts.number('high_freq_factor'),
        originalContextLength: facts.count('original_max_position_embeddings'),
      };
    case 'yarn': {
      facts.only('truncate', [true], 'the ramp of YaRN starts and ends at whole pairs');
      facts.only('mscale', [], 'this is a scaling of DeepSeek models');
      facts.only('mscale_all_dim', [], 'this is a scaling of DeepSeek models');
      facts.only('finetuned', [true, false], 'it says how the model was made');
      return {
        kind: 'yarn',
        factor: facts.number('factor'),
        originalContextLength: facts.count('original_max_position_embeddings', original),
        betaFast: facts.number('beta_fast', 32),
        betaSlow: facts.number('beta_slow', 1),
        attentionFactor: facts.numberOrNull('attention_factor'),
      };
    }
    default:
      facts.problem('rope_type', `is ${show(type)}, expected default, linear, llama3 or yarn`);
      facts.ignore([
        'factor',
        'short_factor',
        'long_factor',
        'original_max_position_embeddings',
        'attention_factor',
        'alpha',
      ]);
      return { kind: 'none' };
  }
}
