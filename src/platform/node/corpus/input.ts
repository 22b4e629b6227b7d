/** Input files for the corpus readers, from the disk or by address: decompressed streams with a bound on expansion, random access, inflating, scratch space. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync, createGunzip, gunzipSync, inflateRawSync, inflateSync } from 'node:zlib';
import { FormatError } from '../../../base/errors.ts';
import { bunzip2 } from '../../../corpus/readers/bzip2.ts';
import { LZ4_FRAME, LZ4_LEGACY, unlz4 } from '../../../corpus/readers/lz4.ts';
import type { Chunks, InputFile, ReadContext, Scratch } from '../../../corpus/readers/reader.ts';
import { unxz } from '../../../corpus/readers/xz.ts';
import type { ByteSource } from '../../../tensor/source.ts';
import { openFile } from '../files.ts';
import { gzipMembers, hasRecordMembers } from './gzip-members.ts';
import { throughStream } from './zlib-stream.ts';
import { zstd } from './zstd.ts';

const CHUNK_BYTES = 256 * 1024;
const BITE_BYTES = 64 * 1024;
/** What comes out at a time: each piece is a turn of the event loop. */
const PIECE_BYTES = 128 * 1024;
/** Text compresses three to ten times, rarely fifty. What grows more than this, beyond the first 64 MiB, is a bomb. */
const MAXIMUM_EXPANSION = 200;
const EXPANSION_FLOOR = 64 * 2 ** 20;

/** `beat`: called with every piece that is read. */
export function openInput(root: string, name: string, beat: () => void = () => {}): InputFile {
  return inputFrom(name, () => openFile(join(root, name)), beat);
}

/** The same of any bytes. */
export function inputFrom(name: string, open: () => ByteSource, beat: () => void): InputFile {
  return { name, chunks: (records) => beating(undamaged(decompressed(open, name, records), name), beat), source: open };
}

/** What a decompressor says of broken bytes, as an error of the file. */
async function* undamaged(chunks: Chunks, name: string): Chunks {
  try {
    yield* chunks;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!/^(Z_|ZSTD_)/.test(code ?? '')) throw error;
    throw new FormatError({ code: 'input.compressed', file: name, where: 'its bytes' }, message, 'Is the file whole?');
  }
}

async function* beating(chunks: Chunks, beat: () => void): Chunks {
  for await (const chunk of chunks) {
    beat();
    yield chunk;
  }
}

/** The file's bytes, unpacked by what its first bytes say it is. */
async function* decompressed(
  open: () => ByteSource,
  name: string,
  records: Parameters<InputFile['chunks']>[0],
): Chunks {
  const head = new Uint8Array(8);
  const source = open();
  source.readInto(head.subarray(0, Math.min(8, source.byteLength)), 0);
  if (records && head[0] === 0x1f && head[1] === 0x8b) {
    const maximumBytes = Math.max(EXPANSION_FLOOR, 2 * records.maximumRecordBytes);
    if (hasRecordMembers(source, maximumBytes)) {
      yield* gzipMembers(renamed(source, name), records.problem, maximumBytes);
      return;
    }
  }
  const packed = plain(source);
  if (head[0] === 0x1f && head[1] === 0x8b) {
    yield* bounded(name, packed, (input, grown) =>
      throughStream(input, createGunzip({ chunkSize: PIECE_BYTES }), grown),
    );
  } else if (head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd) {
    yield* bounded(name, packed, (input, grown) =>
      throughStream(input, zstd().createZstdDecompress({ chunkSize: PIECE_BYTES }), grown),
    );
  } else if (head[0] === 0x42 && head[1] === 0x5a && head[2] === 0x68) {
    yield* bounded(name, packed, (input, grown) => measured(bunzip2(input, name), grown));
  } else if (head[0] === 0xfd && head[1] === 0x37 && head[2] === 0x7a) {
    yield* bounded(name, packed, (input, grown) => measured(unxz(input, name), grown));
  } else if (isLz4(head)) {
    yield* bounded(name, packed, (input, grown) => measured(unlz4(input, name), grown));
  } else yield* packed;
}

