/**
 * Writes one worker's share of a model. All workers walk through the same files in the same order; each computes and writes only the
 * runs of bytes that are its own, and steps over the others. So the layout is written once, by the formats, and knows of no threads.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError } from '../../../base/errors.ts';
import type { Sink } from '../../../formats/sink.ts';
import type { Adapter } from '../../../model/adapter/adapter.ts';
import { mergeAdapters } from '../../../model/adapter/merge.ts';
import type { Checkpoint } from '../../../model/checkpoint/checkpoint.ts';
import { noGeneration } from '../../../model/checkpoint/checkpoint.ts';
import type { Encode } from '../../../model/checkpoint/write/convert.ts';
import { ggufTokenizerFields } from '../../../model/checkpoint/write/gguf-tokenizer.ts';
import { ggufFileTypes, writeGgufCheckpoint } from '../../../model/checkpoint/write/write-gguf.ts';
import { writeHfCheckpoint } from '../../../model/checkpoint/write/write-hf.ts';
import { listParameters, type Parameter } from '../../../model/parameters.ts';
import { randomWeights } from '../../../model/random-weights.ts';
import { type AskedTypes, type Knowledge, mixes, planTypes } from '../../../quant/mixes.ts';
import { decodeRow, encodeRow } from '../../../quant/rows.ts';
import { dtypes, isWeightType, rowBytes, type WeightType } from '../../../tensor/dtype.ts';
import type { TensorSource } from '../../../tensor/source.ts';
import { columnCount, rowCount } from '../../../tensor/tensor.ts';
import { openAdapterAt, openCheckpointAt } from '../files.ts';
import { forEachRow, type Importance, importanceFields, loadImportance } from './importance.ts';
import type { Part, SavedTensor, SaveJob } from './job.ts';

const PART_BYTES = 1 << 22;
const SHARD_BYTES = 5e9;

type Source = Pick<Checkpoint, 'name' | 'config' | 'tensors' | 'tokenizer' | 'chatTemplate' | 'generation'>;

/** Which type every parameter gets. */
export interface Plan {
  readonly typeOf: ReadonlyMap<string, { readonly dtype: WeightType; readonly reason?: string }>;
  readonly bytes: number;
  readonly fileType: number;
}

/** Opens the job's model; close it when done. */
export function openJob({ source, format, mix, asked, imatrix }: SaveJob): {
  readonly model: Source;
  readonly plan: Plan;
  readonly importance: Importance | null;
  close(): void;
} {
  if (source.kind === 'checkpoint') {
    const checkpoint = openCheckpointAt(source.path, source.open);
    const opened: Adapter[] = [];
    const close = () => {
      for (const adapter of opened) adapter.close();
      checkpoint.close();
    };
    try {
      const importance = imatrix === undefined ? null : loadImportance(imatrix, checkpoint.config);
      const knowledge = { hasImportance: importance !== null, asked };
      const adapters = (source.adapters ?? []).map(({ path, scale }) => {
        const adapter = openAdapterAt(path, checkpoint.config);
        opened.push(adapter);
        return { adapter, scale };
      });
      if (adapters.length === 0)
        return { model: checkpoint, plan: planJob(checkpoint, format, mix, knowledge), importance, close };
      const model = mergeAdapters(checkpoint, adapters);
      return { model, plan: planJob(model, format, mix, knowledge, floatTypesOf(checkpoint)), importance, close };
    } catch (error) {
      close();
      throw error;
    }
  }
  const { name, config, seed, tokenizer } = source;
  const known = { hasImportance: false, asked };
  const stored = planOf(config, format, mix ?? 'F32', known);
  const tensors = randomWeights(config, seed, (parameter) => stored.get(parameter.name)!.dtype);
  const model = { name, config, tensors, tokenizer, chatTemplate: null, generation: noGeneration };
  return { model, plan: planJob(model, format, mix, known), importance: null, close() {} };
}

/** What the types of a mix depend on beside the model. */
type PlanFacts = Knowledge & { readonly asked?: AskedTypes | undefined };

