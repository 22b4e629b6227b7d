/**
 * What an engine has read, kept beyond its life: blocks of the cache in a folder that any process may use, and the state of one text in
 * a file. A block is named by a hash of its tokens, of those before it and of all that its numbers depend on; so what is found is what
 * would be computed, bit for bit, and another model's is not found.
 */
import { FormatError } from '../../base/errors.ts';
import type { Device } from '../../devices/device.ts';
import type { KvStore } from '../../kernels/ops.ts';
import type { Checkpoint } from '../../model/checkpoint/checkpoint.ts';
import type { BlockArchive, KvCache } from '../../model/kv-cache.ts';
import { ropeFrequencies } from '../../model/rope-frequencies.ts';
import type { Source } from './protocol.ts';

/** What the bytes of a block mean, and by which arithmetic they came: it grows with a change of either. */
const BLOCK_VERSION = 2;

/** Files and hashes, as layer 7 has them. */
export interface Storage {
  /** Of these parts, one after another, as hexadecimal digits. */
  sha256(...parts: readonly (string | Uint8Array)[]): string;
  /** Changes when the files do. */
  fingerprint(source: Source): string;
  /** A version of this code: another one may compute other bits. */
  readonly version: string;
  /** `mostBytes`: the longest unused go when it holds more. */
  openBlocks(folder: string, mostBytes: number): BlockFiles;
  readFile(path: string): Uint8Array;
  /** Under its name only when it is whole. */
  writeFile(path: string, parts: readonly Uint8Array[]): void;
  /** At the end of a file. False, and nothing is written, where there is none that starts with `beginning`. */
  append(path: string, beginning: Uint8Array, parts: readonly Uint8Array[]): boolean;
}

/** Blocks by name. */
export interface BlockFiles {
  /** null where it is not there, or is damaged, which is said. */
  get(name: string): Uint8Array | null;
  /** Returns before it is written. False where it cannot be taken. */
  put(name: string, read: () => Promise<Uint8Array>): boolean;
  /** Resolves when all is written. */
  flush(): Promise<void>;
}

/** All that keys and values depend on, beside the tokens. */
export interface StateFacts {
  readonly checkpoint: Checkpoint;
  readonly source: Source;
  readonly contextLength: number;
  readonly store: KvStore;
  readonly device: Device;
  readonly adapters: readonly { readonly name: string; readonly source: Source; readonly scale: number }[];
  readonly blas: boolean;
}

export function stateIdentity(storage: Storage, facts: StateFacts): string {
  const { checkpoint, source, store, device, contextLength } = facts;
  const { config, tensors } = checkpoint;
  const { inverse, magnitude } = ropeFrequencies(config, contextLength);
  const shapes = [...tensors.values()].map(({ name, dtype, shape }) => [name, dtype, shape]);
  const adapters = facts.adapters.map(({ name, source, scale }) => [name, storage.fingerprint(source), scale]);
  // Threads change no bits; which kernels run may.
  const kernels = [device.kind, device.description.replace(/\d+ threads?/, ''), facts.blas];
  const { type, blockTokens, layerCount, kvHeadCount, headSize } = store;
  const cache = [BLOCK_VERSION, type, blockTokens, layerCount, kvHeadCount, headSize];
  const described = [storage.version, config, [...inverse], magnitude, shapes, adapters, kernels, cache];
  return storage.sha256(JSON.stringify(described), storage.fingerprint(source));
}

/** The cache's archive in a folder of files. */
export function archiveOf(
  storage: Storage,
  files: BlockFiles,
  identity: string,
  { device, store }: Pick<StateFacts, 'device' | 'store'>,
): BlockArchive {
  return {
    rootOf: (kind) => storage.sha256(identity, kind),
    nameOf: (parent, ids_T) => storage.sha256(parent, new Uint8Array(ids_T.buffer, ids_T.byteOffset, ids_T.byteLength)),
    load(name, block) {
      const bytes = files.get(name);
      if (bytes) device.writeKvBlock(store, block, bytes);
      return bytes !== null;
    },
    save: (name, block) => files.put(name, () => device.readKvBlock(store, block)),
  };
}

const MAGIC = new TextEncoder().encode('CRIASTA1');
const DIGEST_BYTES = 32;

interface StateHeader {
  readonly identity: string;
  /** What of the engine's adapters it was computed with; absent in older files: nothing. */
  readonly kind?: string;
  readonly blockTokens: number;
  readonly blockBytes: number;
  readonly blockCount: number;
}

/** A text, and what the caller says of it: in the header, and again in each text that was appended. */
interface StateText {
  readonly ids: readonly number[];
  readonly note: unknown;
}

export interface SavedState {
  readonly tokens: number;
  readonly bytes: number;
}

export interface LoadedState {
  readonly ids: Uint32Array;
  /** Of the ids, those that are in the cache now. */
  readonly tokens: number;
  /** The file's size. */
  readonly bytes: number;
  readonly note: unknown;
  /** Why it is not more; null where all that was saved is there. */
  readonly problem: string | null;
}

/**
 * MAGIC · header (a record) · for each block its bytes and their SHA-256 · texts that were appended later (records), the last of which
 * counts. A record: its length, u32 · JSON · SHA-256 of that.
 */
