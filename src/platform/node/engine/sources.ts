import { statSync } from 'node:fs';
import { ArgumentError } from '../../../base/errors.ts';
import type { LoadProgress, Source } from '../../../inference/remote/protocol.ts';
import type { Checkpoint, OpenOptions } from '../../../model/checkpoint/checkpoint.ts';
import { openCheckpoint } from '../../../model/checkpoint/open.ts';
import { ChunkedFolder } from '../../chunked-source.ts';
import { download } from '../../download.ts';
import { openCheckpointAt } from '../files.ts';

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

function openFiles({ name, files }: Extract<Source, { kind: 'files' }>, options: OpenOptions): Checkpoint {
  const chunks = new Map<string, Uint8Array[]>();
  for (const [file, bytes] of files) if (bytes instanceof Uint8Array) chunks.set(file, [bytes]);
  const folder = new ChunkedFolder(name, chunks);
  const [only] = folder.list();
  return chunks.size === 1
    ? openCheckpoint(folder.open(only!), folder, options)
    : openCheckpoint(folder, null, options);
}
