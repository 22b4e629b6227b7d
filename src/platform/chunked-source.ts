/** Files that lie in memory as they came over the network: in chunks, so that none needs one giant array. */

import { FormatError } from '../base/errors.ts';
import { truncated } from '../formats/memory-source.ts';
import type { ByteSource, FileFolder } from '../tensor/source.ts';

export class ChunkedSource implements ByteSource {
  readonly name: string;
  readonly byteLength: number;
  private readonly chunks: readonly Uint8Array[];
  /** Where each chunk begins. */
  private readonly starts: readonly number[];

  constructor(name: string, chunks: readonly Uint8Array[]) {
    this.name = name;
    this.chunks = chunks;
    const starts: number[] = [];
    let length = 0;
    for (const chunk of chunks) {
      starts.push(length);
      length += chunk.length;
    }
    this.starts = starts;
    this.byteLength = length;
  }

  readInto(target: Uint8Array, offset: number): void {
    if (!(offset >= 0 && offset + target.length <= this.byteLength)) {
      throw truncated(this.name, offset, target.length, this.byteLength);
    }
    let done = 0;
    for (let i = this.chunkAt(offset); done < target.length; i++) {
      const from = offset + done - this.starts[i]!;
      const part = this.chunks[i]!.subarray(from, from + target.length - done);
      target.set(part, done);
      done += part.length;
    }
  }

  close(): void {}

  /** The last chunk that begins at or before `offset`. */
  private chunkAt(offset: number): number {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

export class ChunkedFolder implements FileFolder {
  readonly name: string;
  private readonly files: ReadonlyMap<string, readonly Uint8Array[]>;

  constructor(name: string, files: ReadonlyMap<string, readonly Uint8Array[]>) {
    this.name = name;
    this.files = files;
  }

  list(): readonly string[] {
    return [...this.files.keys()];
  }

  open(file: string): ByteSource {
    const chunks = this.files.get(file);
    if (chunks) return new ChunkedSource(file, chunks);
    throw new FormatError(
      { code: 'folder.no-file', file: this.name, where: file },
      'expected this file, found none of that name',
      'Is the model complete?',
    );
  }
}
