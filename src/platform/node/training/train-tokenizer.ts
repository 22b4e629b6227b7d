/** `cria tokenizer train`: text files → the files of a tokenizer. */
import { existsSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError } from '../../../base/errors.ts';
import type { TrainablePattern } from '../../../tokenizer/train/byte-level-trainer.ts';
import { trainByteLevelBpe } from '../../../tokenizer/train/byte-level-trainer.ts';
import type { TrainProgress } from '../../../tokenizer/train/progress.ts';
import {
  type SentencePieceTrainOptions,
  trainSentencePieceBpe,
} from '../../../tokenizer/train/sentencepiece-trainer.ts';
import { trainSentencePieceUnigram } from '../../../tokenizer/train/unigram/unigram-trainer.ts';
import { byteLevelToHf, sentencePieceToHf } from '../../../tokenizer/train/write-hf.ts';
import { writeSentencePieceModel } from '../../../tokenizer/train/write-sentencepiece.ts';
import { makeFolder } from '../make-folder.ts';
import { filesAt, textFiles } from './data/text-files.ts';
import { readTextLines } from './data/texts.ts';

export type TokenizerKind =
  | (SentencePieceTrainOptions & { readonly kind: 'sentencepiece'; readonly modelType: 'bpe' | 'unigram' })
  | {
      readonly kind: 'byte-level';
      readonly vocabSize: number;
      readonly pattern: TrainablePattern;
      /** Begin and end of text, the last two ids. */
      readonly begin: string;
      readonly end: string;
      readonly minCount: number;
      readonly maxWords: number;
    };

export interface TrainTokenizerJob {
  readonly inputs: readonly string[];
  /** The folder for the files; it is made where it does not exist. */
  readonly output: string;
  readonly tokenizer: TokenizerKind;
  readonly signal: AbortSignal;
  /** `bytes`: read so far, of `totalBytes`, of all inputs. */
  onProgress(progress: TrainProgress, bytes: number, totalBytes: number): void;
}

export interface TrainedTokenizer {
  readonly files: readonly string[];
  readonly pieces: number;
  /** What was left out, in words; empty when all was used. */
  readonly remarks: readonly string[];
}

/** Throws ArgumentError for a missing file or a vocabulary that does not fit the text, FormatError for a damaged file. */
export async function trainTokenizer(job: TrainTokenizerJob): Promise<TrainedTokenizer> {
  const { tokenizer } = job;
  const missing = job.inputs.filter((path) => !existsSync(path) && filesAt(path).length === 0);
  if (missing.length > 0) {
    const found = missing.join(', ');
    throw new ArgumentError(
      'tokenizer.no-file',
      `tokenizer training: expected text files, found no ${found}. Check the path.`,
    );
  }
  const inputs = job.inputs.flatMap(textFiles);
  const sizes = inputs.map((path) => statSync(path).size);
  const totalBytes = sizes.reduce((sum, size) => sum + size, 0);
  const read = inputs.map(() => 0);
  async function* texts(): AsyncGenerator<string> {
    const unit = tokenizer.kind === 'sentencepiece' ? 'line' : 'document';
    for (const [i, path] of inputs.entries()) {
      yield* readTextLines(path, unit, (bytes) => {
        read[i] = bytes;
      });
    }
  }
  const onProgress = async (progress: TrainProgress): Promise<void> => {
    job.onProgress(
      progress,
      read.reduce((sum, bytes) => sum + bytes, 0),
      totalBytes,
    );
    await new Promise((resolve) => setImmediate(resolve));
    job.signal.throwIfAborted();
  };
  if (tokenizer.kind === 'sentencepiece') {
    const { kind: _, modelType, ...options } = tokenizer;
    const train = modelType === 'unigram' ? trainSentencePieceUnigram : trainSentencePieceBpe;
    const trained = await train(texts(), options, onProgress);
    const { json, config } = sentencePieceToHf(trained);
    const { tooLong, reserved } = trained;
    const short = tokenizer.vocabSize - trained.pieces.length;
    return {
      files: write(job.output, { 'tokenizer.model': writeSentencePieceModel(trained), ...named(json, config) }),
      pieces: trained.pieces.length,
      remarks: [
        ...fewerRemark(trained.pieces.length, short),
        ...(tooLong > 0
          ? [`${tooLong} lines were longer than ${trained.options.maxSentenceBytes} bytes and left out`]
          : []),
        ...(reserved > 0 ? [`${reserved} lines hold ▅, which the trainer reserves, and were left out`] : []),
        ...prunedRemark(trained),
      ],
    };
  }
  const { vocabSize, pattern, begin, end, minCount, maxWords } = tokenizer;
  const options = { vocabSize, pattern, specialTokens: [begin, end], minCount, maxWords };
  const trained = await trainByteLevelBpe(texts(), options, onProgress);
  const { json, config } = byteLevelToHf(trained, { bos: begin, eos: end });
  const short = vocabSize - trained.pieces.length;
  return {
    files: write(job.output, named(json, config)),
    pieces: trained.pieces.length,
    remarks: [...fewerRemark(trained.pieces.length, short), ...prunedRemark(trained)],
  };
}

function named(json: string, config: string): Record<string, string> {
  return { 'tokenizer.json': json, 'tokenizer_config.json': config };
}

function fewerRemark(pieces: number, short: number): string[] {
  return short > 0 ? [`the text gives ${pieces} pieces, ${short} fewer than asked for`] : [];
}

function prunedRemark(pruned: { readonly prunedWords: number; readonly prunedOccurrences: number }): string[] {
  const { prunedWords, prunedOccurrences } = pruned;
  if (prunedWords === 0) return [];
  return [
    `${prunedWords} rare words (${prunedOccurrences} occurrences) were forgotten to stay within the words held in memory`,
  ];
}

/** Each file appears whole or not at all. */
function write(folder: string, files: Readonly<Record<string, string | Uint8Array>>): string[] {
  makeFolder(folder);
  return Object.entries(files).map(([name, content]) => {
    const path = join(folder, name);
    writeFileSync(`${path}.partial`, content, { flush: true });
    renameSync(`${path}.partial`, path);
    return path;
  });
}