function planOf(
  config: Source['config'],
  format: SaveJob['format'],
  mix: NonNullable<SaveJob['mix']>,
  knowledge: PlanFacts,
) {
  const parameters = listParameters(config);
  // A Hugging Face folder has one type for everything; GGUF keeps vectors in f32.
  const planned =
    format === 'safetensors'
      ? parameters.map(({ name }) => ({ name, dtype: mixes[mix].base }))
      : planTypes(mix, parameters, config, knowledge, knowledge.asked);
  return new Map(planned.map((type) => [type.name, type]));
}

/** Where weights were merged, each as it was stored, and f16 where that was quantized: rounding to a few bits again takes the update away. */
function floatTypesOf({ tensors }: Pick<Checkpoint, 'tensors'>): (name: string) => WeightType {
  const embedding = tensors.get('embed_VD')!.dtype;
  return (name) => {
    const dtype = tensors.get(name)?.dtype ?? embedding;
    return dtype === 'f32' || dtype === 'bf16' ? dtype : 'f16';
  };
}

/** `merged`: the types that parameters keep where no mix is asked for; absent: their own. */
function planJob(
  model: Source,
  format: SaveJob['format'],
  mix: SaveJob['mix'],
  knowledge: PlanFacts,
  merged: ((name: string) => WeightType) | null = null,
): Plan {
  const { config, tensors } = model;
  const asStored = () =>
    new Map(
      listParameters(config).map(({ name, shape }) => {
        const { dtype } = tensors.get(name)!;
        const kept = merged?.(name) ?? (isWeightType(dtype) ? dtype : 'f32');
        return [name, { name, dtype: format === 'gguf' && shape.length === 1 ? ('f32' as const) : kept }] as const;
      }),
    );
  const typeOf: Plan['typeOf'] = mix === null ? asStored() : planOf(config, format, mix, knowledge);
  const bytesByType = new Map<WeightType, number>();
  for (const { name, shape } of listParameters(config)) {
    const { dtype } = typeOf.get(name)!;
    bytesByType.set(dtype, (bytesByType.get(dtype) ?? 0) + rowBytes(dtype, columnCount(shape)) * rowCount(shape));
  }
  const most = [...bytesByType].reduce((a, b) => (b[1] > a[1] ? b : a))[0];
  const bytes = [...bytesByType.values()].reduce((sum, part) => sum + part, 0);
  return { typeOf, bytes, fileType: mix === null ? ggufFileTypes[most] : mixes[mix].fileType };
}

/** Writes the part to `path`, which exists: a file for GGUF, a folder for safetensors. `onBytes` hears of every piece of work done. */
export function writePart(job: SaveJob, path: string, part: Part, onBytes: (bytes: number) => void): SavedTensor[] {
  const { model, plan, importance, close } = openJob(job);
  const files: PartFile[] = [];
  const share = { mine: true };
  const errors = new Map<string, { squared: number; energy: number }>();
  const create = (file: string) => {
    const sink = new PartFile(file, part, share, onBytes);
    files.push(sink);
    return sink;
  };
  try {
    const tensors = new Map([...model.tensors].map(([name, source]) => [name, onlyMine(source, share)]));
    const written = { ...model, tensors, name: job.name ?? model.name };
    const encode = encoder(share, importance, job.measure ? errors : null);
    const typeOf = ({ name }: Parameter) => plan.typeOf.get(name)!.dtype;
    if (job.format === 'gguf') {
      const tokenizer = model.tokenizer ? ggufTokenizerFields(model.tokenizer, model.config.vocabSize) : new Map();
      const notes = importance === null ? new Map() : importanceFields(job.imatrix!, importance.imatrix);
      writeGgufCheckpoint(create(path), written, { typeOf, encode, tokenizer, notes, fileType: plan.fileType });
    } else {
      const folder = { create: (file: string) => create(join(path, file)) };
      writeHfCheckpoint(folder, written, { typeOf, encode, maxShardBytes: SHARD_BYTES });
    }
  } finally {
    for (const file of files) file.close();
    close();
  }
  return listParameters(model.config).map(({ name, shape }) => {
    const { dtype: to, reason = null } = plan.typeOf.get(name)!;
    const from = model.tensors.get(name)!.dtype;
    const bytes = rowBytes(to, columnCount(shape)) * rowCount(shape);
    const weighed = from !== to && isBlockType(to) && (importance?.byParameter.has(name) ?? false);
    return { name, shape, from, to, bytes, reason, weighed, error: errors.get(name) ?? null };
  });
}

