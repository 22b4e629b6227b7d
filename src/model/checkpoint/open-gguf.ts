/** A GGUF file, or the parts of a split one, as a checkpoint. */
import { FormatError } from '../../base/errors.ts';
import type { FileTensor } from '../../formats/file-tensor.ts';
import { type Gguf, readGguf } from '../../formats/gguf.ts';
import { show } from '../../formats/json.ts';
import type { ByteSource, FileFolder } from '../../tensor/source.ts';
import { readGgufConfig } from '../spelling/gguf.ts';
import {
  type Checkpoint,
  checkConfig,
  knownIds,
  type OpenFiles,
  type OpenOptions,
  unusedKeysNote,
} from './checkpoint.ts';
import { ggufTokenizer } from './find-tokenizer.ts';
import { matchTensors } from './match.ts';

export const splitName = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/;

export function openGguf(
  source: ByteSource,
  folder: FileFolder | null,
  files: OpenFiles,
  { ignoreKeys, pre }: OpenOptions,
): Checkpoint {
  const gguf = joinSplits(source, readGguf(source), folder, files);
  const { config, relative, unusedKeys } = readGgufConfig(source.name, gguf, ignoreKeys);
  checkConfig(source.name, config);
  const tensors = matchTensors({
    file: source.name,
    config,
    names: 'gguf',
    rotary: relative.gguf!.rotary,
    own: relative.gguf!.names,
    found: gguf.tensors,
    ignore: (name) => /^rope_(?:freqs|factors_long|factors_short)\.weight$|^blk\.\d+\.attn_rot_embd$/.test(name),
  });
  const field = (key: string) => gguf.fields.get(key)?.value;
  const id = (name: string) => {
    const value = field(`tokenizer.ggml.${name}_token_id`);
    return typeof value === 'number' ? value : null;
  };
  const template = field('tokenizer.chat_template');
  const name = field('general.name');
  return {
    format: 'gguf',
    name: typeof name === 'string' && name !== '' ? name : source.name,
    config,
    tensors,
    tokenizer: ggufTokenizer(source.name, gguf, pre),
    chatTemplate: typeof template === 'string' ? template : null,
    generation: {
      bosId: knownIds([id('bos')], config.vocabSize)[0] ?? null,
      eosIds: knownIds([id('eos'), id('eot'), id('eom')], config.vocabSize),
      suggestions: new Map(),
    },
    metadata: new Map([...gguf.fields].map(([key, { value }]) => [key, value])),
    notes: unusedKeysNote(unusedKeys),
    close: () => files.close(),
  };
}

/**
 * The tensors of all parts, under the metadata of the first; any part opens the set. Metadata that later parts repeat must agree with
 * the first part's.
 */
function joinSplits(source: ByteSource, given: Gguf, folder: FileFolder | null, files: OpenFiles): Gguf {
  const count = given.fields.get('split.count')?.value ?? 1;
  if (count === 1 || count === 0) return given;
  const name = splitName.exec(source.name);
  const bad = (where: string, problem: string) =>
    new FormatError(
      { code: 'gguf.split', file: source.name, where },
      problem,
      'Put all parts into one folder, under their own names.',
    );
  if (!(typeof count === 'number' && count < 100_000))
    throw bad('split.count', `expected a number of parts, found ${show(count)}`);
  if (name === null || Number(name[3]) !== count) {
    throw bad(
      'split.count',
      `expected a file name ending in -00001-of-${pad(count)}.gguf, as it is one of ${count} parts`,
    );
  }
  if (folder === null) throw bad('split.count', `expected the ${count} parts in one folder, found one part alone`);

  const here = Number(name[2]);
  const partName = (part: number) => `${name[1]}-${pad(part)}-of-${pad(count)}.gguf`;
  const present = new Set(folder.list());
  const missing = Array.from({ length: count }, (_, i) => i + 1).filter((part) => !present.has(partName(part)));
  if (missing.length > 0) {
    const shown = missing.slice(0, 8).map(partName).join(', ') + (missing.length > 8 ? ', …' : '');
    throw bad('split.count', `expected ${count} parts in the folder, missing: ${shown}`);
  }
  const parts = Array.from({ length: count }, (_, i) =>
    i + 1 === here ? given : readGguf(files.open(folder, partName(i + 1))),
  );
  const tensors = new Map<string, FileTensor>();
  for (const [i, part] of parts.entries()) {
    const number = part.fields.get('split.no')?.value;
    if (number !== i) throw bad('split.no', `expected ${i} in ${partName(i + 1)}, found ${show(number ?? null)}`);
    for (const [key, tensor] of part.tensors) {
      if (tensors.has(key))
        throw bad(`tensor ${show(key)}`, `expected it in one part, found it again in part ${i + 1}`);
      tensors.set(key, tensor);
    }
  }
  const first = parts[0]!;
  const expected = first.fields.get('split.tensors.count')?.value;
  if (expected !== undefined && expected !== tensors.size) {
    throw bad('split.tensors.count', `expected ${show(expected)} tensors in all parts, found ${tensors.size}`);
  }
  return { ...first, tensors };
}

function pad(part: number): string {
  return String(part).padStart(5, '0');
}
