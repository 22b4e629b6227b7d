/**
 * Tensors that hold several parameters' rows, one below the other (Phi-3): taken apart when read, put together when written. Experts the
 * other way round: Hugging Face stores each by itself, and here they are a stack.
 */
import type { NamedTensor } from '../../formats/safetensors-write.ts';
import type { TensorSource } from '../../tensor/source.ts';
import type { LlamaConfig } from '../config.ts';
import { foreignName, listParameters } from '../parameters.ts';
import type { Names } from '../spelling/relative.ts';
import { RowRange, StackedRows } from './row-sources.ts';

interface Group {
  /** The name in the file. */
  readonly name: string;
  readonly parts: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

/** The fused tensors of a model, with what they hold under the parts' own names in that format. */
function groupsOf(config: LlamaConfig, format: 'hf' | 'gguf', names: Names | undefined): Group[] {
  const fused = Object.entries(names?.fused ?? {});
  if (fused.length === 0) return [];
  const parameters = listParameters(config);
  const prefix = names?.blocks ?? { hf: 'model.layers', gguf: 'blk' }[format];
  return Array.from({ length: config.blockCount }, (_, block) =>
    fused.flatMap(([name, keys]) => {
      const parts = keys.map((key) => parameters.find((one) => one.block === block && one.key === key));
      if (parts.some((part) => part === undefined)) return [];
      return {
        name: `${prefix}.${block}.${name}`,
        parts: parts.map((part) => ({ name: foreignName(part!, format, names)!, shape: part!.shape })),
      };
    }),
  ).flat();
}

/** The tensors of one expert each, under which a format stores a stack; null where it stores the stack itself. */
function expertsOf(name: string, shape: readonly number[]): string[] | null {
  if (!name.includes('*')) return null;
  return Array.from({ length: shape[0]! }, (_, expert) => name.replace('*', String(expert)));
}

/** A file's tensors with those of single experts put together. */
function stackExperts(
  split: Map<string, TensorSource>,
  config: LlamaConfig,
  format: 'hf' | 'gguf',
  names?: Names,
): void {
  for (const parameter of listParameters(config)) {
    const name = foreignName(parameter, format, names);
    const single = name === null ? null : expertsOf(name, parameter.shape);
    if (single === null) continue;
    const parts = single.map((one) => split.get(one));
    if (parts.some((part) => part === undefined || part.dtype !== parts[0]!.dtype || part.shape.length !== 2)) continue;
    for (const one of single) split.delete(one);
    split.set(name!, new StackedRows(parts as TensorSource[], parameter.shape));
  }
}

/** A file's tensors with the fused ones taken apart; those of another size are left, for the matching to name. */
export function splitFused(
  found: ReadonlyMap<string, TensorSource>,
  config: LlamaConfig,
  format: 'hf' | 'gguf',
  names: Names | undefined,
): ReadonlyMap<string, TensorSource> {
  const split = new Map(found);
  for (const { name, parts } of groupsOf(config, format, names)) {
    const whole = found.get(name);
    const rows = parts.reduce((sum, { shape }) => sum + shape[0]!, 0);
    if (whole?.shape.length !== parts[0]!.shape.length || whole.shape[0] !== rows) continue;
    split.delete(name);
    let first = 0;
    for (const part of parts) {
      split.set(part.name, new RowRange(whole, part.name, first, part.shape[0]!));
      first += part.shape[0]!;
    }
  }
  stackExperts(split, config, format, names);
  return split;
}

/** The tensors that a file of this format has. */
export function joinFused(
  tensors: readonly NamedTensor[],
  config: LlamaConfig,
  format: 'hf' | 'gguf',
  names: Names | undefined,
): NamedTensor[] {
  const joined = new Map<string, NamedTensor[1]>(tensors);
  for (const { name, parts } of groupsOf(config, format, names)) {
    const sources = parts.map((part) => joined.get(part.name)!);
    for (const part of parts) joined.delete(part.name);
    joined.set(name, new StackedRows(sources));
  }
  for (const parameter of listParameters(config)) {
    const name = foreignName(parameter, format, names);
    const single = name === null ? null : expertsOf(name, parameter.shape);
    if (single === null) continue;
    const stack = joined.get(name!)!;
    joined.delete(name!);
    for (const [i, one] of single.entries()) {
      const rows = parameter.shape[1]!;
      joined.set(one, new RowRange(stack, one, i * rows, rows));
    }
  }
  return [...joined];
}
