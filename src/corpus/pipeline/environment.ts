/** Models and files that stages use, read on first use and kept; and the documents of a unit. */

import type { ByteSource } from '../../tensor/source.ts';
import type { Document } from '../document.ts';
import { FastText } from '../language/fasttext.ts';
import { createNgramModel, type NgramParts, readNgramParts, type SentenceModel } from '../ngram/file.ts';
import { isOfTheMachine } from '../readers/reader.ts';
import { createReader, type ReaderChoice } from '../readers/table.ts';
import type { Recipe } from '../recipe/recipe.ts';
import type { PerplexityModel } from '../stages/perplexity.ts';
import { readGrams } from '../stages/rules/decontaminate.ts';
import type { StageEnvironment } from '../stages/table.ts';
import type { CorpusHost, CorpusTokenizer } from './host.ts';
import type { GramResult } from './kinds/model.ts';

/** What every task may use beside its own fields. */
export interface TaskContext {
  readonly recipe: Recipe;
  readonly host: CorpusHost;
  readonly environment: StageEnvironment;
}

/** `shared`: n-gram models that somebody has loaded already, in memory that all workers see. */
export function createEnvironment(
  recipe: Recipe,
  host: CorpusHost,
  shared: ReadonlyMap<string, NgramParts> = new Map(),
): StageEnvironment {
  const cache = new Map<string, unknown>();
  const once = <T>(key: string, make: () => T): T => {
    if (!cache.has(key)) cache.set(key, make());
    return cache.get(key) as T;
  };
  const trained = (name: string, file: string) => host.work.open(modelTaskId(name), file);
  return {
    fastText: (name) =>
      once(`fasttext ${name}`, () => {
        const model = recipe.models[name]!;
        return FastText.parse(
          readAll(model.name === 'fasttext' ? host.openRaw(model.options.file) : trained(name, 'model.bin')),
          name,
        );
      }),
    perplexityModel: (name) =>
      once(`ngram ${name}`, (): PerplexityModel => {
        const { options } = recipe.models[name] as { options: { pieces: string } };
        const tokenizer = host.tokenizer(options.pieces);
        const model = createNgramModel(shared.get(name) ?? loadNgramParts(name, host));
        return { model, words: wordFinder(tokenizer, model) };
      }),
    evaluationGrams: (name) =>
      once(`grams ${name}`, () => {
        const { words, sets } = host.work.done(modelTaskId(name))!.result as GramResult;
        return readGrams(readAll(trained(name, 'grams.bin')), words, sets);
      }),
    textFile: (path) => once(`text ${path}`, () => new TextDecoder().decode(readAll(host.openRaw(path)))),
    countTokens: (text) => {
      const tokenizer = recipe.tokens ? host.tokenizer(recipe.tokens.tokenizer) : undefined;
      return tokenizer ? tokenizer.encode(text).length : 0;
    },
  };
}

/** Text → word ids: a table lookup per token, or per piece where a tokenizer's pieces are not numbered. */
function wordFinder(tokenizer: CorpusTokenizer, model: SentenceModel): PerplexityModel['words'] {
  const { pieceOfId } = tokenizer;
  if (!pieceOfId) return (text) => Int32Array.from(tokenizer.pieces(text), (piece) => model.scoringId(piece));
  const wordOfId = Int32Array.from({ length: tokenizer.vocabSize }, (_, id) => model.scoringId(pieceOfId(id)));
  return (text) => {
    const ids = tokenizer.encode(text);
    const words = new Int32Array(ids.length);
    for (let i = 0; i < ids.length; i++) words[i] = wordOfId[ids[i]!]!;
    return words;
  };
}

/** A finished n-gram model from the work folder. */
export function loadNgramParts(
  name: string,
  host: CorpusHost,
  allocate?: (bytes: number) => ArrayBufferLike,
): NgramParts {
  const source = host.work.open(modelTaskId(name), 'model.ngram');
  try {
    return readNgramParts(source, allocate);
  } finally {
    source.close();
  }
}

export function modelTaskId(name: string): string {
  return `model/${name}`;
}

/** A file's documents; whatever breaks it off is reported, and what came before is kept. */
export async function* readDocuments(
  reader: ReaderChoice,
  files: readonly string[],
  host: CorpusHost,
  options: { source: string; maximumRecordBytes: number; limit?: number | undefined },
  problem: (file: string, kind: string, message: string) => void,
): AsyncGenerator<Document> {
  const read = createReader(reader);
  for (const file of files) {
    const context = host.readContext((kind, message) => problem(file, kind, message), options.maximumRecordBytes);
    let count = 0;
    try {
      for await (const document of read(host.openInput(file), context)) {
        host.beat();
        document.id = `${options.source}/${document.id}`;
        yield document;
        if (++count === options.limit) break;
      }
    } catch (error) {
      // Only what the file did to the reader: our own mistakes, and a machine out of its means, must not hide among the input's.
      if ((error as Error).name === 'InvariantError' || error instanceof TypeError || isOfTheMachine(error))
        throw error;
      problem(file, 'broken-file', `${file}: ${(error as Error).message}; ${count} documents before it were kept`);
    }
  }
}

export function readAll(source: ByteSource): Uint8Array {
  const bytes = new Uint8Array(source.byteLength);
  source.readInto(bytes, 0);
  source.close();
  return bytes;
}

/** Lines of a file of any size. */
export function eachLine(source: ByteSource, visit: (line: string) => void): void {
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(1 << 20);
  let rest = '';
  for (let at = 0; at < source.byteLength; at += chunk.length) {
    const part = chunk.subarray(0, Math.min(chunk.length, source.byteLength - at));
    source.readInto(part, at);
    const lines = (rest + decoder.decode(part, { stream: true })).split('\n');
    rest = lines.pop()!;
    for (const line of lines) visit(line);
  }
  rest += decoder.decode();
  if (rest !== '') visit(rest);
  source.close();
}
