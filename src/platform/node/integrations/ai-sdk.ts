/** The AI SDK's provider: `import { cria } from 'cria/ai-sdk'`. */
import { randomUUID } from 'node:crypto';
import { type CriaProvider, createProvider } from '../../../server/ai-sdk/provider.ts';
import { Llama, type ModelSource } from '../index.ts';

export type { CriaProviderOptions } from '../../../server/ai-sdk/language-model.ts';
export type { CriaEmbeddingOptions, CriaModelOptions, CriaProvider } from '../../../server/ai-sdk/provider.ts';

/** A provider with models of its own. */
export function createCria(): CriaProvider<ModelSource> {
  return createProvider<ModelSource>({ load: (source, options) => Llama.load(source, options), randomId: randomUUID });
}

/** `generateText({ model: cria('model.gguf'), prompt })`; without a source, the model that comes with the package. */
export const cria: CriaProvider<ModelSource> = createCria();