export async function saveState(
  storage: Storage,
  path: string,
  { ids, kind, note, textOnly }: { ids: Uint32Array; kind: string; note: unknown; textOnly: boolean },
  { cache, identity, device, store }: { cache: KvCache; identity: string } & Pick<StateFacts, 'device' | 'store'>,
): Promise<SavedState> {
  const text: StateText = { note, ids: [...ids] };
  const bytesOf = (parts: readonly Uint8Array[]) => parts.reduce((sum, part) => sum + part.length, 0);
  if (textOnly) {
    const parts = recordOf(storage, text);
    if (storage.append(path, MAGIC, parts)) return { tokens: 0, bytes: bytesOf(parts) };
  }
  const blocks: Uint8Array[] = [];
  if (!textOnly) {
    const sequence = cache.createSequence([...ids, 0], kind); // the last token is never found; so that a whole block at the end is
    try {
      for (const block of sequence.blocks) blocks.push(await device.readKvBlock(store, block));
    } finally {
      sequence.release();
    }
  }
  const facts = { blockTokens: store.blockTokens, blockBytes: blocks[0]?.length ?? 0, blockCount: blocks.length };
  const header: StateHeader & StateText = { ...text, identity, kind, ...facts };
  const parts = [MAGIC, ...recordOf(storage, header)];
  for (const bytes of blocks) parts.push(bytes, fromHex(storage.sha256(bytes)));
  storage.writeFile(path, parts);
  return { tokens: blocks.length * store.blockTokens, bytes: bytesOf(parts) };
}

/** Throws FormatError `state.damaged` where not even its text can be read. */
export function loadState(
  storage: Storage,
  path: string,
  { cache, identity, device, store }: { cache: KvCache; identity: string } & Pick<StateFacts, 'device' | 'store'>,
): LoadedState {
  const bytes = storage.readFile(path);
  const { header, end } = readHeader(storage, path, bytes);
  const { text, isCut } = lastText(
    storage,
    bytes,
    end + header.blockCount * (header.blockBytes + DIGEST_BYTES),
    header,
  );
  const cut = isCut ? 'its last text is damaged, the one before it counts' : null;
  const ids = Uint32Array.from(header.ids);
  const found = { ids: Uint32Array.from(text.ids), note: text.note, bytes: bytes.length };
  if (header.identity !== identity || header.blockTokens !== store.blockTokens) {
    return { ...found, tokens: 0, problem: 'it was saved with another model, other options or another version' };
  }
  const sequence = cache.createSequence([], header.kind);
  let problem: string | null = null;
  for (let block = 0; block < header.blockCount && problem === null; block++) {
    const start = end + block * (header.blockBytes + DIGEST_BYTES);
    const content = bytes.subarray(start, start + header.blockBytes);
    const digest = bytes.subarray(start + header.blockBytes, start + header.blockBytes + DIGEST_BYTES);
    const isWhole = content.length === header.blockBytes && storage.sha256(content) === toHex(digest);
    if (!isWhole) problem = `block ${block} of ${header.blockCount} is damaged`;
    else if (!sequence.reserve(store.blockTokens)) problem = 'the cache has no room for all of it';
    else {
      device.writeKvBlock(store, sequence.blocks[block]!, content);
      sequence.advance(ids.subarray(block * store.blockTokens, (block + 1) * store.blockTokens));
    }
  }
  const tokens = sequence.length;
  sequence.release();
  return { ...found, tokens, problem: problem ?? cut };
}

function recordOf(storage: Storage, value: unknown): Uint8Array[] {
  const text = new TextEncoder().encode(JSON.stringify(value));
  return [new Uint8Array(new Uint32Array([text.length]).buffer), text, fromHex(storage.sha256(text))];
}

/** What a record that begins at `start` says, and where it ends; null where it is damaged. */
function readRecord(storage: Storage, bytes: Uint8Array, start: number): { value: unknown; end: number } | null {
  if (start + 4 > bytes.length) return null;
  const at = start + 4;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(start, true);
  const [text, end] = [bytes.subarray(at, at + length), at + length + DIGEST_BYTES];
  if (end > bytes.length || storage.sha256(text) !== toHex(bytes.subarray(at + length, end))) return null;
  return { value: JSON.parse(new TextDecoder().decode(text)), end };
}

function readHeader(storage: Storage, path: string, bytes: Uint8Array) {
  const fail = (found: string, help: string): never => {
    throw new FormatError(
      { code: 'state.damaged', file: path, where: 'header' },
      `expected a saved state of Cria, found ${found}`,
      `Name another file, or remove this one${help}`,
    );
  };
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) fail('another file', '');
  const record = readRecord(storage, bytes, MAGIC.length);
  if (record === null) return fail('a damaged one', '; what is left of its text stands at its beginning, as JSON');
  return { header: record.value as StateHeader & StateText, end: record.end };
}

/** The last whole text from `start` on, or the header's; `isCut`: something stands behind it. */
function lastText(storage: Storage, bytes: Uint8Array, start: number, header: StateText) {
  let text = header;
  let at = start;
  while (at < bytes.length) {
    const record = readRecord(storage, bytes, at);
    if (record === null) break;
    text = record.value as StateText;
    at = record.end;
  }
  return { text, isCut: at < bytes.length };
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}
