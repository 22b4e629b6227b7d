/** A small untrained model as a folder, and runs of `cria finetune` on it inside of the test's process. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Io } from '../../src/cli/io.ts';
import { runProgram } from '../../src/cli/program.ts';
import type { TuningMetrics } from '../../src/finetuning/run/loop.ts';
import { floatSource } from '../../src/model/adapter/sources.ts';
import { noGeneration } from '../../src/model/checkpoint/checkpoint.ts';
import { writeHfCheckpoint } from '../../src/model/checkpoint/write/write-hf.ts';
import { type LlamaConfig, paperChoices } from '../../src/model/config.ts';
import { listParameters } from '../../src/model/parameters.ts';
import { findTokenizerFiles } from '../../src/platform/node/load-tokenizer.ts';
import { writeWholeFolder } from '../../src/platform/node/training/whole-folder.ts';
import { initialWeights } from '../../src/training/initialize.ts';
import { goldenPath } from './golden.ts';

export const tuningConfig: LlamaConfig = {
  ...paperChoices,
  width: 48,
  blockCount: 2,
  headCount: 4,
  kvHeadCount: 2,
  headSize: 12,
  ffnWidth: 96,
  vocabSize: 512,
  contextLength: 96,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { kind: 'none' },
  tiedEmbeddings: false,
  attentionBias: false,
  slidingWindow: null,
};

/** A folder of its own for a test file, and the way to remove it. */
export function tuningPlace(): { readonly at: (name: string) => string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'cria-tune-'));
  return {
    at: (name) => join(folder, name),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export function writeBase(path: string, config: LlamaConfig = tuningConfig, seed = 1): void {
  const tokenizer = findTokenizerFiles(goldenPath('tokenizers/sp-bpe-512/tokenizer.model'));
  const numbers = initialWeights(config, seed);
  const tensors = new Map(
    listParameters(config).map((parameter) => [
      parameter.name,
      floatSource(parameter.name, Float32Array.from(numbers(parameter)), parameter.shape),
    ]),
  );
  writeWholeFolder(path, (folder) =>
    writeHfCheckpoint(
      folder,
      { config, tensors, tokenizer, chatTemplate: null, generation: { ...noGeneration, bosId: 1, eosIds: [2] } },
      {
        maxShardBytes: 2 ** 40,
        typeOf: () => 'f32',
        encode: () => {
          throw new Error('f32 stays f32');
        },
      },
    ),
  );
}

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly metrics: readonly TuningMetrics[];
}

/** `cria finetune` without a process of its own. `stopAfter`: Ctrl-C after so many steps. */
export function tune(
  at: (name: string) => string,
  recipe: Readonly<Record<string, unknown>>,
  {
    out,
    words = [],
    stopAfter,
  }: { readonly out: string; readonly words?: readonly string[]; readonly stopAfter?: number },
): Promise<Ran> {
  const file = at(`${out}.yaml`);
  writeFileSync(file, stringify(recipe));
  return tuneFile(file, at(out), words, stopAfter);
}

/** The same on a recipe that lies in a file. */
export async function tuneFile(file: string, out: string, words: readonly string[], stopAfter?: number): Promise<Ran> {
  const controller = new AbortController();
  const metrics: TuningMetrics[] = [];
  let [stdout, stderr] = ['', ''];
  const io: Io = {
    stdout: {
      write(text) {
        stdout += text;
        for (const line of text.split('\n')) {
          if (!line.startsWith('{"step"')) continue;
          metrics.push(JSON.parse(line) as TuningMetrics);
          if (metrics.length === stopAfter) controller.abort();
        }
        return true;
      },
    },
    stderr: {
      write(text) {
        stderr += text;
        return true;
      },
    },
    stdin: process.stdin,
    env: {},
    signal: controller.signal,
    onInterrupt: () => () => {},
  };
  const status = await runProgram(['finetune', file, '--out', out, '-t', '1', '--json', ...words], io, '0');
  return { status, stdout, stderr, metrics };
}
