/** What is said between those who read and the thread that fetches. */
import type { RemoteFile } from './http.ts';
import type { OpenedFile, RemoteEntry } from './service.ts';

export type Question =
  | { readonly kind: 'list'; readonly pattern: string }
  | { readonly kind: 'open'; readonly name: string }
  | {
      readonly kind: 'read';
      readonly name: string;
      readonly file: RemoteFile;
      readonly from: number;
      /** Filled with the bytes from `from` on. */
      readonly target: SharedArrayBuffer;
    };

export interface Asked {
  readonly id: number;
  readonly question: Question;
  /** One Int32 that becomes 1 when the reply is on its way; whoever waits is woken. */
  readonly bell: SharedArrayBuffer;
}

/** A question on its way. */
export interface Pending {
  /** The answer's value; throws its error. */
  wait(): unknown;
  /** Nobody will wait. */
  drop(): void;
}

/** Errors lose their class between threads. */
export type Reply = { readonly id: number } & (
  | { readonly ok: true; readonly value: readonly RemoteEntry[] | OpenedFile | undefined }
  | { readonly ok: false; readonly code: string | undefined; readonly message: string }
);
