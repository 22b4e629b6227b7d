/** Opens an adapter of either kind for a model: PEFT's folders and llama.cpp's GGUF files. */
import { FormatError } from '../../base/errors.ts';
import { Cursor } from '../../formats/cursor.ts';
import { GGUF_MAGIC, readGguf } from '../../formats/gguf.ts';
import type { ByteSource, FileFolder } from '../../tensor/source.ts';
import { OpenFiles } from '../checkpoint/checkpoint.ts';
import { whatItIs } from '../checkpoint/what-it-is.ts';
import type { LlamaConfig } from '../config.ts';
import type { Adapter } from './adapter.ts';
import { openGgufAdapter } from './open-gguf-adapter.ts';
import { isPeftFolder, openPeft, PEFT_CONFIG } from './open-peft.ts';

/**
 * `beside`: the folder in which a file lies, so that adapter_model.safetensors may be named too.
 * The adapter owns `source` and closes it, also when it throws FormatError or ConfigError.
 */
export function openAdapter(
  source: ByteSource | FileFolder,
  config: LlamaConfig,
  beside: FileFolder | null = null,
): Adapter {
  const files = new OpenFiles();
  try {
    if ('list' in source) return openFolder(source, config, files);
    files.keep(source);
    const magic = source.byteLength >= 4 ? new Cursor(source).u32() : 0;
    if (magic === GGUF_MAGIC) return openGgufAdapter(source.name, readGguf(source), config, files);
    if (beside && isPeftFolder(beside)) return openPeft(beside, config, files);
    const { found, advice } = whatItIs(source);
    throw new FormatError(
      { code: 'adapter.unknown-file', file: source.name, where: 'byte 0' },
      `expected a GGUF adapter, or a file beside PEFT's ${PEFT_CONFIG}, found ${found}`,
      advice,
    );
  } catch (error) {
    files.close();
    throw error;
  }
}

function openFolder(folder: FileFolder, config: LlamaConfig, files: OpenFiles): Adapter {
  if (isPeftFolder(folder)) return openPeft(folder, config, files);
  const names = folder.list();
  const ggufs = names.filter((name) => name.endsWith('.gguf'));
  if (ggufs.length === 1) {
    const file = files.open(folder, ggufs[0]!);
    return openGgufAdapter(file.name, readGguf(file), config, files);
  }
  const isModel = names.includes('config.json');
  throw new FormatError(
    { code: 'adapter.unknown-folder', file: folder.name, where: 'folder' },
    `expected PEFT's ${PEFT_CONFIG} or one .gguf file, found ${isModel ? 'a whole model' : 'neither'}`,
    isModel ? 'Give it as the model instead.' : 'Is this the folder of an adapter?',
  );
}
