import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { AdapterOption } from '../model-source.ts';
import { packagePath } from './package-folder.ts';

const modelsFolder = packagePath('models');
const CHAT = '-chat.lora.gguf';

export interface BundledModel {
  readonly name: string;
  readonly path: string;
  /** What lets it answer a conversation: it is loaded with the model, and used for conversations alone. */
  readonly adapters: readonly AdapterOption[];
}

/** The models that come with this copy of Cria: models/*.gguf, each with its NAME-chat.lora.gguf. The first is used where none is named. */
export function bundledModels(): readonly BundledModel[] {
  const files = existsSync(modelsFolder) ? readdirSync(modelsFolder).filter((file) => file.endsWith('.gguf')) : [];
  return files
    .filter((file) => !file.endsWith(CHAT))
    .sort()
    .map((file) => {
      const name = basename(file, '.gguf');
      const chat = `${name}${CHAT}`;
      const adapter = { name: `${name}-chat`, source: join(modelsFolder, chat), usual: 'chat' } as const;
      return { name, path: join(modelsFolder, file), adapters: files.includes(chat) ? [adapter] : [] };
    });
}

/** What comes along with a bundled model; a model from elsewhere has nothing. */
export function bundledAdapters(path: string): readonly AdapterOption[] {
  return bundledModels().find((model) => model.path === path)?.adapters ?? [];
}
