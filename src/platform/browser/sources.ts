import { UnsupportedError } from '../../base/errors.ts';
import type { LoadProgress, Source } from '../../inference/remote/protocol.ts';
import type { Checkpoint, OpenOptions } from '../../model/checkpoint/checkpoint.ts';
import { openCheckpoint } from '../../model/checkpoint/open.ts';
import { download } from '../download.ts';
import { BrowserFolder } from './blob-source.ts';

/** The files of a model: downloaded, chosen by a person, or bytes. */
export async function openSource(
  source: Source,
  onProgress: (progress: LoadProgress) => void,
  options: OpenOptions = {},
): Promise<Checkpoint> {
  switch (source.kind) {
    case 'path':
      throw new UnsupportedError(
        'load.path',
        `load: ${source.path} is a path, expected a URL, a File or bytes in a browser. Serve the file, or let a person choose it.`,
      );
    case 'url': {
      const { folder, file } = await download(source.url, onProgress);
      return file === null ? openCheckpoint(folder, null, options) : openCheckpoint(folder.open(file), folder, options);
    }
    case 'files': {
      const folder = new BrowserFolder(source.name, source.files);
      const [only] = source.files.keys();
      return source.files.size === 1
        ? openCheckpoint(folder.open(only!), folder, options)
        : openCheckpoint(folder, null, options);
    }
    default:
      return source satisfies never;
  }
}
