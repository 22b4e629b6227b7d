/** Writes safetensors, one file or several with an index: the header first, then the tensors as a stream. */
import { ArgumentError } from '../base/errors.ts';
import { dtypes } from '../tensor/dtype.ts';
import type { TensorSource } from '../tensor/source.ts';
import { tensorBytes } from './file-tensor.ts';
import { LENGTH_BYTES } from './safetensors.ts';
import { type Sink, writeTensor } from './sink.ts';

export type NamedTensor = readonly [name: string, tensor: TensorSource];

/** The header is padded with spaces to this many bytes, so that every tensor of any type lies aligned. */
const ALIGNMENT = 8;

/** Throws ArgumentError `safetensors.dtype` for a block-quantized tensor: the format has no type for it. */
export function writeSafetensors(
  sink: Sink,
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): void {
  // wide types first keeps them aligned; the sort is stable
  const ordered = [...tensors].sort(([, a], [, b]) => dtypes[b.dtype].blockBytes - dtypes[a.dtype].blockBytes);
  const header: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  header.__metadata__ = metadata;
  let offset = 0;
  for (const [name, tensor] of ordered) {
    const row = dtypes[tensor.dtype];
    if (!('safetensors' in row)) {
      throw new ArgumentError(
        'safetensors.dtype',
        `${name}: expected a type that safetensors has, found ${tensor.dtype}. Write F32, F16 or BF16, or a GGUF file`,
      );
    }
    const end = offset + tensorBytes(tensor);
    header[name] = { dtype: row.safetensors, shape: tensor.shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const headerBytes = Math.ceil(json.length / ALIGNMENT) * ALIGNMENT;
  const head = new Uint8Array(LENGTH_BYTES + headerBytes).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(headerBytes), true);
  head.set(json, LENGTH_BYTES);
  sink.write(head);
  for (const [, tensor] of ordered) writeTensor(sink, tensor);
}

export interface ShardPlan {
  readonly files: ReadonlyMap<string, readonly NamedTensor[]>;
  /** Text of model.safetensors.index.json; null for a single file. */
  readonly index: string | null;
}

/** Fills files in order up to `limitBytes` of tensors each; a tensor that is larger gets one to itself. */
export function planShards(tensors: readonly NamedTensor[], limitBytes: number): ShardPlan {
  const groups: NamedTensor[][] = [];
  let used = 0;
  let total = 0;
  for (const named of tensors) {
    const bytes = tensorBytes(named[1]);
    const last = groups.at(-1);
    if (last === undefined || used + bytes > limitBytes) {
      groups.push([named]);
      used = 0;
    } else last.push(named);
    used += bytes;
    total += bytes;
  }
  if (groups.length <= 1) return { files: new Map([['model.safetensors', groups[0] ?? []]]), index: null };
  const pad = (n: number) => String(n).padStart(5, '0');
  const files = new Map(groups.map((group, i) => [`model-${pad(i + 1)}-of-${pad(groups.length)}.safetensors`, group]));
  const weightMap = [...files].flatMap(([file, group]) => group.map(([name]) => [name, file] as const));
  const index = { metadata: { total_size: total }, weight_map: Object.fromEntries(weightMap) };
  return { files, index: `${JSON.stringify(index, null, 2)}\n` };
}
