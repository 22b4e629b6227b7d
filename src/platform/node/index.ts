/** The library: `import { Llama } from 'cria'`. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ArgumentError, UnsupportedError } from '../../base/errors.ts';
import { type EngineOptions, loadRemote, loadSettings, noBundledModel } from '../../inference/remote/load.ts';
import { RemoteModel } from '../../inference/remote/model.ts';
import type { Source } from '../../inference/remote/protocol.ts';
import type { OpenOptions } from '../../model/checkpoint/checkpoint.ts';
import { engineOptions, type LoadOptions, type ModelSource, toFilesSource } from '../model-source.ts';
import { optionsOfTrained, trainables } from '../trainables.ts';
import { bundledAdapters, bundledModels } from './bundled-models.ts';
import { startEngine } from './engine/start.ts';
import type { MergedAdapter } from './save/job.ts';

export interface SaveOptions {
  /** 'gguf' is one file, 'safetensors' a Hugging Face folder; absent: by the path's ending. */
  readonly format?: 'safetensors' | 'gguf';
  /** How weights are stored, as `cria quantize` names it: 'f16', 'q8_0', 'q4_k_m' …; absent: as they are. */
  readonly dtype?: string;
  readonly threads?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** A LLaMA, loaded and running in a worker thread. */
export class Llama extends RemoteModel {
  private source: Source | null = null;
  private openOptions: OpenOptions = {};
  private usedAdapters: EngineOptions['adapters'] = [];

  /**
   * Loads a model: a GGUF, safetensors, PyTorch or llama2.c file, a Hugging Face or Meta folder, a URL of one of these, or bytes;
   * nothing: the model that comes with the package.
   * Throws FormatError, ConfigError, ArgumentError, UnsupportedError.
   */
  static async load(source?: ModelSource, given: LoadOptions = {}): Promise<Llama> {
    const chosen = source ?? bundledModels()[0]?.path;
    if (chosen === undefined) throw noBundledModel();
    const found = await toSource(chosen);
    const own = found.kind === 'path' ? bundledAdapters(found.path) : [];
    const options = await engineOptions(
      given.adapters || own.length === 0 ? given : { ...given, adapters: own },
      toSource,
    );
    const [{ client, facts }, { createTokenizer }] = await Promise.all([
      loadRemote(startEngine, found, options),
      import('../../tokenizer/create-tokenizer.ts'), // meanwhile: the import of the library does not wait for it
    ]);
    const model = new Llama(client, facts, createTokenizer);
    model.source = found;
    model.openOptions = loadSettings(options).open;
    model.usedAdapters = options.adapters?.filter(({ usual = true }) => usual === true) ?? [];
    trainables.set(model, {
      source: found,
      options,
      useWeights: (take) =>
        model.refreshWith(async () => {
          const source = await take();
          if (source === null) return null;
          model.source = source;
          model.openOptions = {}; // what was written has nothing that needs them
          return (await loadRemote(startEngine, source, optionsOfTrained(options))).client;
        }),
    });
    return model;
  }

  /**
   * Writes the model's weights and tokenizer, in threads of their own; the adapters that are used where a call does not say are merged
   * into them, and quantized weights become f16 then, unless `dtype` says otherwise. A half-written file never bears the real name.
   * Throws ArgumentError, UnsupportedError `save.source`, and what the file system throws.
   */
  async save(path: string, options: SaveOptions = {}): Promise<void> {
    const { format = path.endsWith('.gguf') ? 'gguf' : 'safetensors', dtype, threads = 1 } = options;
    if (format !== 'gguf' && format !== 'safetensors') {
      throw new ArgumentError('save.format', `save: format is ${String(format)}, expected gguf or safetensors.`);
    }
    // few programs save: the import of the library does not wait for it
    const [{ parseMix }, { saveModel }] = await Promise.all([import('../../quant/mixes.ts'), import('./save/save.ts')]);
    const mix = dtype === undefined ? null : parseMix(dtype);
    await this.refreshed();
    if (this.source?.kind !== 'path') {
      throw new UnsupportedError(
        'save.source',
        'save: the model came from a URL or from bytes, expected one that was loaded from a path. Write the file to disk and load it from there.',
      );
    }
    const adapters = (this.usedAdapters ?? []).map(({ name, source, scale = 1 }): MergedAdapter => {
      if (source.kind === 'path') return { path: source.path, scale };
      throw new UnsupportedError(
        'save.source',
        `save: adapter ${name} came from a URL or from bytes, expected one that was loaded from a path. Write its files to disk and load it from there.`,
      );
    });
    const source = { kind: 'checkpoint', path: this.source.path, open: this.openOptions, adapters } as const;
    const { signal = new AbortController().signal, onProgress = () => {} } = options;
    await saveModel({ source, format, mix, measure: false }, path, { threads, signal, onProgress });
  }
}

async function toSource(source: ModelSource): Promise<Source> {
  if (source instanceof URL || (typeof source === 'string' && /^(?:https?|file):\/\//.test(source))) {
    const url = new URL(source);
    return url.protocol === 'file:' ? { kind: 'path', path: fileURLToPath(url) } : { kind: 'url', url: url.href };
  }
  if (typeof source === 'string' && source !== '') return { kind: 'path', path: resolve(source) };
  const { name, files } = toFilesSource(source as Exclude<ModelSource, string | URL>);
  const read = Array.from(
    files,
    async ([file, data]): Promise<[string, Uint8Array]> => [
      file,
      data instanceof Uint8Array ? data : new Uint8Array(await data.arrayBuffer()),
    ],
  );
  return { kind: 'files', name, files: new Map(await Promise.all(read)) };
}

export * from '../library.ts';
export { Tokenizer } from './tokenizer.ts';
