/** The AI SDK's provider in a browser: `import { cria } from 'cria/ai-sdk'`. */
import { type CriaProvider, createProvider } from '../../../server/ai-sdk/provider.ts';
import { Llama, type ModelSource } from '../index.ts';

export type { CriaProviderOptions } from '../../../server/ai-sdk/language-model.ts';
export type { CriaEmbeddingOptions, CriaModelOptions, CriaProvider } from '../../../server/ai-sdk/provider.ts';

/** A provider with models of its own. */
export function createCria(): CriaProvider<ModelSource> {
  return createProvider<ModelSource>({ load: (source, options) => Llama.load(source, options), randomId });
}

/** `generateText({ model: cria('https://…/model.gguf'), prompt })`. */
export const cria: CriaProvider<ModelSource> = createCria();

/** randomUUID() is only there on pages that came over HTTPS or from localhost. */
function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(16).padStart(8, '0')).join('');
}
