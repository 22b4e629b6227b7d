/**
 * quantization_config of a config.json: how the weights beside it are packed. Kinds that can be unpacked are recognized; every other one
 * is a problem, with its name.
 */
import { isObject, type Json, show } from '../json.ts';
import { saysNothing } from './unknown-keys.ts';

export type HfQuantization =
  /** Bytes of eight-bit floats (E4M3); scales per block of these rows and columns, or, with null, per row or per matrix. */
  | { readonly method: 'fp8'; readonly block: readonly [rows: number, columns: number] | null }
  /** Stacks of experts in blocks of 32 four-bit floats with a scale (gpt-oss). */
  | { readonly method: 'mxfp4' }
  /** Integers of `bits` with a scale and a zero point per group of columns. `zeroShift` is added to every zero point that is stored. */
  | {
      readonly method: 'gptq' | 'awq';
      readonly bits: number;
      /** Columns of a group; null: all of a row. */
      readonly group: number | null;
      readonly zeroShift: 0 | 1;
    };

type Report = (key: string, problem: string) => void;

const INSTEAD = 'use the original weights, or a GGUF file';

/** Null for weights that are not quantized, and after a problem was reported. */
export function readHfQuantization(value: Json, report: Report): HfQuantization | null {
  if (saysNothing(value)) return null;
  if (!isObject(value)) {
    report('quantization_config', `is ${show(value)}, expected an object`);
    return null;
  }
  const problem = (key: string, expected: string) => {
    report('quantization_config', `has ${key} ${show(value[key] ?? null)}, expected ${expected}; ${INSTEAD}`);
    return null;
  };
  switch (value.quant_method) {
    case 'fp8': {
      if (value.fmt !== undefined && value.fmt !== 'e4m3') return problem('fmt', 'e4m3');
      const block = value.weight_block_size ?? null;
      if (block !== null && !isPairOfCounts(block)) return problem('weight_block_size', 'two whole numbers');
      return { method: 'fp8', block };
    }
    case 'fbgemm_fp8':
      return { method: 'fp8', block: null };
    case 'compressed-tensors':
      return value.format === 'float-quantized' ? { method: 'fp8', block: null } : problem('format', 'float-quantized');
    case 'mxfp4':
      return { method: 'mxfp4' };
    case 'gptq': {
      if (value.bits !== 2 && value.bits !== 4 && value.bits !== 8) return problem('bits', '2, 4 or 8');
      const group = groupOf(value.group_size);
      if (group === undefined) return problem('group_size', 'a whole number, or -1');
      return { method: 'gptq', bits: value.bits, group, zeroShift: value.checkpoint_format === 'gptq_v2' ? 0 : 1 };
    }
    case 'awq': {
      if (value.bits !== undefined && value.bits !== 4) return problem('bits', '4');
      const version = value.version ?? 'gemm';
      if (typeof version !== 'string' || version.toLowerCase() !== 'gemm') return problem('version', 'gemm');
      const group = groupOf(value.group_size ?? 128);
      if (group === undefined) return problem('group_size', 'a whole number, or -1');
      return { method: 'awq', bits: 4, group, zeroShift: 0 };
    }
    default:
      return problem('quant_method', 'fp8, fbgemm_fp8, compressed-tensors, mxfp4, gptq or awq');
  }
}

function isPairOfCounts(value: unknown): value is [number, number] {
  return Array.isArray(value) && value.length === 2 && value.every((count) => Number.isInteger(count) && count > 0);
}

function groupOf(value: unknown): number | null | undefined {
  if (value === -1) return null;
  return typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : undefined;
}
