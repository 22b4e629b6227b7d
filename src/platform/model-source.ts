/** What Llama.load takes, and what of it is the same in Node and in the browser. */
import { ArgumentError } from '../base/errors.ts';
import type { Source } from '../inference/remote/protocol.ts';

/**
 * A path (in Node), a URL (in a browser also one relative to the page), the bytes of a file, a Blob or File, several Files, or several
 * files' bytes by name.
 */
export type ModelSource =
  | string
  | URL
  | Blob
  | Iterable<File>
  | Uint8Array
  | ArrayBuffer
  | ReadonlyMap<string, Uint8Array | Blob>;

type FilesSource = Extract<Source, { kind: 'files' }>;

/** Bytes and files. Throws ArgumentError `load.source` for anything else. */
export function toFilesSource(source: Exclude<ModelSource, string | URL>): FilesSource {
  const files = filesOf(source);
  const [name, ...others] = files?.keys() ?? [];
  if (files && name !== undefined) return { kind: 'files', name: others.length === 0 ? name : 'files', files };
  throw new ArgumentError(
    'load.source',
    `load: the source is ${files ? 'without files' : kindOf(source)}, expected a path, a URL, bytes, a Blob, Files, or a Map of file names to bytes.`,
  );
}

function filesOf(source: Exclude<ModelSource, string | URL>): ReadonlyMap<string, Uint8Array | Blob> | null {
  if (source instanceof ArrayBuffer) return new Map([['bytes', new Uint8Array(source)]]);
  if (source instanceof Uint8Array) return new Map([['bytes', source]]);
  if (source instanceof Blob) return new Map([[nameOf(source) ?? 'bytes', source]]);
  if (source instanceof Map) return source;
  if (typeof (source as Iterable<File> | null)?.[Symbol.iterator] !== 'function') return null;
  const files = [...(source as Iterable<File>)];
  return files.every((file) => file instanceof Blob && nameOf(file) !== undefined)
    ? new Map(files.map((file) => [file.name, file]))
    : null;
}

const nameOf = (blob: Blob): string | undefined => (blob as Partial<File>).name;

function kindOf(source: unknown): string {
  return source === '' ? 'an empty text' : source === null ? 'null' : typeof source;
}
