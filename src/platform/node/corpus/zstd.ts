import zlib from 'node:zlib';
import { UnsupportedError } from '../../../base/errors.ts';

type Zstd = Pick<typeof zlib, 'createZstdDecompress' | 'zstdCompressSync' | 'zstdDecompressSync'>;

/** Node's zstd. Throws UnsupportedError `node.zstd` in a Node that has none. */
export function zstd(): Zstd {
  if (typeof (zlib as Partial<Zstd>).zstdCompressSync === 'function') return zlib;
  throw new UnsupportedError(
    'node.zstd',
    `zstd compression, in which corpus work is kept, needs Node 22.15 or newer, found ${process.versions.node}. Update Node.`,
  );
}