function isLz4(head: Uint8Array): boolean {
  const magic = new DataView(head.buffer).getUint32(0, true);
  return magic === LZ4_FRAME || magic === LZ4_LEGACY;
}

function renamed(source: ByteSource, name: string): ByteSource {
  const { byteLength } = source;
  return { name, byteLength, readInto: (target, at) => source.readInto(target, at), close: () => source.close() };
}

/** Closes the source. */
async function* plain(source: ByteSource): Chunks {
  try {
    for (let at = 0; at < source.byteLength; ) {
      const chunk = new Uint8Array(Math.min(CHUNK_BYTES, source.byteLength - at));
      source.readInto(chunk, at);
      at += chunk.length;
      yield chunk;
    }
  } finally {
    source.close();
  }
}

type Grown = (bytes: number) => Error | undefined;

/** Ends with an error where the output outgrows the input beyond all reason. `unpack` reports every piece before it is kept. */
function bounded(name: string, input: Chunks, unpack: (input: Chunks, grown: Grown) => Chunks): Chunks {
  let bytesIn = 0;
  let bytesOut = 0;
  const counted = async function* (): Chunks {
    for await (const chunk of input) {
      for (let at = 0; at < chunk.length; at += BITE_BYTES) {
        const bite = chunk.subarray(at, at + BITE_BYTES);
        bytesIn += bite.length;
        yield bite;
      }
    }
  };
  return unpack(counted(), (bytes) => {
    bytesOut += bytes;
    const isBomb = bytesOut > EXPANSION_FLOOR && bytesOut > bytesIn * MAXIMUM_EXPANSION;
    return isBomb ? bombError(name, bytesIn, bytesOut) : undefined;
  });
}

async function* measured(chunks: Chunks, grown: Grown): Chunks {
  for await (const chunk of chunks) {
    const refused = grown(chunk.length);
    if (refused) throw refused;
    yield chunk;
  }
}

function bombError(name: string, bytesIn: number, bytesOut: number): FormatError {
  return new FormatError(
    { code: 'input.expansion', file: name, where: `byte ${bytesIn}` },
    `${bytesIn} bytes unfolded to ${bytesOut}, more than ${MAXIMUM_EXPANSION} times as many`,
    'It looks like a decompression bomb; what came before it was kept.',
  );
}

const inflaters = {
  gzip: gunzipSync,
  deflate: (bytes: Uint8Array, options: { maxOutputLength: number }) => {
    // HTTP's "deflate" is zlib by the book and raw in the wild.
    try {
      return inflateSync(bytes, options);
    } catch {
      return inflateRawSync(bytes, options);
    }
  },
  brotli: brotliDecompressSync,
  zstd: (bytes: Uint8Array, options: { maxOutputLength: number }) => zstd().zstdDecompressSync(bytes, options),
} as const;

export function readContext(root: string, problem: ReadContext['problem'], maximumRecordBytes: number): ReadContext {
  return {
    problem,
    nearby: (name) => readNearby(join(root, name)),
    maximumRecordBytes,
    inflate: (kind, bytes, maximumBytes) => inflaters[kind](bytes, { maxOutputLength: Math.max(1, maximumBytes) }),
    scratch: createScratch,
  };
}

export const NEARBY_BYTES = 64 * 1024;
export const NEARBY_FILES = 20_000;
const nearbyTexts = new Map<string, string | undefined>();

/** Remembers what it found: every file of a repository asks for the same LICENSE. */
function readNearby(path: string): string | undefined {
  if (nearbyTexts.has(path)) return nearbyTexts.get(path);
  const stat = statSync(path, { throwIfNoEntry: false });
  const text = stat?.isFile() && stat.size <= NEARBY_BYTES ? readFileSync(path, 'utf8') : undefined;
  if (nearbyTexts.size >= NEARBY_FILES) nearbyTexts.clear();
  nearbyTexts.set(path, text);
  return text;
}

function createScratch(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), 'cria-corpus-'));
  const pathOf = (bucket: number) => join(folder, String(bucket));
  return {
    append: (bucket, bytes) => appendFileSync(pathOf(bucket), bytes),
    read: (bucket) => readFileSync(pathOf(bucket)),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
