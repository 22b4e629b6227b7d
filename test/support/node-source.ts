/** ByteSource and FileFolder over node:fs, for tests (layer 7 has its own). */
import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { truncated } from '../../src/formats/memory-source.ts';
import type { ByteSource, FileFolder } from '../../src/tensor/source.ts';

export class NodeSource implements ByteSource {
  readonly name: string;
  readonly byteLength: number;
  private readonly descriptor: number;

  constructor(path: string) {
    this.name = basename(path);
    this.descriptor = openSync(path, 'r');
    this.byteLength = fstatSync(this.descriptor).size;
  }

  readInto(target: Uint8Array, offset: number): void {
    if (!(offset >= 0 && offset + target.length <= this.byteLength)) {
      throw truncated(this.name, offset, target.length, this.byteLength);
    }
    let done = 0;
    while (done < target.length) {
      const count = readSync(this.descriptor, target, done, target.length - done, offset + done);
      if (count === 0) throw truncated(this.name, offset + done, target.length - done, this.byteLength);
      done += count;
    }
  }

  close(): void {
    closeSync(this.descriptor);
  }
}

export class NodeFolder implements FileFolder {
  readonly name: string;
  private readonly path: string;

  constructor(path: string) {
    this.path = path.replace(/\/+$/, '');
    this.name = basename(this.path);
  }

  list(): readonly string[] {
    return readdirSync(this.path);
  }

  open(file: string): ByteSource {
    return new NodeSource(`${this.path}/${file}`);
  }
}
