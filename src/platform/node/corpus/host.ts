/** The corpus's host on Node: folders for input, work and results, tokenizers, the clock. */

import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessagePort } from 'node:worker_threads';
import { InvariantError } from '../../../base/assert.ts';
import { CriaError, FormatError } from '../../../base/errors.ts';
import type { CorpusHost, CorpusTokenizer, InputEntry } from '../../../corpus/pipeline/host.ts';
import type { Publisher } from '../../../corpus/pipeline/run.ts';
import { addressBelow, isAddress, namesFile } from '../../remote/address.ts';
import { type Listed, RemoteReader } from '../../remote/remote.ts';
import { openFile } from '../files.ts';
import { filesLike } from '../glob.ts';
import { loadTokenizer } from '../load-tokenizer.ts';
import { makeFolder } from '../make-folder.ts';
import type { ClaimOptions } from './claims.ts';
import { evaluationTexts } from './evaluation-texts.ts';
import { inputFrom, NEARBY_BYTES, NEARBY_FILES, openInput, readContext } from './input.ts';
import { openWorkStore } from './work-store.ts';

export interface Folders {
  /** A folder, or an address that file names are below. */
  readonly input: string;
  readonly output: string;
  /** Compare finished units with their digests, not only their sizes. */
  readonly verify?: boolean;
  readonly claims?: ClaimOptions;
  /** To the thread that fetches what has an address; absent where the recipe names none. */
  readonly remote?: MessagePort | undefined;
  readonly listed?: Listed | undefined;
}

/** `beat` is called as the work goes on; without it the claims of this process are refreshed then. */
export function createCorpusHost(folders: Folders, beat?: () => void): CorpusHost {
  const { input, output, verify = false, claims } = folders;
  const root = isAddress(input) ? input : resolve(input);
  const work = openWorkStore(join(output, 'work'), { verify, ...(claims ? { claims } : {}) });
  const onBeat = beat ?? (() => work.claims.refresh());
  const tokenizers = new Map<string, CorpusTokenizer>();
  const smallTexts = new Map<string, string | undefined>();
  const reader = folders.remote && new RemoteReader(folders.remote, onBeat, folders.listed);
  const remote = (): RemoteReader => reader ?? noRemote();
  /** Undefined for files of this machine. */
  const addressOf = (name: string): string | undefined => addressBelow(root, name);
  return {
    listFiles: (patterns) => listFiles(root, patterns, addressOf, remote),
    openInput(name) {
      const address = addressOf(name);
      if (address !== undefined) return inputFrom(name, () => remote().open(address), onBeat);
      return openInput(isAbsolute(name) ? '/' : root, name, onBeat);
    },
    beat: onBeat,
    openRaw(name) {
      const address = addressOf(name);
      return address === undefined ? openFile(resolve(root, name)) : remote().open(address);
    },
    readContext(problem, maximumRecordBytes) {
      const context = readContext(isAddress(root) ? '' : root, problem, maximumRecordBytes);
      const nearby = (name: string) => {
        const address = addressOf(name);
        if (address === undefined) return context.nearby(name);
        if (smallTexts.size >= NEARBY_FILES) smallTexts.clear();
        if (!smallTexts.has(address)) smallTexts.set(address, smallText(address, remote()));
        return smallTexts.get(address);
      };
      return { ...context, nearby };
    },
    tokenizer(path) {
      let tokenizer = tokenizers.get(path);
      const address = addressOf(path);
      if (address !== undefined) throw notOnThisMachine(address);
      if (!tokenizer) tokenizers.set(path, (tokenizer = readTokenizer(resolve(root, path))));
      return tokenizer;
    },
    evaluationTexts: (tasks, data) => evaluationTexts(tasks, data, root),
    work,
    clock: () => performance.now(),
  };
}

