import { truncated } from '../../formats/memory-source.ts';
import type { ByteSource } from '../../tensor/source.ts';
import type { RemoteFile } from './http.ts';
import type { Pending, Question } from './protocol.ts';

/** Asked for at a place that does not follow on the last one: a header, a footer, a column. */
const FIRST_BYTES = 256 * 1024;
/** Who reads on and on gets twice as much each time, up to this, and the next piece is fetched meanwhile. */
const MOST_BYTES = 8 * 2 ** 20;

/** A piece of the file, here or on its way. */
interface Piece extends Pending {
  readonly start: number;
  readonly end: number;
  readonly bytes: Uint8Array;
}

/** A file on a server, read by ranges; sequential readers do not wait for the round trips. */
export class RemoteSource implements ByteSource {
  readonly name: string;
  readonly byteLength: number;
  private readonly file: RemoteFile;
  private readonly ask: (question: Question) => Pending;
  private here: Piece | undefined;
  private ahead: Piece | undefined;

  constructor(name: string, file: RemoteFile, ask: (question: Question) => Pending) {
    this.name = name;
    this.byteLength = file.byteLength;
    this.file = { byteLength: file.byteLength, version: file.version };
    this.ask = ask;
  }

  readInto(target: Uint8Array, offset: number): void {
    if (!(offset >= 0 && offset + target.length <= this.byteLength))
      throw truncated(this.name, offset, target.length, this.byteLength);
    for (let done = 0; done < target.length; ) {
      const at = offset + done;
      const { start, bytes } = this.pieceAt(at, target.length - done);
      const part = bytes.subarray(at - start, at - start + target.length - done);
      target.set(part, done);
      done += part.length;
    }
  }

  close(): void {
    this.ahead?.drop();
    this.here = this.ahead = undefined;
  }

  private pieceAt(at: number, wanted: number): Piece {
    const { here } = this;
    if (here && at >= here.start && at < here.end) return here;
    if (!here || at !== here.end) {
      this.close();
      const piece = this.fetch(at, Math.min(Math.max(wanted, FIRST_BYTES), MOST_BYTES));
      piece.wait();
      this.here = piece;
      return piece;
    }
    const piece = this.ahead ?? this.fetch(at, this.following(here));
    this.ahead = undefined;
    piece.wait();
    this.here = piece;
    if (piece.end < this.byteLength) this.ahead = this.fetch(piece.end, this.following(piece));
    return piece;
  }

  private following(piece: Piece): number {
    return Math.min(2 * (piece.end - piece.start), MOST_BYTES);
  }

  private fetch(start: number, length: number): Piece {
    const end = Math.min(start + length, this.byteLength);
    const target = new SharedArrayBuffer(end - start);
    const { name, file } = this;
    return {
      start,
      end,
      bytes: new Uint8Array(target),
      ...this.ask({ kind: 'read', name, file, from: start, target }),
    };
  }
}
