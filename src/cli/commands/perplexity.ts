import { readFileSync } from 'node:fs';
import { UsageError } from '../../base/errors.ts';
import { halfScoredWindows, overlappingWindows, perplexity } from '../../evaluation/perplexity.ts';
import { defineCommand } from '../command.ts';
import { readAll, writeJson, writeLine } from '../io.ts';
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
  ],
  async run(options, io) {
    if (options.stride !== undefined && options.stride > options.context) {
      throw new UsageError([`--stride is ${options.stride}, expected at most --context, ${options.context}`]);
    }
    const text = options.file === undefined ? await readAll(io) : readFileSync(options.file, 'utf8');
    const model = await loadModel(options, io);
    try {
      const { tokenizer } = model;
      const bos = options.bos && tokenizer.addBos && tokenizer.bosId !== null;
      const ids = tokenizer.encode(text, { bos });
      const all =
        options.stride === undefined
          ? halfScoredWindows(ids, options.context, bos ? tokenizer.bosId : null)
          : overlappingWindows(ids, options.context, options.stride);
      const windows = all.slice(0, options.chunks);
      const progress = startProgress(io, { what: 'perplexity', total: windows.length, json: options.json });
      const result = await perplexity(
        windows,
        (window) => {
          io.signal.throwIfAborted();
          return model.logits(window);
        },
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
