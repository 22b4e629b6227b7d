/** Bytes and folders that are already in memory: downloads, tests, files written a moment ago. */
import { FormatError } from '../base/errors.ts';
import type { ByteSource, FileFolder } from '../tensor/source.ts';

/** The error of every ByteSource that is asked for more than it has. */
export function truncated(file: string, offset: number, wanted: number, byteLength: number): FormatError {
  return new FormatError(
    { code: 'bytes.truncated', file, where: `byte ${offset}` },
    `expected ${wanted} more bytes, but the file ends at byte ${byteLength}`,
    'It is truncated: compare its size with the size at its source, or download it again.',
  );
}

export class MemorySource implements ByteSource {
  readonly name: string;
  readonly byteLength: number;
  private readonly bytes: Uint8Array;

  constructor(name: string, bytes: Uint8Array) {
    this.name = name;
    this.bytes = bytes;
    this.byteLength = bytes.length;
  }

  readInto(target: Uint8Array, offset: number): void {
    if (!(offset >= 0 && offset + target.length <= this.bytes.length)) {
      throw truncated(this.name, offset, target.length, this.bytes.length);
    }
    target.set(this.bytes.subarray(offset, offset + target.length));
  }

  close(): void {}
}

export class MemoryFolder implements FileFolder {
  readonly name: string;
  private readonly files: ReadonlyMap<string, Uint8Array>;

  constructor(name: string, files: ReadonlyMap<string, Uint8Array>) {
    this.name = name;
    this.files = files;
  }

  list(): readonly string[] {
    return [...this.files.keys()];
  }

  open(file: string): ByteSource {
    const bytes = this.files.get(file);
    if (bytes === undefined) {
      throw new FormatError(
        { code: 'folder.no-file', file: this.name, where: file },
        'no such file',
        'Is it complete?',
      );
    }
    return new MemorySource(file, bytes);
  }
}
