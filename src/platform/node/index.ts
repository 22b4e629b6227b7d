/** The library: `import { Llama } from 'cria'`. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ArgumentError } from '../../base/errors.ts';
import { type LoadOptions, loadRemote, noBundledModel } from '../../inference/remote/load.ts';
import { RemoteModel } from '../../inference/remote/model.ts';
import type { Source } from '../../inference/remote/protocol.ts';
import { startEngine } from './engine.ts';

/** A path, a URL, the bytes of a file, or several files' bytes by name. */
export type ModelSource = string | URL | Uint8Array | ArrayBuffer | ReadonlyMap<string, Uint8Array>;

/** A LLaMA, loaded and running in a worker thread. */
export class Llama extends RemoteModel {
  /**
   * Loads a model: a GGUF, safetensors, PyTorch or llama2.c file, a Hugging Face or Meta folder, a URL of one of these, or bytes.
   * Throws FormatError, ConfigError, ArgumentError, UnsupportedError.
   */
  static async load(source?: ModelSource, options: LoadOptions = {}): Promise<Llama> {
    if (source === undefined) throw noBundledModel();
    const { client, facts } = await loadRemote(startEngine, toSource(source), options);
    return new Llama(client, facts);
  }
}

function toSource(source: ModelSource): Source {
  if (source instanceof URL || (typeof source === 'string' && /^(?:https?|file):\/\//.test(source))) {
    const url = new URL(source);
    return url.protocol === 'file:' ? { kind: 'path', path: fileURLToPath(url) } : { kind: 'url', url: url.href };
  }
  if (typeof source === 'string' && source !== '') return { kind: 'path', path: resolve(source) };
  if (source instanceof Uint8Array) return { kind: 'files', name: 'bytes', files: new Map([['bytes', source]]) };
  if (source instanceof ArrayBuffer) return toSource(new Uint8Array(source));
  if (source instanceof Map && source.size > 0) return { kind: 'files', name: 'files', files: source };
  throw new ArgumentError(
    'load.source',
    `load: the source is ${source === '' ? 'an empty text' : typeof source}, expected a path, a URL, bytes, or a Map of file names to bytes.`,
  );
}

export * from '../library.ts';
