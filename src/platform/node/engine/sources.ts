import { statSync } from 'node:fs';
import { ArgumentError } from '../../../base/errors.ts';
import type { LoadProgress, Source } from '../../../inference/remote/protocol.ts';
import type { Adapter } from '../../../model/adapter/adapter.ts';
import { openAdapter } from '../../../model/adapter/open.ts';
import type { Checkpoint, OpenOptions } from '../../../model/checkpoint/checkpoint.ts';
import { openCheckpoint } from '../../../model/checkpoint/open.ts';
import type { LlamaConfig } from '../../../model/config.ts';
import { ChunkedFolder } from '../../chunked-source.ts';
import { download, downloadAdapter } from '../../download.ts';
import { openAdapterAt, openCheckpointAt } from '../files.ts';

/** The files of a model, wherever they are. */
export async function openSource(
  source: Source,
  onProgress: (progress: LoadProgress) => void,
  options: OpenOptions = {},
): Promise<Checkpoint> {
  switch (source.kind) {
    case 'path':
      if (!statSync(source.path, { throwIfNoEntry: false })) {
        throw new ArgumentError(
          'load.no-file',
          `load: ${source.path} does not exist, expected a model file or folder. Check the path; it is relative to ${process.cwd()}.`,
        );
      }
      return openCheckpointAt(source.path, options);
    case 'url': {
      const { folder, file } = await download(source.url, onProgress);
      return file === null ? openCheckpoint(folder, null, options) : openCheckpoint(folder.open(file), folder, options);
    }
    case 'files':
      return openFiles(source, options);
    default:
      return source satisfies never;
  }
}

/** An adapter's files, likewise. */
export async function openAdapterSource(
  source: Source,
  config: LlamaConfig,
  onProgress: (progress: LoadProgress) => void,
): Promise<Adapter> {
  if (source.kind === 'path') return openAdapterAt(source.path, config);
  const { folder, file } = source.kind === 'url' ? await downloadAdapter(source.url, onProgress) : filesOf(source);
  return file === null ? openAdapter(folder, config) : openAdapter(folder.open(file), config, folder);
}

function openFiles(source: Extract<Source, { kind: 'files' }>, options: OpenOptions): Checkpoint {
  const { folder, file } = filesOf(source);
  return file === null ? openCheckpoint(folder, null, options) : openCheckpoint(folder.open(file), folder, options);
}

function filesOf({ name, files }: Extract<Source, { kind: 'files' }>) {
  const chunks = new Map<string, Uint8Array[]>();
  for (const [file, bytes] of files) if (bytes instanceof Uint8Array) chunks.set(file, [bytes]);
  const folder = new ChunkedFolder(name, chunks);
  const [only] = folder.list();
  return { folder, file: chunks.size === 1 ? only! : null };
}
