/**
 * Tensors that hold several parameters' rows, one below the other (Phi-3): taken apart when read, put together when written. Experts the
 * other way round: most files store each by itself, and here they are a stack; stacks that lie otherwise: expert-stacks.ts.
 */
import type { NamedTensor } from '../../../formats/safetensors-write.ts';
import { dtypes } from '../../../tensor/dtype.ts';
import type { TensorSource } from '../../../tensor/source.ts';
import { formatShape } from '../../../tensor/tensor.ts';
import type { LlamaConfig } from '../../config.ts';
import { foreignName, listParameters, type Parameter } from '../../parameters.ts';
import type { ExpertStack, Names } from '../../spelling/relative.ts';
import { JoinedStack, StackPart, stackShape } from './expert-stacks.ts';
import { nameIn } from './names-in-file.ts';
import { RowRange, StackedRows } from './row-sources.ts';

interface Part {
  readonly name: string;
  readonly shape: readonly number[];
}

interface Group {
  /** The name in the file. */
  readonly name: string;
  readonly parts: readonly Part[];
  /** Not rows one below the other, but this. */
  readonly stack: ExpertStack | null;
}

/** The fused tensors of a model, with what they hold under the parts' own names in that format. */
function groupsOf(config: LlamaConfig, format: 'hf' | 'gguf', names: Names | undefined): Group[] {
  const rows = Object.entries(names?.fused ?? {}).map(([name, parts]) => [name, parts, null] as const);
  const stacks = Object.entries(names?.stacks ?? {}).map(([name, stack]) => [name, stack.parts, stack] as const);
  const fused = [...rows, ...stacks];
  if (fused.length === 0) return [];
  const parameters = listParameters(config);
  const prefix = names?.blocks ?? { hf: 'model.layers', gguf: 'blk' }[format];
  return Array.from({ length: config.blockCount }, (_, block) =>
    fused.flatMap(([name, keys, stack]) => {
      const parts = keys.map((key) => parameters.find((one) => one.block === block && one.key === key));
      if (parts.some((part) => part === undefined)) return [];
      return {
        name: `${prefix}.${block}.${name}`,
        stack,
        parts: parts.map((part) => ({
          name: foreignName(part!, format, names)!,
          shape: part!.inFile ?? part!.shape,
        })),
      };
    }),
  ).flat();
}

/** The tensors of one expert each, under which a format stores a stack; null where it stores the stack itself. */
function expertsOf(name: string, shape: readonly number[]): string[] | null {
  if (!name.includes('*')) return null;
  return Array.from({ length: shape[0]! }, (_, expert) => name.replace('*', String(expert)));
}

function olderName({ block, spec }: Parameter): string | null {
  return spec.ggufEach === undefined ? null : `blk.${block}.${spec.ggufEach}`;
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
    const each = format === 'gguf' ? olderName(parameter) : name;
    const single = each === null ? null : expertsOf(each, parameter.shape)?.map((one) => nameIn(split, one));
    if (!single) continue;
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
  for (const { name, parts, stack } of groupsOf(config, format, names)) {
    const whole = found.get(nameIn(found, name));
    if (stack !== null) {
      takeApart(split, whole, stack, parts);
      continue;
    }
    const rows = parts.reduce((sum, { shape }) => sum + shape[0]!, 0);
    if (whole?.shape.length !== parts[0]!.shape.length || whole.shape[0] !== rows) continue;
    split.delete(nameIn(found, name));
    let first = 0;
    for (const part of parts) {
      split.set(part.name, new RowRange(whole, part.name, first, part.shape[0]!));
      first += part.shape[0]!;
    }
  }
  stackExperts(split, config, format, names);
  return split;
}

/** The parts of a stack under their own names; a stack of another size or type is left, for the matching to name. */
function takeApart(
  split: Map<string, TensorSource>,
  whole: TensorSource | undefined,
  stack: ExpertStack,
  parts: readonly Part[],
): void {
  if (whole === undefined) return;
  const [X, O, I = 1] = parts[0]!.shape as [number, number, number?];
  const sizes = { X, O, I };
  const isBias = parts[0]!.shape.length === 2;
  if (formatShape(whole.shape) !== formatShape(stackShape(stack, sizes, isBias))) return;
  if (stack.outputs === 'columns' && dtypes[whole.dtype].blockWeights > 1) return;
  for (const [key, one] of split) if (one === whole) split.delete(key);
  for (const [p, part] of parts.entries()) split.set(part.name, new StackPart(whole, part.name, stack, sizes, p));
}

/** The tensors that a file of this format has. */
export function joinFused(
  tensors: readonly NamedTensor[],
  config: LlamaConfig,
  format: 'hf' | 'gguf',
  names: Names | undefined,
): NamedTensor[] {
  const joined = new Map<string, NamedTensor[1]>(tensors);
  for (const { name, parts, stack } of groupsOf(config, format, names)) {
    if (stack?.readOnly) continue;
    const sources = parts.map((part) => joined.get(part.name)!);
    for (const part of parts) joined.delete(part.name);
    joined.set(name, stack === null ? new StackedRows(sources) : new JoinedStack(sources, name, stack));
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
