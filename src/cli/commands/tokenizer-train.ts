import { UsageError } from '../../base/errors.ts';
import { formatBytes } from '../../base/units.ts';
import { type TokenizerKind, trainTokenizer } from '../../platform/node/training/train-tokenizer.ts';
import {
  byteLevelDefaults,
  type TrainablePattern,
  trainablePatterns,
} from '../../tokenizer/train/byte-level-trainer.ts';
import type { TrainProgress } from '../../tokenizer/train/progress.ts';
import { llamaTrainDefaults } from '../../tokenizer/train/sentencepiece-trainer.ts';
import { defineCommand } from '../command.ts';
import { writeJson, writeLine } from '../io.ts';
import { longName } from '../option-table.ts';
import { type Progress, startProgress } from '../terminal/progress.ts';

const SENTENCEPIECE_ONLY = [
  'modelType',
  'characterCoverage',
  'maxLineBytes',
  'maxPieceLength',
  'hardVocabLimit',
] as const;
const BYTE_LEVEL_ONLY = ['pattern', 'begin', 'end', 'minCount'] as const;

export const command = defineCommand({
  options: {
    input: {
      kind: 'texts',
      value: 'FILE',
      required: true,
      help: 'plain text, .jsonl, .json, .csv, .tsv or .parquet with a "text" each, packed with gz, zst or not; a folder of them',
    },
    output: { kind: 'text', short: 'o', value: 'FOLDER', required: true, help: 'where the files of the tokenizer go' },
    vocabSize: {
      kind: 'integer',
      min: 257,
      max: 1 << 22,
      default: 32000,
      help: 'pieces in all, the fixed ones included',
    },
    kind: {
      kind: 'choice',
      values: ['sentencepiece', 'byte-level'],
      default: 'sentencepiece',
      help: 'LLaMA 1 and 2: sentencepiece, which writes tokenizer.model and tokenizer.json; Llama 3: byte-level, tokenizer.json',
    },
    modelType: {
      kind: 'choice',
      values: ['bpe', 'unigram'],
      otherwise: 'bpe',
      help: "sentencepiece: pairs that are merged, as LLaMA has it, or pieces chosen by their probability (Kudo 2018), as T5's are",
    },
    characterCoverage: {
      kind: 'number',
      min: Number.MIN_VALUE,
      max: 1,
      otherwise: `${llamaTrainDefaults.characterCoverage}`,
      help: 'sentencepiece: share of the characters that get a piece of their own; the others are spelled in bytes',
    },
    maxLineBytes: {
      kind: 'integer',
      min: 1,
      otherwise: `${llamaTrainDefaults.maxSentenceBytes}`,
      help: 'sentencepiece: longer lines are left out, and counted',
    },
    maxPieceLength: {
      kind: 'integer',
      min: 1,
      otherwise: `${llamaTrainDefaults.maxPieceLength}`,
      help: 'sentencepiece: characters in the longest piece',
    },
    hardVocabLimit: {
      kind: 'choice',
      values: ['yes', 'no'],
      otherwise: 'yes',
      help: 'sentencepiece: whether a text that gives fewer pieces than asked for is refused; no: there are fewer, and that is said',
    },
    pattern: {
      kind: 'choice',
      values: trainablePatterns,
      otherwise: byteLevelDefaults.pattern,
      help: 'byte-level: how text is cut into words',
    },
    begin: {
      kind: 'text',
      value: 'TOKEN',
      otherwise: byteLevelDefaults.begin,
      help: 'byte-level: what every text begins with',
    },
    end: { kind: 'text', value: 'TOKEN', otherwise: byteLevelDefaults.end, help: 'byte-level: what ends a text' },
    minCount: {
      kind: 'integer',
      min: 1,
      otherwise: `${byteLevelDefaults.minCount}`,
      help: 'byte-level: rarer pairs are not merged',
    },
    maxWords: {
      kind: 'integer',
      min: 1000,
      default: llamaTrainDefaults.maxWords,
      help: 'distinct words held in memory; beyond that the rarest are forgotten, and counted',
    },
    json: { kind: 'flag', help: 'a JSON object with what was written; progress as JSON lines on stderr' },
  },
  positionals: ['input'],
  details:
    "Sentencepiece trains with exactly LLaMA's settings (identity normalization, digits apart, byte fallback, pieces of one script) and gives\n" +
    "the pieces and scores of Google's sentencepiece on the same lines. All lines are read; memory is bounded by the distinct words. A unigram vocabulary goes\n" +
    'into tokenizer.model and tokenizer.json; models with one are saved as Hugging Face folders.',
  examples: [
    ['tokenizer train train.jsonl.gz -o tokenizer --vocab-size 4096', 'the tokenizer of the bundled model'],
    ['tokenizer train *.txt -o tokenizer --kind byte-level', 'a byte-level one'],
    ['tokenizer train *.txt -o tokenizer --model-type unigram', "SentencePiece's other algorithm"],
  ],
  async run(options, io) {
    const foreign = (options.kind === 'sentencepiece' ? BYTE_LEVEL_ONLY : SENTENCEPIECE_ONLY).filter(
      (key) => options[key] !== undefined,
    );
    if (foreign.length > 0) {
      throw new UsageError(foreign.map((key) => `${longName(key)} is not for --kind ${options.kind}`));
    }
    let progress: Progress | null = null;
    let stage = '';
    const trained = await trainTokenizer({
      inputs: options.input,
      output: options.output,
      tokenizer: tokenizerOf(options),
      signal: io.signal,
      onProgress(now, bytes, totalBytes) {
        if (now.stage !== stage) {
          progress?.end();
          stage = now.stage;
          if (!options.json) writeLine(io.stderr, stageWords(now, totalBytes));
          progress = startProgress(io, {
            what: now.stage,
            total: now.total ?? totalBytes,
            json: options.json,
            ...(now.stage === 'reading' && { amount: formatBytes }),
          });
        }
        progress!.update(now.stage === 'reading' ? bytes : now.done);
      },
    }).finally(() => progress?.end());
    for (const remark of trained.remarks) writeLine(io.stderr, `cria tokenizer train: ${remark}`);
    if (options.json) writeJson(io.stdout, trained);
    else writeLine(io.stdout, `${trained.pieces} pieces: ${trained.files.join(', ')}`);
  },
});

