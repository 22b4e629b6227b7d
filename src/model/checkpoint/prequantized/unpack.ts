/**
 * Hugging Face folders whose weights are quantized: the packed tensors of a matrix become one tensor of its usual name and of one of our
 * types. Nothing is lost but where a comment says so; memory is what the type takes.
 */
import type { FormatError } from '../../../base/errors.ts';
import type { HfQuantization } from '../../../formats/config/quantization.ts';
import { type DType, dtypes } from '../../../tensor/dtype.ts';
import type { TensorSource } from '../../../tensor/source.ts';
import { Fp8Rows } from './fp8.ts';
import { groupedRows } from './grouped.ts';
import { Mxfp4Rows } from './mxfp4.ts';
import { misfit } from './parts.ts';

type Tensors = ReadonlyMap<string, TensorSource>;

/** Throws FormatError `prequantized.*` for parts that are missing or do not fit each other. */
export function unpackQuantized(file: string, found: Tensors, quantization: HfQuantization | null): Tensors {
  if (quantization === null) return found;
  if (quantization.method === 'fp8') return unpackFp8(file, found, quantization.block);
  return quantization.method === 'mxfp4' ? unpackMxfp4(file, found) : unpackGrouped(file, found, quantization);
}

/** What a person should know of packed weights: which types hold them here, and what those take. */
export function packingNote(found: Tensors, unpacked: Tensors, quantization: HfQuantization | null): string[] {
  if (quantization === null) return [];
  const types = new Set<DType>();
  for (const [name, tensor] of unpacked) if (found.get(name) !== tensor) types.add(tensor.dtype);
  const bits = (dtype: DType) => (8 * dtypes[dtype].blockBytes) / dtypes[dtype].blockWeights;
  const held = [...types].map((dtype) => `${dtype} (${bits(dtype)} bits a weight)`).join(' and ');
  return [`the weights are packed as ${quantization.method}, and held here as ${held}`];
}

function unpackFp8(file: string, found: Tensors, block: readonly [number, number] | null): Tensors {
  const scales = new Set<string>();
  const tensors = new Map<string, TensorSource>();
  for (const [name, tensor] of found) {
    if (tensor.dtype !== 'f8_e4m3') continue;
    const scaleName = [`${name}_scale_inv`, `${name}_scale`].find((one) => found.has(one));
    if (scaleName === undefined) throw missing(file, name, `${name}_scale_inv`);
    scales.add(scaleName);
    tensors.set(name, new Fp8Rows(file, tensor, found.get(scaleName)!, block));
  }
  for (const [name, tensor] of found) {
    // Scales of activations and of cached keys and values serve kernels that round these to eight bits too.
    const isScale = scales.has(name) || /\.(?:input_scale|activation_scale|input_scale_ub|[kv]_scale)$/.test(name);
    if (!tensors.has(name) && !isScale) tensors.set(name, tensor);
  }
  return tensors;
}

/** The blocks keep their name; their scales go into them. */
function unpackMxfp4(file: string, found: Tensors): Tensors {
  const tensors = new Map<string, TensorSource>();
  for (const [name, tensor] of found) {
    if (name.endsWith('_scales') && found.has(name.replace(/_scales$/, '_blocks'))) continue;
    const scales = name.endsWith('_blocks') ? `${name.slice(0, -'_blocks'.length)}_scales` : null;
    if (scales !== null && !found.has(scales)) throw missing(file, name, scales);
    tensors.set(name, scales === null ? tensor : new Mxfp4Rows(file, tensor, found.get(scales)!));
  }
  return tensors;
}

function unpackGrouped(
  file: string,
  found: Tensors,
  quantization: Extract<HfQuantization, { method: 'gptq' | 'awq' }>,
): Tensors {
  const tensors = new Map<string, TensorSource>();
  for (const [name, tensor] of found) {
    const packed = /^(.*)\.(qweight|qzeros|scales|g_idx)$/.exec(name);
    if (packed === null) {
      tensors.set(name, tensor);
      continue;
    }
    const [, owner, part] = packed;
    if (part !== 'qweight') {
      if (!found.has(`${owner}.qweight`)) throw missing(file, name, `${owner}.qweight`);
      continue;
    }
    const partOf = (which: string) => {
      const source = found.get(`${owner}.${which}`);
      if (source === undefined) throw missing(file, name, `${owner}.${which}`);
      return source;
    };
    const parts = {
      qweight: tensor,
      qzeros: partOf('qzeros'),
      scales: partOf('scales'),
      g_idx: found.get(`${owner}.g_idx`) ?? null,
    };
    tensors.set(`${owner}.weight`, groupedRows(file, `${owner}.weight`, parts, quantization));
  }
  return tensors;
}

function missing(file: string, name: string, wanted: string): FormatError {
  return misfit(file, name, `expected ${wanted} beside it, found none`);
}