/** A file of which only this worker's runs are written. `share.mine` says of the next write whether it is one. */
class PartFile implements Sink {
  private readonly descriptor: number;
  private readonly part: Part;
  private readonly share: { mine: boolean };
  private readonly onBytes: (bytes: number) => void;
  private position = 0;
  private isOpen = true;

  constructor(path: string, part: Part, share: { mine: boolean }, onBytes: (bytes: number) => void) {
    this.descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o644);
    this.part = part;
    this.share = share;
    this.onBytes = onBytes;
    this.look();
  }

  write(bytes: Uint8Array): void {
    if (this.share.mine) {
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(this.descriptor, bytes, done, bytes.length - done, this.position + done);
      }
      this.onBytes(bytes.length);
    }
    this.position += bytes.length;
    this.look();
  }

  close(): void {
    if (this.isOpen) closeSync(this.descriptor);
    this.isOpen = false;
  }

  private look(): void {
    this.share.mine = Math.floor(this.position / PART_BYTES) % this.part.count === this.part.index;
  }
}

/** Rows of other workers are not read. */
function onlyMine(source: TensorSource, share: { readonly mine: boolean }): TensorSource {
  const { name, dtype, shape } = source;
  const readRows: TensorSource['readRows'] = (target, first, count) => {
    if (share.mine) source.readRows(target, first, count);
  };
  return { name, dtype, shape, readRows };
}

/**
 * encodeRow, with the parameter's name in what it complains of, and the error of every recoded row where it is wanted. With an importance
 * matrix both weigh the columns by it.
 */
function encoder(
  share: { readonly mine: boolean },
  importance: Importance | null,
  errors: Map<string, { squared: number; energy: number }> | null,
): Encode {
  return (dtype, weights, bytes, parameter, firstRow) => {
    if (!share.mine) return;
    const columns = columnCount(parameter.shape);
    const rows = weights.length / columns;
    const known = isBlockType(dtype) ? importance?.byParameter.get(parameter.name) : undefined;
    const bytesPerRow = bytes.length / rows;
    try {
      if (known === undefined) encodeRow(dtype, weights, bytes);
      else {
        forEachRow(known, parameter, firstRow, rows, (row, factors) => {
          const to = bytes.subarray(row * bytesPerRow, (row + 1) * bytesPerRow);
          encodeRow(dtype, weights.subarray(row * columns, (row + 1) * columns), to, factors);
        });
      }
    } catch (error) {
      if (!(error instanceof ArgumentError)) throw error;
      throw new ArgumentError(error.code, `${parameter.name}, rows from ${firstRow} on: ${error.message}`, {
        cause: error,
      });
    }
    if (errors === null) return;
    const back = new Float32Array(weights.length);
    decodeRow(dtype, bytes, back);
    const sum = errors.get(parameter.name) ?? { squared: 0, energy: 0 };
    errors.set(parameter.name, sum);
    const add = (from: number, to: number, factors: Float32Array | null) => {
      for (let i = from; i < to; i++) {
        const factor = factors === null ? 1 : factors[i - from]!;
        sum.squared += factor * (back[i]! - weights[i]!) ** 2;
        sum.energy += factor * weights[i]! ** 2;
      }
    };
    if (known === undefined) add(0, weights.length, null);
    else
      forEachRow(known, parameter, firstRow, rows, (row, factors) => add(row * columns, (row + 1) * columns, factors));
  };
}

function isBlockType(dtype: WeightType): boolean {
  return dtypes[dtype].blockWeights > 1;
}
