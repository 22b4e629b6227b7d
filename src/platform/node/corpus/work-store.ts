/** Finished units as folders: written aside, checksummed, renamed. */
import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { FormatError } from '../../../base/errors.ts';
import type { DoneRecord, Sink, UnitFolder, WorkStore } from '../../../corpus/pipeline/host.ts';
import type { Chunks } from '../../../corpus/readers/reader.ts';
import type { ByteSource } from '../../../tensor/source.ts';
import { openFile } from '../files.ts';
import { makeFolder } from '../make-folder.ts';
import { type ClaimOptions, DEFAULT_LEASE_SECONDS, FileClaims } from './claims.ts';
import { throughStream } from './zlib-stream.ts';
import { zstd } from './zstd.ts';

const RECORD = 'done.json';
const BUFFER_BYTES = 1 << 20;

/** How a process shares a work folder with others. */
export interface WorkStoreOptions {
  readonly verify?: boolean;
  readonly claims?: ClaimOptions;
}

/** `verify`: units whose files do not have the digests in their record do not count as done; each is read once. */
export function openWorkStore(root: string, { verify = false, claims: options }: WorkStoreOptions = {}): WorkStore {
  const claims = new FileClaims(join(root, '.claims'), options ?? { leaseSeconds: DEFAULT_LEASE_SECONDS });
  const making = join(root, '.making');
  const folderOf = (id: string) => join(root, id);
  const verified = new Map<string, boolean>();
  const isSound = (id: string, record: DoneRecord): boolean => {
    const { ino, mtimeMs } = statSync(join(folderOf(id), RECORD)); // a unit made anew is looked at anew
    const name = `${id} ${ino} ${mtimeMs}`;
    let sound = verified.get(name);
    if (sound === undefined)
      verified.set(
        name,
        (sound = record.files.every((file) => digestOf(join(folderOf(id), file.name)) === file.sha256)),
      );
    return sound;
  };
  return {
    done(id) {
      const record = readRecord(folderOf(id));
      return record && verify && !isSound(id, record) ? undefined : record;
    },
    claims: {
      join(plan) {
        const membership = claims.join(plan);
        const sweep = () => removeAbandoned(making, (owner) => claims.isAtWork(owner));
        sweep();
        return {
          leave() {
            sweep();
            membership.leave();
          },
        };
      },
      take: (id) => claims.take(id),
      fail: (id, key, reason) => claims.fail(id, key, reason),
      refresh: () => claims.refresh(),
    },
    remove: (id) => rmSync(folderOf(id), { recursive: true, force: true }),
    begin: (id) => new NodeUnitFolder(folderOf(id), join(making, `${id.replaceAll('/', '_')}.${claims.holder.owner}`)),
    open: (id, file) => lazySource(join(folderOf(id), file)),
    read: (id, file) => readZstd(join(folderOf(id), `${file}.zst`)),
  };
}

/** What processes that died left half-made. */
function removeAbandoned(making: string, isAtWork: (owner: string) => boolean): void {
  if (!existsSync(making)) return;
  for (const name of readdirSync(making)) {
    const owner = name.slice(name.lastIndexOf('.') + 1);
    if (!isAtWork(owner)) rmSync(join(making, name), { recursive: true, force: true });
  }
}

function digestOf(path: string): string {
  const hash = createHash('sha256');
  const file = openSync(path, 'r');
  const chunk = new Uint8Array(BUFFER_BYTES);
  for (let count = readSync(file, chunk); count > 0; count = readSync(file, chunk))
    hash.update(chunk.subarray(0, count));
  closeSync(file);
  return hash.digest('hex');
}

function readRecord(folder: string): DoneRecord | undefined {
  const path = join(folder, RECORD);
  if (!existsSync(path)) return undefined;
  try {
    const record = JSON.parse(readFileSync(path, 'utf8')) as DoneRecord;
    const isWhole = record.files.every(({ name, bytes }) => statSync(join(folder, name)).size === bytes);
    return isWhole ? record : undefined;
  } catch {
    return undefined; // a damaged record is no record: the unit is made again
  }
}

class NodeUnitFolder implements UnitFolder {
  private readonly target: string;
  private readonly aside: string;
  private readonly sinks = new Map<string, FileSink>();
  private spills = 0;

  constructor(target: string, aside: string) {
    this.target = target;
    this.aside = aside;
    rmSync(aside, { recursive: true, force: true });
    makeFolder(aside);
  }

  create(file: string, bufferBytes = BUFFER_BYTES): Sink {
    return this.open(file, undefined, bufferBytes);
  }

  createCompressed(file: string): Sink {
    return this.open(`${file}.zst`, zstd().zstdCompressSync);
  }

  spill(bytes: Uint8Array): ByteSource {
    const path = join(this.aside, `spill-${this.spills++}`);
    writeFileSync(path, bytes);
    const source = openFile(path);
    return {
      name: source.name,
      byteLength: source.byteLength,
      readInto: (target, offset) => source.readInto(target, offset),
      close: () => {
        source.close();
        rmSync(path, { force: true });
      },
    };
  }

