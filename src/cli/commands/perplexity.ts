import { readFileSync } from 'node:fs';
import { UsageError } from '../../base/errors.ts';
import { byScoring, halfScoredWindows, overlappingWindows, perplexity } from '../../evaluation/perplexity.ts';
import { rollingMetrics, rollingWindows } from '../../evaluation/requests.ts';
import type { Llama } from '../../platform/node/index.ts';
import { defineCommand } from '../command.ts';
import { type Io, readAll, writeJson, writeLine } from '../io.ts';
import { loadModel } from '../load-model.ts';
import { resolveModel } from '../model-name.ts';
import { modelOptions } from '../model-options.ts';
import { startProgress } from '../terminal/progress.ts';

export const command = defineCommand({
  options: {
    ...modelOptions,
    context: { kind: 'integer', short: 'c', min: 4, default: 512, help: 'tokens of one window' },
    file: { kind: 'text', short: 'f', value: 'PATH', otherwise: 'standard input', help: 'the text' },
    stride: {
      kind: 'integer',
      min: 1,
      otherwise: "llama.cpp's way: windows side by side, the second half of each scored",
      help: "transformers' way: windows that overlap, this many tokens apart",
    },
    rolling: {
      kind: 'flag',
      help: "lm-evaluation-harness's way: every token scored once; perplexity by word and by byte, and bits per byte",
    },
    chunks: { kind: 'integer', min: 1, otherwise: 'all', help: 'score this many windows only' },
    bos: {
      kind: 'flag',
      default: true,
      help: "leave the model's first token out, even where its files ask for one",
    },
    json: { kind: 'flag', help: 'one JSON object; progress as JSON lines on stderr' },
  },
  positionals: ['model', 'file'],
  details:
    'exp of the mean negative log-likelihood of a text: lower is better. Numbers compare only for the same text, window and way.',
  examples: [
    ['perplexity -m model.gguf -f wiki.test.raw -c 512', "the number that llama.cpp's perplexity prints"],
    ['perplexity -m model.gguf -f wiki.test.raw -c 1024 --stride 512', "the number of transformers' loop"],
    ['perplexity -m model.gguf -f wiki.test.raw -c 1024 --rolling', 'comparable across tokenizers'],
  ],
  async run(options, io) {
    if (options.rolling && (options.stride !== undefined || options.chunks !== undefined)) {
      throw new UsageError([
        '--rolling scores the whole text in its own way, expected neither --stride nor --chunks with it',
      ]);
    }
    if (options.stride !== undefined && options.stride > options.context) {
      throw new UsageError([`--stride is ${options.stride}, expected at most --context, ${options.context}`]);
    }
    const text = options.file === undefined ? await readAll(io) : readFileSync(options.file, 'utf8');
    const model = await loadModel(options, io);
    try {
      const { tokenizer } = model;
      const bos = options.bos && tokenizer.addBos && tokenizer.bosId !== null;
      const ids = tokenizer.encode(text, { bos });
      if (options.rolling) {
        await rolling(model, text, ids, options, io);
        return;
      }
      const all =
        options.stride === undefined
          ? halfScoredWindows(ids, options.context, bos ? tokenizer.bosId : null)
          : overlappingWindows(ids, options.context, options.stride);
      const windows = all.slice(0, options.chunks);
      const progress = startProgress(io, { what: 'perplexity', total: windows.length, json: options.json });
      const result = await perplexity(
        windows,
        byScoring((context, continuations) => model.score(context, continuations, { signal: io.signal })),
        (done, soFar) => progress.update(done, soFar.perplexity.toFixed(3)),
      );
      progress.end();
      if (options.json) {
        const { context, stride = null } = options;
        writeJson(io.stdout, {
          model: resolveModel(options.model),
          ...result,
          context,
          stride,
          textTokens: ids.length,
        });
      } else {
        const { perplexity: value, error, tokens, windows: count } = result;
        writeLine(io.stdout, `${value.toFixed(4)} ± ${error.toFixed(4)}  (${tokens} tokens of ${count} windows)`);
      }
    } finally {
      await model.close();
    }
  },
});

/** Words, bytes and bits of the whole text. */
async function rolling(
  model: Llama,
  text: string,
  ids: Uint32Array,
  {
    context,
    json,
    model: name,
  }: { readonly context: number; readonly json: boolean; readonly model: string | undefined },
  io: Io,
): Promise<void> {
  const { bosId } = model.tokenizer;
  if (bosId === null || ids.length === 0) {
    const found = bosId === null ? 'a model without a beginning token' : 'an empty text';
    throw new UsageError([
      `--rolling scores every token after the one before it: expected a text and a first token, found ${found}`,
    ]);
  }
  const windows = rollingWindows(ids, bosId, context);
  const progress = startProgress(io, { what: 'perplexity', total: windows.length, json });
  let logLikelihood = 0;
  for (const [i, window] of windows.entries()) {
    const [score] = await model.score(window.context, [window.continuation], { signal: io.signal });
    logLikelihood += score!.logLikelihood;
    progress.update(i + 1);
  }
  progress.end();
  const result = rollingMetrics([{ text, logLikelihood }]);
  if (json) {
    writeJson(io.stdout, {
      model: resolveModel(name),
      ...result,
      tokens: ids.length,
      windows: windows.length,
      context,
    });
    return;
  }
  const { wordPerplexity, bytePerplexity, bitsPerByte } = result;
  writeLine(
    io.stdout,
    `word ${wordPerplexity.toFixed(4)}  byte ${bytePerplexity.toFixed(4)}  bits per byte ${bitsPerByte.toFixed(4)}  (${ids.length} tokens in ${windows.length} windows)`,
  );
}