function stageWords({ stage, total }: TrainProgress, totalBytes: number): string {
  switch (stage) {
    case 'reading':
      return `reading the text, ${formatBytes(totalBytes)}`;
    case 'merging':
      return `merging the most frequent pairs, ${total} times`;
    case 'seeding':
      return 'collecting the frequent pieces of all words';
    case 'pruning':
      return `leaving out the least useful pieces, in ${total} rounds`;
  }
}

interface Chosen {
  readonly kind: TokenizerKind['kind'];
  readonly vocabSize: number;
  readonly maxWords: number;
  readonly modelType?: 'bpe' | 'unigram' | undefined;
  readonly characterCoverage?: number | undefined;
  readonly maxLineBytes?: number | undefined;
  readonly maxPieceLength?: number | undefined;
  readonly hardVocabLimit?: 'yes' | 'no' | undefined;
  readonly pattern?: TrainablePattern | undefined;
  readonly begin?: string | undefined;
  readonly end?: string | undefined;
  readonly minCount?: number | undefined;
}

function tokenizerOf(options: Chosen): TokenizerKind {
  const { kind, vocabSize, maxWords } = options;
  if (kind === 'sentencepiece') {
    return {
      kind,
      modelType: options.modelType ?? 'bpe',
      vocabSize,
      maxWords,
      characterCoverage: options.characterCoverage ?? llamaTrainDefaults.characterCoverage,
      maxSentenceBytes: options.maxLineBytes ?? llamaTrainDefaults.maxSentenceBytes,
      maxPieceLength: options.maxPieceLength ?? llamaTrainDefaults.maxPieceLength,
      hardVocabLimit: options.hardVocabLimit !== 'no',
    };
  }
  const { pattern, begin, end, minCount } = byteLevelDefaults;
  return {
    kind,
    vocabSize,
    maxWords,
    pattern: options.pattern ?? pattern,
    begin: options.begin ?? begin,
    end: options.end ?? end,
    minCount: options.minCount ?? minCount,
  };
}
