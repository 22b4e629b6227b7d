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
import { CriaError, FormatError } from '../../../base/errors.ts';
import { parseUnigramModel } from '../../../corpus/ngram/unigram-pieces.ts';
import type { CorpusHost, CorpusTokenizer, InputEntry } from '../../../corpus/pipeline/host.ts';
import type { Publisher } from '../../../corpus/pipeline/run.ts';
import { openFile } from '../files.ts';
import { filesLike } from '../glob.ts';
import { loadTokenizer } from '../load-tokenizer.ts';
import { makeFolder } from '../make-folder.ts';
import type { ClaimOptions } from './claims.ts';
import { evaluationTexts } from './evaluation-texts.ts';
import { openInput, readContext } from './input.ts';
import { openWorkStore } from './work-store.ts';

export interface Folders {
  readonly input: string;
  readonly output: string;
  /** Compare finished units with their digests, not only their sizes. */
  readonly verify?: boolean;
  readonly claims?: ClaimOptions;
}

/** `beat` is called as the work goes on; without it the claims of this process are refreshed then. */
export function createCorpusHost({ input, output, verify = false, claims }: Folders, beat?: () => void): CorpusHost {
  const root = resolve(input);
  const work = openWorkStore(join(output, 'work'), { verify, ...(claims ? { claims } : {}) });
  const onBeat = beat ?? (() => work.claims.refresh());
  const tokenizers = new Map<string, CorpusTokenizer>();
  return {
    listFiles: (patterns) => listFiles(root, patterns),
    openInput: (name) => openInput(isAbsolute(name) ? '/' : root, name, onBeat),
    beat: onBeat,
    openRaw: (name) => openFile(resolve(root, name)),
    readContext: (problem, maximumRecordBytes) => readContext(root, problem, maximumRecordBytes),
    tokenizer(path) {
      let tokenizer = tokenizers.get(path);
      if (!tokenizer) tokenizers.set(path, (tokenizer = readTokenizer(resolve(root, path))));
      return tokenizer;
    },
    evaluationTexts: (tasks, data) => evaluationTexts(tasks, data, root),
    work,
    clock: () => performance.now(),
  };
}

/** Files below the root that match, sorted by code units so that every machine sees the same order. Absolute paths name themselves. */
function listFiles(root: string, patterns: readonly string[]): InputEntry[] {
  const names = new Set<string>();
  for (const pattern of patterns) {
    const found = filesLike(pattern, isAbsolute(pattern) ? undefined : root);
    for (const name of found) names.add(name.replaceAll('\\', '/'));
  }
  return [...names]
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
    .flatMap((name) => {
      const stat = statSync(resolve(root, name));
      return stat.isFile() ? [{ name, bytes: stat.size, modified: Math.floor(stat.mtimeMs) }] : [];
    });
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
  const unigram = name.endsWith('.model') && bytes[0] === 0x0a ? parseUnigramModel(bytes, name) : undefined;
  if (unigram) return piecesOnly(name, sha256, (text) => unigram.encode(text));
  const tokenizer = loadTokenizer(path);
  const { vocabSize, bosId, eosId } = tokenizer;
  return {
    name,
    sha256,
    vocabSize,
    bosId,
    eosId,
    encode: (text) => tokenizer.encode(text),
    pieces: (text) => tokenizer.pieces(tokenizer.encode(text)),
    pieceOfId: (id) => tokenizer.pieceOf(id),
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

/** CCNet's unigram models cut words for the language model; LLaMA's tokens are not made with them. */
function piecesOnly(name: string, sha256: string, pieces: (text: string) => string[]): CorpusTokenizer {
  return {
    name,
    sha256,
    vocabSize: 0,
    bosId: null,
    eosId: null,
    pieces,
    encode() {
      throw new FormatError(
        { code: 'corpus.unigram', file: name, where: 'model type' },
        'a unigram model only cuts words for language models',
        'Give a BPE tokenizer for tokens.',
      );
    },
  };
}

/** What earlier runs may have left in the tokens folder; other files there are not ours to remove. */
const ownFile = /^tokens-\d{5,}(?:\.ends)?\.bin(?:\.making)?$/;

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
    writeText(name, text) {
      const to = join(output, name);
      if (existsSync(to) && readFileSync(to, 'utf8') === text) return;
      makeFolder(dirname(to));
      writeFileSync(`${to}.making`, text);
      renameSync(`${to}.making`, to);
    },
    keepOnly(folder, names) {
      const kept = new Set(names);
      for (const name of readdirSync(join(output, folder))) {
        if (ownFile.test(name) && !kept.has(name)) rmSync(join(output, folder, name));
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
