/**
 * Opens any checkpoint: what a file is, its first bytes say; what a folder is, the names in it say. Nothing is guessed beyond the
 * standard names; what is missing is named.
 */
import { ArgumentError, FormatError } from '../../base/errors.ts';
import { noSuchKeys } from '../../formats/config/unknown-keys.ts';
import { Cursor } from '../../formats/cursor.ts';
import { GGUF_MAGIC } from '../../formats/gguf.ts';
import { isLlama2c } from '../../formats/llama2c/llama2c.ts';
import { isTorch, readTorch } from '../../formats/torch/torch.ts';
import type { ByteSource, FileFolder } from '../../tensor/source.ts';
import { type Checkpoint, OpenFiles, type OpenOptions } from './checkpoint.ts';
import { openGguf } from './open-gguf.ts';
import { openHf } from './open-hf.ts';
import { openLlama2c } from './open-llama2c.ts';
import { openMeta, shardName } from './open-meta.ts';
import { stretched } from './stretch.ts';
import { whatItIs } from './what-it-is.ts';

/**
 * `beside`: the folder in which a file lies, for what belongs to it (config.json, the tokenizer, further parts); null: nothing does.
 * The checkpoint owns `source` and closes it, also when it throws FormatError or ConfigError.
 */
export function openCheckpoint(
  source: ByteSource | FileFolder,
  beside: FileFolder | null = null,
  options: OpenOptions = {},
): Checkpoint {
  const files = new OpenFiles();
  try {
    const checkpoint =
      'list' in source ? openFolder(source, files, options) : openFile(files.keep(source), beside, files, options);
    refuseUnheeded(checkpoint, options);
    return options.ropeScaling === undefined ? checkpoint : stretched(checkpoint, options.ropeScaling);
  } catch (error) {
    files.close();
    throw error;
  }
}

/** No option is accepted and ignored. */
function refuseUnheeded({ format, name, tokenizer }: Checkpoint, { ignoreKeys = [], pre }: OpenOptions): void {
  if (ignoreKeys.length > 0 && (format === 'meta' || format === 'llama2c')) throw noSuchKeys(name, ignoreKeys);
  if (pre !== undefined && tokenizer?.kind !== 'gguf') {
    throw new ArgumentError(
      'checkpoint.pre',
      `${name}: --pre ${pre} (pre) says how the vocabulary of a GGUF file is to be read, but ` +
        `${tokenizer === null ? 'this model has no tokenizer' : `its tokenizer is ${tokenizer.file}, which says that itself`}. Leave it out.`,
    );
  }
}

function openFolder(folder: FileFolder, files: OpenFiles, options: OpenOptions): Checkpoint {
  const names = folder.list();
  if (names.includes('config.json')) return openHf(folder, null, files, options);
  if (names.includes('params.json') || names.some((name) => shardName.test(name))) return openMeta(folder, null, files);
  const ggufs = names.filter((name) => name.endsWith('.gguf') && !/-(?!00001)\d{5}-of-\d{5}\.gguf$/.test(name));
  if (ggufs.length === 1) return openGguf(files.open(folder, ggufs[0]!), folder, files, options);
  const isAdapter = names.includes('adapter_config.json');
  const problem =
    ggufs.length > 1
      ? `expected one model, found ${ggufs.length} GGUF files: ${ggufs.slice(0, 8).join(', ')}`
      : isAdapter
        ? 'expected a model, found an adapter of one'
        : 'expected config.json (Hugging Face), params.json (Meta) or one .gguf file, found none of them';
  const advice =
    ggufs.length > 1
      ? 'Name the file instead of the folder.'
      : isAdapter
        ? 'Name its base model, and give this with --adapter; or add the two up with cria merge.'
        : 'Is this the folder of a model?';
  throw new FormatError({ code: 'checkpoint.unknown-folder', file: folder.name, where: 'folder' }, problem, advice);
}

function openFile(source: ByteSource, beside: FileFolder | null, files: OpenFiles, options: OpenOptions): Checkpoint {
  const magic = source.byteLength >= 4 ? new Cursor(source).u32() : 0;
  if (magic === GGUF_MAGIC) return openGguf(source, beside, files, options);
  if (isTorch(source)) return openTorchFile(source, orNone(beside, source), files, options);
  if (isLlama2c(source)) return openLlama2c(source, beside, files);
  if (isSafetensors(source)) return openHf(orNone(beside, source), { kind: 'safetensors', source }, files, options);
  const { found, advice } = whatItIs(source);
  throw new FormatError(
    { code: 'checkpoint.unknown-file', file: source.name, where: 'byte 0' },
    `expected the start of a GGUF, safetensors, PyTorch or llama2.c file, found ${found}`,
    advice,
  );
}

/** By its tensor names, a file of torch.save is Hugging Face's or Meta's. */
function openTorchFile(source: ByteSource, folder: FileFolder, files: OpenFiles, options: OpenOptions): Checkpoint {
  const { tensors } = readTorch(source);
  return tensors.has('tok_embeddings.weight')
    ? openMeta(folder, source, files)
    : openHf(folder, { kind: 'torch', source }, files, options);
}

/** A safetensors file starts with the length of its header, and the header with a brace. */
function isSafetensors(source: ByteSource): boolean {
  if (source.byteLength < 9) return false;
  const cursor = new Cursor(source);
  cursor.skip(8);
  return cursor.u8() === 0x7b;
}

/** An empty folder stands for none, so that the message names the file that is missing. */
function orNone(folder: FileFolder | null, { name }: ByteSource): FileFolder {
  return (
    folder ?? {
      name,
      list: () => [],
      open: () => {
        throw new FormatError(
          { code: 'checkpoint.no-file', file: name, where: 'folder' },
          'nothing lies beside it',
          'Give a folder.',
        );
      },
    }
  );
}
