import { UnsupportedError } from '../../base/errors.ts';
import type { LoadProgress, Source } from '../../inference/remote/protocol.ts';
import type { Adapter } from '../../model/adapter/adapter.ts';
import { openAdapter } from '../../model/adapter/open.ts';
import type { Checkpoint, OpenOptions } from '../../model/checkpoint/checkpoint.ts';
import { openCheckpoint } from '../../model/checkpoint/open.ts';
import type { LlamaConfig } from '../../model/config.ts';
import { download, downloadAdapter } from '../download.ts';
import { BrowserFolder } from './blob-source.ts';

/** The files of a model: downloaded, chosen by a person, or bytes. */
export async function openSource(
  source: Source,
  onProgress: (progress: LoadProgress) => void,
  options: OpenOptions = {},
): Promise<Checkpoint> {
  switch (source.kind) {
    case 'path':
      throw noPaths(source.path);
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

/** An adapter's files, likewise. */
export async function openAdapterSource(
  source: Source,
  config: LlamaConfig,
  onProgress: (progress: LoadProgress) => void,
): Promise<Adapter> {
  if (source.kind === 'path') throw noPaths(source.path);
  if (source.kind === 'url') {
    const { folder, file } = await downloadAdapter(source.url, onProgress);
    return file === null ? openAdapter(folder, config) : openAdapter(folder.open(file), config, folder);
  }
  const folder = new BrowserFolder(source.name, source.files);
  const [only] = source.files.keys();
  return source.files.size === 1 ? openAdapter(folder.open(only!), config, folder) : openAdapter(folder, config);
}

function noPaths(path: string): UnsupportedError {
  return new UnsupportedError(
    'load.path',
    `load: ${path} is a path, expected a URL, a File or bytes in a browser. Serve the file, or let a person choose it.`,
  );
}
