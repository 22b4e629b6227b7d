/** The library in a browser: `import { Llama } from 'cria'`. */
import { ArgumentError, CriaError } from '../../base/errors.ts';
import { type LoadOptions, loadRemote, noBundledModel } from '../../inference/remote/load.ts';
import { RemoteModel } from '../../inference/remote/model.ts';
import type { Source } from '../../inference/remote/protocol.ts';
import { findTokenizer } from '../../model/checkpoint/find-tokenizer.ts';
import { createTokenizer } from '../../tokenizer/create-tokenizer.ts';
import type { Tokenizer as LoadedTokenizer } from '../../tokenizer/tokenizer.ts';
import { download } from '../download.ts';
import { startEngine } from './engine.ts';

/** A URL (relative to the page), a File or several of them, the bytes of a file, or files' bytes by name. */
export type ModelSource =
  | string
  | URL
  | Blob
  | Iterable<File>
  | Uint8Array
  | ArrayBuffer
  | ReadonlyMap<string, Uint8Array | Blob>;

/** A LLaMA, loaded and running in a Web Worker. */
export class Llama extends RemoteModel {
  /** Throws FormatError, ConfigError, ArgumentError, UnsupportedError. */
  static async load(source?: ModelSource, options: LoadOptions = {}): Promise<Llama> {
    if (source === undefined) throw noBundledModel();
    const { client, facts } = await loadRemote(startEngine, toSource(source), options);
    return new Llama(client, facts);
  }
}

/** Text ⇄ token ids, without a model. */
export type Tokenizer = LoadedTokenizer;
export const Tokenizer = {
  /** From the address of a tokenizer.json, a tokenizer.model, or a folder (with a slash at its end) that holds one. */
  async load(url: string | URL): Promise<Tokenizer> {
    const { folder } = await download(new URL(url, document.baseURI).href, () => {});
    const files = findTokenizer(folder);
    if (files) return createTokenizer(files);
    throw new CriaError(
      'tokenizer.none',
      `Tokenizer.load: ${url} is no tokenizer.json or tokenizer.model, expected one. Give its address.`,
    );
  },
};

function toSource(source: ModelSource): Source {
  if (source instanceof URL) return { kind: 'url', url: source.href };
  if (typeof source === 'string') return { kind: 'url', url: new URL(source, document.baseURI).href };
  if (source instanceof ArrayBuffer) return toSource(new Uint8Array(source));
  if (source instanceof Uint8Array) return { kind: 'files', name: 'bytes', files: new Map([['bytes', source]]) };
  if (source instanceof Blob) {
    const name = source instanceof File ? source.name : 'bytes';
    return { kind: 'files', name, files: new Map([[name, source]]) };
  }
  const files =
    source instanceof Map ? source : new Map(Array.from(source as Iterable<File>, (file) => [file.name, file]));
  if (files.size > 0) return { kind: 'files', name: 'files', files };
  throw new ArgumentError(
    'load.source',
    'load: the source holds no files, expected a URL, bytes or at least one File.',
  );
}

export * from '../library.ts';