  commit(key: string, result: unknown): DoneRecord {
    const files = [...this.sinks].map(([name, sink]) => ({ name, ...sink.close() }));
    const record: DoneRecord = { key, files, result };
    const file = openSync(join(this.aside, RECORD), 'w');
    writeSync(file, JSON.stringify(record));
    fsyncSync(file);
    closeSync(file);
    makeFolder(dirname(this.target));
    this.takePlace(key);
    return record;
  }

  /** Two processes may have made the same unit: then the first one's stays. */
  private takePlace(key: string): void {
    for (let attempt = 0; ; attempt++) {
      if (readRecord(this.target)?.key === key && attempt > 0) {
        rmSync(this.aside, { recursive: true, force: true });
        return;
      }
      rmSync(this.target, { recursive: true, force: true });
      try {
        renameSync(this.aside, this.target);
        return;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (attempt === 10 || (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'EPERM')) throw error;
      }
    }
  }

  abandon(): void {
    for (const sink of this.sinks.values()) sink.abandon();
    rmSync(this.aside, { recursive: true, force: true });
  }

  private open(
    name: string,
    compress: ((bytes: Uint8Array) => Uint8Array) | undefined,
    bufferBytes = BUFFER_BYTES,
  ): FileSink {
    const sink = new FileSink(join(this.aside, name), compress, bufferBytes);
    this.sinks.set(name, sink);
    return sink;
  }
}

/** Buffers, compresses each full buffer as a frame of its own, hashes what reaches the disk. */
class FileSink implements Sink {
  private readonly file: number;
  private readonly compress: ((bytes: Uint8Array) => Uint8Array) | undefined;
  private readonly hash: Hash = createHash('sha256');
  private readonly buffer: Uint8Array;
  private filled = 0;
  private bytes = 0;
  private closed: { bytes: number; sha256: string } | undefined;

  constructor(path: string, compress: ((bytes: Uint8Array) => Uint8Array) | undefined, bufferBytes: number) {
    this.buffer = new Uint8Array(bufferBytes);
    this.file = openSync(path, 'w');
    this.compress = compress;
  }

  write(bytes: Uint8Array): void {
    if (this.filled + bytes.length > this.buffer.length) this.flush();
    if (bytes.length > this.buffer.length) this.put(bytes);
    else {
      this.buffer.set(bytes, this.filled);
      this.filled += bytes.length;
    }
  }

  close(): { bytes: number; sha256: string } {
    if (this.closed) return this.closed;
    this.flush();
    fsyncSync(this.file);
    closeSync(this.file);
    return (this.closed = { bytes: this.bytes, sha256: this.hash.digest('hex') });
  }

  /** Closes the file as it is: writing the rest may be what failed. */
  abandon(): void {
    if (!this.closed) closeSync(this.file);
    this.closed = { bytes: this.bytes, sha256: '' };
  }

  private flush(): void {
    if (this.filled > 0) this.put(this.buffer.subarray(0, this.filled));
    this.filled = 0;
  }

  private put(bytes: Uint8Array): void {
    const stored = this.compress ? this.compress(bytes) : bytes;
    this.hash.update(stored);
    this.bytes += stored.length;
    for (let at = 0; at < stored.length; ) at += writeSync(this.file, stored, at);
  }
}

/** Opens the file for each read, so that a merge of thousands of runs does not hold thousands of descriptors. */
function lazySource(path: string): ByteSource {
  const { size } = statSync(path);
  let file: number | undefined;
  const close = (): void => {
    if (file !== undefined) closeSync(file);
    if (file !== undefined) openDescriptors--;
    file = undefined;
  };
  return {
    name: path,
    byteLength: size,
    readInto(target, offset) {
      if (file === undefined) {
        file = openSync(path, 'r');
        openDescriptors++;
      }
      for (let done = 0; done < target.length; ) {
        const count = readSync(file, target, done, target.length - done, offset + done);
        if (count === 0) {
          throw new FormatError(
            { code: 'bytes.truncated', file: path, where: `byte ${offset + done}` },
            'the file ends here',
            'Run again: the unit will be made anew.',
          );
        }
        done += count;
      }
      if (openDescriptors > MAXIMUM_DESCRIPTORS) close();
    },
    close,
  };
}

/** Beyond so many open work files, each is closed again after its read. */
const MAXIMUM_DESCRIPTORS = 64;
let openDescriptors = 0;

async function* readZstd(path: string): Chunks {
  if (statSync(path).size > 0)
    yield* throughStream(fileChunks(path), zstd().createZstdDecompress({ chunkSize: 1 << 17 }));
}

async function* fileChunks(path: string): Chunks {
  const file = openSync(path, 'r');
  try {
    for (;;) {
      const chunk = new Uint8Array(1 << 18);
      const count = readSync(file, chunk);
      if (count === 0) return;
      yield chunk.subarray(0, count);
    }
  } finally {
    closeSync(file);
  }
}
