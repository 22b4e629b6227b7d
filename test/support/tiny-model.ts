/** A small model with random weights that are large enough for its continuations to be lively. */
import { Random } from '../../src/base/random.ts';
import type { Device } from '../../src/devices/device.ts';
import { Engine, type EngineOptions } from '../../src/inference/engine.ts';
import type { GenerationResult, Piece, Prompt } from '../../src/inference/generation.ts';
import type { GenerationOptions } from '../../src/inference/options.ts';
import { type LlamaConfig, paperChoices } from '../../src/model/config.ts';
import { loadModel, type Model } from '../../src/model/model.ts';
import { listParameters } from '../../src/model/parameters.ts';
import type { TensorSource } from '../../src/tensor/source.ts';

export const tinyConfig: LlamaConfig = {
  ...paperChoices,
  width: 32,
  blockCount: 2,
  headCount: 4,
  kvHeadCount: 2,
  headSize: 8,
  ffnWidth: 64,
  vocabSize: 96,
  contextLength: 256,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { kind: 'none' },
  tiedEmbeddings: false,
  attentionBias: false,
  slidingWindow: null,
};

export function tinyWeights(config: LlamaConfig = tinyConfig, seed = 1): Map<string, TensorSource> {
  const random = new Random(seed);
  const sources = new Map<string, TensorSource>();
  for (const { name, shape } of listParameters(config)) {
    const columns = shape.at(-1)!;
    const floats = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () =>
      shape.length === 1 ? 1 + 0.1 * random.normal() : 0.25 * random.normal(),
    );
    const bytes = new Uint8Array(floats.buffer);
    sources.set(name, {
      name,
      dtype: 'f32',
      shape,
      readRows: (target, firstRow, rowCount) =>
        target.set(bytes.subarray(firstRow * columns * 4, (firstRow + rowCount) * columns * 4)),
    });
  }
  return sources;
}

export function tinyModel(device: Device, config: LlamaConfig = tinyConfig): Model {
  return loadModel(device, config, tinyWeights(config));
}

export function tinyEngine(device: Device, options: Partial<EngineOptions> = {}): Engine {
  let time = 0;
  return new Engine({
    model: options.model ?? tinyModel(device),
    device,
    tokenizer: null,
    contextLength: 256,
    kvType: 'f32',
    clock: () => time++,
    drawSeed: () => 12345,
    ...options,
  });
}

export interface Outcome {
  readonly pieces: Piece[];
  result: GenerationResult | null;
  error: unknown;
}

/** Submits a generation; its outcome fills while the engine steps. */
export function submit(engine: Engine, prompt: Prompt, options: GenerationOptions): Outcome & { abort(): void } {
  const outcome: Outcome = { pieces: [], result: null, error: null };
  const job = engine.submit(prompt, options, {
    piece: (piece) => outcome.pieces.push(piece),
    done: (result) => {
      outcome.result = result;
    },
    failed: (error) => {
      outcome.error = error;
    },
  });
  return Object.assign(outcome, { abort: () => job.abort() });
}

export async function runAll(engine: Engine): Promise<void> {
  while (await engine.step());
}

/** Submits and runs one generation to its end. */
export async function generate(engine: Engine, prompt: Prompt, options: GenerationOptions): Promise<GenerationResult> {
  const outcome = submit(engine, prompt, options);
  await runAll(engine);
  if (outcome.result === null) throw outcome.error;
  return outcome.result;
}
