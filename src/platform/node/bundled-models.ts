import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { packagePath } from './package-folder.ts';

const modelsFolder = packagePath('models');

/** The models that come with this copy of Cria: models/*.gguf. The first is used where none is named. */
export function bundledModels(): readonly { readonly name: string; readonly path: string }[] {
  const files = existsSync(modelsFolder) ? readdirSync(modelsFolder).filter((file) => file.endsWith('.gguf')) : [];
  return files.sort().map((file) => ({ name: basename(file, '.gguf'), path: join(modelsFolder, file) }));
}
