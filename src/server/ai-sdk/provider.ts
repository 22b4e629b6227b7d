/** The provider: what makes models of sources, loads each once, and closes them. */
import type { EmbeddingModelV4, LanguageModelV4, ProviderV4 } from '@ai-sdk/provider';
import { UnsupportedError } from '../../base/errors.ts';
import type { Pooling } from '../../inference/reading/embedding.ts';
import type { LoadOptions } from '../../inference/remote/load.ts';
import { RemoteModel } from '../../inference/remote/model.ts';
import { embedTexts } from '../in-process.ts';
import { CriaLanguageModel } from './language-model.ts';

export interface CriaModelOptions extends LoadOptions {
  /** A chat template's name or Jinja text; absent: the model's own, and without one `plain`, which goes on with texts. */
  readonly template?: string;
}

export interface CriaEmbeddingOptions extends LoadOptions {
  /** Which states a vector is made of; absent: all, their mean. */
  readonly pooling?: Pooling;
}

/**
 * `cria('model.gguf')` is a language model of the AI SDK. A source that is named again with the same options is the same loaded model,
 * which answers all calls in shared batches; it is loaded with the first call.
 */
export interface CriaProvider<Source> extends ProviderV4 {
  (source?: Source | string | RemoteModel, options?: CriaModelOptions): LanguageModelV4;
  languageModel(source: Source | string | RemoteModel, options?: CriaModelOptions): LanguageModelV4;
  embeddingModel(source: Source | string | RemoteModel, options?: CriaEmbeddingOptions): EmbeddingModelV4;
  /** Closes every model that this provider has loaded. */
  close(): Promise<void>;
}

export interface ProviderWorld<Source> {
  readonly load: (source: Source | string | undefined, options: LoadOptions) => Promise<RemoteModel>;
  readonly randomId: () => string;
}

export function createProvider<Source>({ load, randomId }: ProviderWorld<Source>): CriaProvider<Source> {
  const loaded = new Map<unknown, Map<string, Promise<RemoteModel>>>();

  const modelOf =
    (source: Source | string | RemoteModel | undefined, options: LoadOptions) => (): Promise<RemoteModel> => {
      if (source instanceof RemoteModel) return Promise.resolve(source);
      const key = source instanceof URL ? source.href : source;
      const variants = loaded.get(key) ?? new Map<string, Promise<RemoteModel>>();
      loaded.set(key, variants);
      const { signal: _, onProgress: __, ...sizes } = options;
      const variant = JSON.stringify(Object.entries(sizes).sort());
      const known = variants.get(variant);
      if (known) return known;
      const loading = load(source, options);
      variants.set(variant, loading);
      loading.catch(() => variants.delete(variant)); // the next call tries again
      return loading;
    };

  const languageModel = (source?: Source | string | RemoteModel, { template, ...options }: CriaModelOptions = {}) =>
    new CriaLanguageModel(modelOf(source, options), {
      provider: 'cria',
      modelId: nameOf(source),
      template,
      randomId,
    });

  const embeddingModel = (
    source?: Source | string | RemoteModel,
    { pooling = 'mean', ...options }: CriaEmbeddingOptions = {},
  ): EmbeddingModelV4 => {
    const modelFor = modelOf(source, options);
    return {
      specificationVersion: 'v4',
      provider: 'cria',
      modelId: nameOf(source),
      maxEmbeddingsPerCall: undefined,
      supportsParallelCalls: true,
      async doEmbed({ values, dimensions, abortSignal: signal }) {
        const { vectors, tokens } = await embedTexts(await modelFor(), values, { pooling, ...(signal && { signal }) });
        signal?.throwIfAborted();
        const details = `vectors have the model's width, ${vectors[0]?.length}`;
        return {
          embeddings: vectors.map((vector) => Array.from(vector)),
          usage: { tokens },
          warnings: dimensions === undefined ? [] : [{ type: 'unsupported', feature: 'dimensions', details }],
        };
      },
    };
  };

  return Object.assign(languageModel, {
    specificationVersion: 'v4' as const,
    languageModel,
    embeddingModel,
    imageModel(id: string): never {
      throw new UnsupportedError(
        'ai-sdk.image',
        `cria: ${id}: expected a language or embedding model; Cria makes no images.`,
      );
    },
    async close() {
      const all = [...loaded.values()].flatMap((variants) => [...variants.values()]);
      loaded.clear();
      await Promise.allSettled(all.map(async (model) => (await model).close()));
    },
  });
}

/** What the SDK calls the model in its telemetry. */
function nameOf(source: unknown): string {
  if (source === undefined) return 'bundled';
  if (source instanceof RemoteModel) return source.facts.name;
  return typeof source === 'string' || source instanceof URL ? String(source) : 'bytes';
}