/** Files below the root that match, sorted by code units so that every machine sees the same order. Absolute paths and addresses name themselves. */
function listFiles(
  root: string,
  patterns: readonly string[],
  addressOf: (name: string) => string | undefined,
  remote: () => RemoteReader,
): InputEntry[] {
  const entries = new Map<string, InputEntry>();
  for (const pattern of patterns) {
    const address = addressOf(pattern);
    if (address !== undefined) {
      const below = `${root.replace(/\/+$/, '')}/`;
      for (const { name: full, bytes, version } of remote().list(address)) {
        const name = !isAddress(pattern) && full.startsWith(below) ? full.slice(below.length) : full;
        entries.set(name, { name, bytes, modified: version });
      }
      continue;
    }
    const found = filesLike(pattern, isAbsolute(pattern) ? undefined : root);
    for (const each of found) {
      const name = each.replaceAll('\\', '/');
      const stat = statSync(resolve(root, name));
      if (stat.isFile()) entries.set(name, { name, bytes: stat.size, modified: Math.floor(stat.mtimeMs) });
    }
  }
  return [...entries.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** A LICENSE beside code, say; undefined when there is none, or none that may be read: some servers say so of all that is not there. */
function smallText(address: string, remote: RemoteReader): string | undefined {
  if (!namesFile(address)) return undefined;
  try {
    const source = remote.open(address);
    if (source.byteLength > NEARBY_BYTES) return undefined;
    const bytes = new Uint8Array(source.byteLength);
    source.readInto(bytes, 0);
    return new TextDecoder().decode(bytes);
  } catch (error) {
    const isThere = !(error instanceof CriaError && /^(?:source\.missing|network\.(?:refused|no-))/.test(error.code));
    if (isThere) throw error;
    return undefined;
  }
}

function notOnThisMachine(address: string): CriaError {
  return new CriaError(
    'tokenizer.address',
    `${address}: expected a tokenizer on this machine, found an address. Fetch it, and set tokens.tokenizer (or pieces) to its full path.`,
  );
}

function noRemote(): never {
  throw new InvariantError('corpus: a recipe with addresses needs the thread that fetches them');
}

function readTokenizer(given: string): CorpusTokenizer {
  if (!existsSync(given)) {
    throw new CriaError(
      'tokenizer.missing',
      `${given}: there is no such file. Set tokens.tokenizer (or pieces) to a tokenizer below the input folder.`,
    );
  }
  const path = statSync(given).isDirectory() ? tokenizerFileIn(given) : given;
  const bytes = readFileSync(path);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const name = basename(path);
  const tokenizer = loadTokenizer(path);
  const { vocabSize, bosId, eosId } = tokenizer;
  return {
    name,
    sha256,
    vocabSize,
    bosId,
    eosId,
    encode: (text) => tokenizer.encode(text),
    // A language model knows characters that are no piece of a unigram vocabulary by their own text, as CCNet's do.
    ...(tokenizer.isUnigram
      ? { pieces: (text) => tokenizer.merges(text).flatMap(({ states }) => states.at(-1)!) }
      : {
          pieces: (text) => tokenizer.pieces(tokenizer.encode(text)),
          pieceOfId: (id) => tokenizer.pieceOf(id),
        }),
  };
}

function tokenizerFileIn(folder: string): string {
  const found = ['tokenizer.model', 'tokenizer.json'].find((file) => existsSync(join(folder, file)));
  if (found) return join(folder, found);
  throw new FormatError(
    { code: 'tokenizer.none', file: folder, where: 'its files' },
    'no tokenizer.model or tokenizer.json in this folder',
    'Name the file.',
  );
}

/** What earlier runs may have left in the folders of results; other files there are not ours to remove. */
const ownFile =
  /^(?:tokens-\d{5,}(?:\.ends)?\.bin|[\w-]+-\d{5,}-attributes-\d+\.parquet|(?:stages|reasons|languages|problems)\.parquet)(?:\.making)?$/;

function writeWhole(to: string, bytes: Uint8Array): void {
  if (existsSync(to) && readFileSync(to).equals(bytes)) return;
  makeFolder(dirname(to));
  writeFileSync(`${to}.making`, bytes);
  renameSync(`${to}.making`, to);
}

export function createPublisher(output: string): Publisher {
  return {
    publish(id, file, name) {
      const from = join(output, 'work', id, file);
      const to = join(output, name);
      if (isSameFile(from, to)) return;
      makeFolder(dirname(to));
      const aside = `${to}.making`;
      rmSync(aside, { force: true });
      try {
        linkSync(from, aside);
      } catch {
        copyFileSync(from, aside); // another file system, or one without links
      }
      renameSync(aside, to);
    },
    writeText: (name, text) => writeWhole(join(output, name), Buffer.from(text)),
    writeBytes: (name, bytes) => writeWhole(join(output, name), bytes),
    keepOnly(folder, names) {
      const root = join(output, folder);
      if (!existsSync(root)) return;
      const kept = new Set(names);
      for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
        if (ownFile.test(basename(path)) && !kept.has(path.replaceAll('\\', '/'))) rmSync(join(root, path));
      }
    },
    sleep: (milliseconds) => sleep(milliseconds),
  };
}

/** Links share an inode; a copy is taken for the same when size and time of writing fit. */
function isSameFile(from: string, to: string): boolean {
  if (!existsSync(to)) return false;
  const a = statSync(from);
  const b = statSync(to);
  return (a.ino === b.ino && a.dev === b.dev) || (a.size === b.size && b.mtimeMs >= a.mtimeMs && a.dev !== b.dev);
}
