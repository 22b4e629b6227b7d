/** What Llama.load takes, and what of it is the same in Node and in the browser. */

import { ArgumentError } from '../base/errors.ts';
import type { LoadOptions as CommonOptions, EngineOptions } from '../inference/remote/load.ts';
import type { Source } from '../inference/remote/protocol.ts';
import type { Usual } from '../model/adapter/select.ts';

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

/** An adapter that a model is loaded with: PEFT's folder, or llama.cpp's GGUF file. */
export interface AdapterOption {
  readonly source: ModelSource;
  /** What calls name it by; absent: the name of its file or folder. */
  readonly name?: string;
  /** Multiplies its own scale; absent: 1. */
  readonly scale?: number;
  /** Whether calls that name no adapters are computed with it; 'chat': those that answer a conversation. Absent: yes. */
  readonly usual?: Usual;
}

export interface LoadOptions extends CommonOptions {
  /** Adapters that correct the model; a text is an adapter's path or address. Several may be used at once, or each by calls of its own. */
  readonly adapters?: readonly (string | AdapterOption)[];
  /**
   * What guesses tokens ahead, which saves time and changes no text: 'ngram' looks them up in the text so far, a smaller model of the same
   * vocabulary goes ahead; of both, the look-up is asked first. Absent: nothing.
   */
  readonly draft?: DraftSource | readonly DraftSource[];
}

export type DraftSource = 'ngram' | ModelSource;

/** The options as the engine takes them. */
export async function engineOptions(
  { adapters, draft, ...given }: LoadOptions,
  toSource: (source: ModelSource) => Source | Promise<Source>,
): Promise<EngineOptions> {
  const options = { ...given, ...(draft !== undefined && { draft: await draftOf(draft, toSource) }) };
  if (adapters === undefined) return options;
  const found = adapters.map(async (option) => {
    const { source, ...rest } = typeof option === 'string' ? { source: option } : option;
    const placed = await toSource(source);
    return { name: nameOfSource(placed), ...rest, source: placed };
  });
  return { ...options, adapters: await Promise.all(found) };
}

/** Throws ArgumentError `load.draft`. */
async function draftOf(
  draft: DraftSource | readonly DraftSource[],
  toSource: (source: ModelSource) => Source | Promise<Source>,
): Promise<NonNullable<EngineOptions['draft']>> {
  const isList = Array.isArray(draft) && !draft.every((part) => part instanceof Blob); // several Files are one model
  const given = (isList ? draft : [draft]) as readonly DraftSource[];
  const models = given.filter((source) => source !== 'ngram');
  if (given.length > 0 && models.length <= 1) {
    return { lookUp: given.includes('ngram'), model: models.length === 0 ? null : await toSource(models[0]!) };
  }
  const found = given.length === 0 ? 'an empty list' : `${models.length} models`;
  throw new ArgumentError(
    'load.draft',
    `load: draft is ${found}, expected 'ngram', one smaller model, or both. Leave the option out for no guesses.`,
  );
}

function nameOfSource(source: Source): string {
  const whole =
    source.kind === 'path' ? source.path : source.kind === 'url' ? new URL(source.url).pathname : source.name;
  const last = whole.split(/[\\/]/).findLast((part) => part !== '') ?? 'adapter';
  return last.replace(/\.gguf$/i, '');
}

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
