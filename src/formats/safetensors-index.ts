/**
 * A model in several files: NAME.index.json says which tensor is in which file, for safetensors and for PyTorch's .bin alike.
 *
 *   { "metadata": { "total_size": bytes }, "weight_map": { "model.norm.weight": "model-00002-of-00003.safetensors", … } }
 */
import { FormatError } from '../base/errors.ts';
import type { TensorSource } from '../tensor/source.ts';
import { isObject, parseJsonObject, show } from './json.ts';

/** Tensor name → file name, from the text of an index. Throws FormatError index.* */
export function parseIndex(file: string, text: string): ReadonlyMap<string, string> {
  const map = parseJsonObject(file, text).weight_map;
  if (!isObject(map)) {
    throw new FormatError(
      { code: 'index.weight-map', file, where: 'weight_map' },
      `expected an object of tensor name → file name, found ${show(map ?? null)}`,
      'Is this the index of a sharded model?',
    );
  }
  const fileOf = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map)) {
    if (typeof shard !== 'string' || shard === '' || /[/\\]|^\.\.?$/.test(shard)) {
      throw new FormatError(
        { code: 'index.file-name', file, where: `weight_map[${show(tensor)}]` },
        `expected the name of a file in the same folder, found ${show(shard)}`,
        'An index that points elsewhere is not followed.',
      );
    }
    fileOf.set(tensor, shard);
  }
  return fileOf;
}

/** All tensors of the shards under one roof; each must be where the index says, and nowhere twice. */
export function joinShards<Tensor extends TensorSource>(
  indexFile: string,
  fileOf: ReadonlyMap<string, string>,
  shards: ReadonlyMap<string, ReadonlyMap<string, Tensor>>,
): Map<string, Tensor> {
  const all = new Map<string, Tensor>();
  const bad = (tensor: string, problem: string) =>
    new FormatError(
      { code: 'index.mismatch', file: indexFile, where: `weight_map[${show(tensor)}]` },
      problem,
      'Index and files do not belong together; download both again.',
    );
  for (const [shard, tensors] of shards) {
    for (const [name, tensor] of tensors) {
      const listed = fileOf.get(name);
      if (listed !== shard) {
        throw bad(name, `expected ${listed ?? 'no file to hold it'}, but ${shard} holds it`);
      }
      all.set(name, tensor);
    }
  }
  for (const [name, shard] of fileOf) {
    if (!all.has(name)) throw bad(name, `expected it in ${shard}, which does not hold it`);
  }
  return all;
}
