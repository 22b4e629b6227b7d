import { statSync } from 'node:fs';
import { formatBytes } from '../../base/units.ts';
import { listCached } from '../../platform/hub/cache.ts';
import { ggufModels } from '../../platform/hub/names.ts';
import { bundledModels } from '../../platform/node/bundled-models.ts';
import { defineCommand } from '../command.ts';
import { writeJson, writeLine } from '../io.ts';
import { jsonOption } from '../model-options.ts';
import { alignColumns } from '../terminal/columns.ts';

interface Listed {
  /** What `-m` takes. */
  readonly name: string;
  readonly file: string;
  readonly bytes: number;
  readonly path: string;
}

export const command = defineCommand({
  options: { json: jsonOption },
  positionals: [],
  details:
    "The bundled models, and those of the Hugging Face cache that have weights Cria may read, other tools' among them.",
  async run({ json }, io) {
    const models = [...bundled(), ...pulled()];
    if (json) writeJson(io.stdout, models);
    else if (models.length === 0) writeLine(io.stderr, 'No models here. Fetch one: cria pull owner/repo');
    else {
      const rows = models.map(({ name, file, bytes }) => [name, formatBytes(bytes), file]);
      writeLine(io.stdout, alignColumns(rows, [1]));
    }
  },
});

function bundled(): Listed[] {
  return bundledModels().map(({ name, path }) => ({ name, file: 'bundled', bytes: statSync(path).size, path }));
}

function pulled(): Listed[] {
  return listCached().flatMap(({ repo, folder, files }) => {
    const gguf = files.filter(({ path }) => path.endsWith('.gguf'));
    const weights = gguf.length > 0 ? gguf : files.filter(({ path }) => /\.(safetensors|bin)$/.test(path));
    if (weights.length === 0) return [];
    const entry = (file: string, bytes: number, path: string) => ({ name: `hf:${repo}`, file, bytes, path });
    if (gguf.length > 0) {
      return ggufModels(gguf).map(({ quant, files: [first, ...more] }) => ({
        name: quant === null ? `hf:${repo}` : `hf:${repo}:${quant}`,
        file:
          more.length === 0
            ? first!.path
            : `${first!.path} and ${more.length} more ${more.length === 1 ? 'part' : 'parts'}`,
        bytes: [first!, ...more].reduce((sum, { bytes }) => sum + bytes, 0),
        path: `${folder}/${first!.path}`,
      }));
    }
    return [
      entry(
        'safetensors',
        weights.reduce((sum, { bytes }) => sum + bytes, 0),
        folder,
      ),
    ];
  });
}
