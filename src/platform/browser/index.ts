/** The library in a browser: `import { Llama } from 'cria'`. */
import { UnsupportedError } from '../../base/errors.ts';
import { loadRemote, noBundledModel } from '../../inference/remote/load.ts';
import { RemoteModel } from '../../inference/remote/model.ts';
import type { Source } from '../../inference/remote/protocol.ts';
import { createTokenizer } from '../../tokenizer/create-tokenizer.ts';
import { engineOptions, type LoadOptions, type ModelSource, toFilesSource } from '../model-source.ts';
import { optionsOfTrained, trainables } from '../trainables.ts';
import { startEngine } from './engine.ts';
import { absolute } from './tokenizer.ts';

/** A LLaMA, loaded and running in a Web Worker. */
export class Llama extends RemoteModel {
  /** Throws FormatError, ConfigError, ArgumentError, UnsupportedError. */
  static async load(source?: ModelSource, options: LoadOptions = {}): Promise<Llama> {
    if (source === undefined) throw noBundledModel();
    const found = toSource(source);
    const settings = await engineOptions(options, toSource);
    const { client, facts } = await loadRemote(startEngine, found, settings);
    const model = new Llama(client, facts, createTokenizer);
    trainables.set(model, {
      source: found,
      options: settings,
      useWeights: (take) =>
        model.refreshWith(async () => {
          const trained = await take();
          return trained && (await loadRemote(startEngine, trained, optionsOfTrained(settings))).client;
        }),
    });
    return model;
  }

  /** Only in Node. Throws UnsupportedError `save.browser`. */
  async save(path: string, _options?: unknown): Promise<void> {
    throw new UnsupportedError(
      'save.browser',
      `save: ${path} cannot be written from a browser, expected Node. A trained model is had by the trainer's toGguf (cria/training); another's file is where it was loaded from.`,
    );
  }
}

function toSource(source: ModelSource): Source {
  if (source instanceof URL) return { kind: 'url', url: source.href };
  if (typeof source === 'string' && source !== '') return { kind: 'url', url: absolute(source) };
  return toFilesSource(source as Exclude<ModelSource, string | URL>);
}

export * from '../library.ts';
export { Tokenizer } from './tokenizer.ts';
