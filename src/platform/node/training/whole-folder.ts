/** Folders that appear whole or not at all: written under a temporary name, flushed, listed with digests, renamed. */
import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { FormatError } from '../../../base/errors.ts';
import { atPath } from '../../../base/system-error.ts';
import type { Sink } from '../../../formats/sink.ts';
import type { FolderSink } from '../../../model/checkpoint/write/write-hf.ts';
import { makeFolder } from '../make-folder.ts';

const MANIFEST = 'digests.json';

interface Manifest {
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
}

/**
 * Writes a folder. When `write` throws (a full disk, say), what was written is removed and nothing has changed. An existing folder
 * of that name is replaced.
 */
export function writeWholeFolder(path: string, write: (folder: FolderSink) => void): void {
  const begun = beginFolder(path);
  try {
    write(begun.folder);
    begun.finish();
  } catch (error) {
    begun.abandon();
    throw error;
  }
}

/** The same for a writer that has to wait. */
export async function writeWholeFolderSlowly(
  path: string,
  write: (folder: FolderSink) => Promise<void>,
): Promise<void> {
  const begun = beginFolder(path);
  try {
    await write(begun.folder);
    begun.finish();
  } catch (error) {
    begun.abandon();
    throw error;
  }
}

function beginFolder(path: string): { readonly folder: FolderSink; finish(): void; abandon(): void } {
  const partial = join(dirname(path), `.${basename(path)}.partial`);
  rmSync(partial, { recursive: true, force: true });
  makeFolder(partial);
  const files: Record<string, { bytes: number; sha256: string }> = {};
  return {
    folder: {
      create(file) {
        const sink = new FileSink(join(partial, file));
        return {
          write: (bytes) => sink.write(bytes),
          close: () => {
            files[file] = sink.close();
          },
        };
      },
    },
    finish() {
      const manifest = new FileSink(join(partial, MANIFEST));
      manifest.write(new TextEncoder().encode(`${JSON.stringify({ files } satisfies Manifest, null, 2)}\n`));
      manifest.close();
      flush(partial);
      const old = `${partial}.old`;
      rmSync(old, { recursive: true, force: true });
      if (existsSync(path)) renameSync(path, old);
      renameSync(partial, path);
      flush(dirname(path));
      rmSync(old, { recursive: true, force: true });
    },
    abandon: () => rmSync(partial, { recursive: true, force: true }),
  };
}

/** Throws FormatError `folder.damaged` unless every file is as the manifest says, and it lists those that are `needed`. */
export function verifyWholeFolder(path: string, needed: readonly string[] = []): void {
  const fail = (where: string, problem: string): never => {
    const advice = 'Use an earlier checkpoint; this one is incomplete or was changed.';
    throw new FormatError({ code: 'folder.damaged', file: path, where }, problem, advice);
  };
  const manifestPath = join(path, MANIFEST);
  if (!existsSync(manifestPath)) fail(MANIFEST, 'expected this file, found none');
  const files = filesOf(readFileSync(manifestPath, 'utf8'));
  if (files === null) fail(MANIFEST, 'it is no list of files with their digests');
  for (const file of needed) if (files?.[file] === undefined) fail(MANIFEST, `expected ${file} in it, found none`);
  for (const [file, { bytes, sha256 }] of Object.entries(files!)) {
    const filePath = join(path, basename(file));
    const size = statSync(filePath, { throwIfNoEntry: false })?.size;
    if (size !== bytes) fail(file, `expected ${bytes} bytes, found ${size ?? 'no file'}`);
    if (digestOf(filePath) !== sha256) fail(file, 'its digest is not the one in the manifest');
  }
}

function filesOf(text: string): Manifest['files'] | null {
  try {
    const { files } = JSON.parse(text) as Manifest;
    return Object.values(files).every(({ bytes, sha256 }) => Number.isInteger(bytes) && sha256.length > 0)
      ? files
      : null;
  } catch {
    return null;
  }
}

export function digestOf(path: string): string {
  const hash = createHash('sha256');
  const descriptor = openSync(path, 'r');
  const chunk = new Uint8Array(1 << 20);
  for (;;) {
    const count = readSync(descriptor, chunk);
    if (count === 0) break;
    hash.update(chunk.subarray(0, count));
  }
  closeSync(descriptor);
  return hash.digest('hex');
}

/** Replaces a small file in one step. */
export function writeWholeFile(path: string, content: string | Uint8Array): void {
  const partial = join(dirname(path), `.${basename(path)}.partial`);
  const sink = new FileSink(partial);
  sink.write(typeof content === 'string' ? new TextEncoder().encode(content) : content);
  sink.close();
  renameSync(partial, path);
}

class FileSink implements Sink {
  private readonly path: string;
  private readonly descriptor: number;
  private readonly hash: Hash = createHash('sha256');
  private byteCount = 0;

  constructor(path: string) {
    this.path = path;
    this.descriptor = openSync(path, 'w');
  }

  write(bytes: Uint8Array): void {
    atPath(this.path, () => {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.descriptor, bytes, done);
    });
    this.hash.update(bytes);
    this.byteCount += bytes.length;
  }

  close(): { bytes: number; sha256: string } {
    atPath(this.path, () => fsyncSync(this.descriptor));
    closeSync(this.descriptor);
    return { bytes: this.byteCount, sha256: this.hash.digest('hex') };
  }
}

/** Puts a folder's entries on the disk; not every system lets folders be flushed. */
function flush(folder: string): void {
  try {
    const descriptor = openSync(folder, 'r');
    fsyncSync(descriptor);
    closeSync(descriptor);
  } catch {
    // Windows
  }
}
