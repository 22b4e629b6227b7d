import { truncated } from '../../formats/memory-source.ts';
import type { ByteSource, FileFolder } from '../../tensor/source.ts';
import { ChunkedSource } from '../chunked-source.ts';

/** Only workers have it, and TypeScript's DOM types do not. */
declare class FileReaderSync {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

/** A file that somebody chose or dropped, read where it is: a model larger than memory for it need not be loaded first. */
class BlobSource implements ByteSource {
  readonly name: string;
  readonly byteLength: number;
  private readonly blob: Blob;
  private readonly reader = new FileReaderSync();

  constructor(name: string, blob: Blob) {
    this.name = name;
    this.blob = blob;
    this.byteLength = blob.size;
  }

  readInto(target: Uint8Array, offset: number): void {
    if (!(offset >= 0 && offset + target.length <= this.byteLength)) {
      throw truncated(this.name, offset, target.length, this.byteLength);
    }
    target.set(new Uint8Array(this.reader.readAsArrayBuffer(this.blob.slice(offset, offset + target.length))));
  }

  close(): void {}
}

/** Files by name, each bytes or a Blob. */
export class BrowserFolder implements FileFolder {
  readonly name: string;
  private readonly files: ReadonlyMap<string, Uint8Array | Blob>;

  constructor(name: string, files: ReadonlyMap<string, Uint8Array | Blob>) {
    this.name = name;
    this.files = files;
  }

  list(): readonly string[] {
    return [...this.files.keys()];
  }

  open(file: string): ByteSource {
    const data = this.files.get(file);
    if (data instanceof Blob) return new BlobSource(file, data);
    return new ChunkedSource(file, data ? [data] : []);
  }
}
