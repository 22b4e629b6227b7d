/** Files and folders of this machine, as the sources that the lower layers read from. */
import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { ArgumentError, FormatError } from '../../base/errors.ts';
import { truncated } from '../../formats/memory-source.ts';
import type { Adapter } from '../../model/adapter/adapter.ts';
import { openAdapter } from '../../model/adapter/open.ts';
import type { Checkpoint, OpenOptions } from '../../model/checkpoint/checkpoint.ts';
import { openCheckpoint } from '../../model/checkpoint/open.ts';
import type { LlamaConfig } from '../../model/config.ts';
import type { ByteSource, FileFolder } from '../../tensor/source.ts';
import { runOf } from './training/run-checkpoint.ts';

/** One system call moves at most this much; Linux stops below 2 GiB by itself. */
const READ_BYTES = 1 << 30;

class NodeFile implements ByteSource {
  readonly name: string;
  readonly byteLength: number;
  private descriptor: number | null;

  /** Throws FormatError `file.kind` for a pipe or a device: opening one may wait for ever, and it has no length. */
  constructor(path: string) {
    this.name = basename(path);
    if (!statSync(path).isFile()) {
      throw new FormatError(
        { code: 'file.kind', file: this.name, where: 'file' },
        'expected a file, found a folder, a pipe or a device',
        'Copy it into a file first.',
      );
    }
    this.descriptor = openSync(path, 'r');
    this.byteLength = fstatSync(this.descriptor).size;
  }

  readInto(target: Uint8Array, offset: number): void {
    if (!(offset >= 0 && offset + target.length <= this.byteLength)) {
      throw truncated(this.name, offset, target.length, this.byteLength);
    }
    let done = 0;
    while (done < target.length) {
      const wanted = Math.min(READ_BYTES, target.length - done);
      const count = readSync(this.descriptor!, target, done, wanted, offset + done);
      // Shortened by somebody since it was opened.
      if (count === 0) throw truncated(this.name, offset + done, target.length - done, this.byteLength);
      done += count;
    }
  }

  close(): void {
    if (this.descriptor !== null) closeSync(this.descriptor);
    this.descriptor = null;
  }
}

class NodeFolder implements FileFolder {
  readonly name: string;
  private readonly path: string;

  constructor(path: string) {
    this.path = path;
    this.name = basename(resolve(path));
  }

  list(): readonly string[] {
    return readdirSync(this.path);
  }

  open(file: string): ByteSource {
    return new NodeFile(join(this.path, file));
  }
}

export function openFile(path: string): ByteSource {
  return new NodeFile(path);
}

export function openFolder(path: string): FileFolder {
  return new NodeFolder(path);
}

/** Opens the model at a path: a file, with what lies beside it, or a folder. */
export function openCheckpointAt(path: string, options: OpenOptions = {}): Checkpoint {
  if (statSync(path).isDirectory()) {
    const checkpoint = openCheckpoint(openFolder(path), null, options);
    const run = runOf(path);
    return run === null ? checkpoint : { ...checkpoint, name: run };
  }
  return openCheckpoint(openFile(path), openFolder(dirname(path)), options);
}

/** Opens the adapter at a path: a PEFT folder, a file in one, or a GGUF file. */
export function openAdapterAt(path: string, config: LlamaConfig): Adapter {
  if (!statSync(path, { throwIfNoEntry: false })) {
    throw new ArgumentError(
      'adapter.no-file',
      `adapter: ${path} does not exist, expected PEFT's folder or a GGUF adapter. Check the path; it is relative to ${process.cwd()}.`,
    );
  }
  if (statSync(path).isDirectory()) return openAdapter(openFolder(path), config);
  return openAdapter(openFile(path), config, openFolder(dirname(path)));
}
