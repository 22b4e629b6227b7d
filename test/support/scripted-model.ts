/** A served model that says what it is told to, a few characters at a time: for what is seen, not for what is computed. */
import type { GenerationResult, Piece } from '../../src/inference/generation.ts';
import { timingsOf } from '../../src/inference/generation.ts';
import { GenerationStream } from '../../src/inference/remote/generation-stream.ts';
import { findTokenizerFiles } from '../../src/platform/node/load-tokenizer.ts';
import type { ServedModel } from '../../src/server/world.ts';
import { createTokenizer } from '../../src/tokenizer/create-tokenizer.ts';
import { goldenPath } from './golden.ts';
import { tinyConfig } from './tiny-model.ts';

/** `answerTo` gets the prompt as text. `pauseMs` lies between pieces. */
export function scriptedModel(answerTo: (prompt: string) => string, pauseMs = 1): ServedModel {
  const files = findTokenizerFiles(goldenPath('formats/gguf-llama-cpp-converter/hf'));
  const tokenizer = createTokenizer(files);
  const config = { ...tinyConfig, vocabSize: tokenizer.vocabSize, contextLength: 4096 };
  return {
    config,
    contextLength: 4096,
    tokenizer,
    hasTokenizer: true,
    isRunning: true,
    whenEnded: () => new Promise<void>(() => {}),
    facts: {
      name: 'scripted',
      format: 'gguf',
      config,
      contextLength: 4096,
      kvType: 'f16',
      tokenizer: files,
      chatTemplate: null,
      parameterCount: 58_000,
      weightBytes: 232_000,
      dtypes: ['f32'],
      dtypeOf: {},
      adapters: [],
      device: 'scripted',
      remarks: [],
    },
    engineLoad: async () => ({ running: 0, waiting: 0, usedBlocks: 0, blockCount: 1, steps: 0, rows: 0 }),
    embed: async () => new Float32Array(config.width),
    generate(prompt, { onAdmitted, onPiece, signal, logprobs = -1 } = {}) {
      const ids = prompt as Uint32Array;
      const answer = answerTo(tokenizer.decode(ids));
      return new GenerationStream(
        async (push): Promise<GenerationResult> => {
          onAdmitted?.(0);
          let text = '';
          let count = 0;
          for (const part of answer.match(/[\s\S]{1,3}/gu) ?? []) {
            if (signal?.aborted) break;
            await new Promise((resolve) => setTimeout(resolve, pauseMs));
            const id = (40 + 7 * count++) % tokenizer.vocabSize;
            const others = [1, 2].map((i) => ({ id: (id + i) % tokenizer.vocabSize, logprob: -1.5 - i, text: '' }));
            const top = [{ id, logprob: -0.3 * (count % 5), text: part }, ...others];
            const piece: Piece = {
              id,
              text: part,
              ...(logprobs >= 0 && { logprobs: { logprob: top[0]!.logprob, top } }),
            };
            push(piece);
            onPiece?.(piece);
            text += part;
          }
          return {
            text,
            ids: new Uint32Array(count),
            promptIds: ids,
            finishReason: signal?.aborted ? 'abort' : 'stop',
            stop: null,
            eogId: 2,
            seed: 1,
            timings: timingsOf(0, ids.length, 12, count, count * pauseMs),
          };
        },
        () => {},
      );
    },
  };
}
