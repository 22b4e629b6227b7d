import { UsageError } from '../../base/errors.ts';
import { formatBytes } from '../../base/units.ts';
import { compareLogits, type LogitDifference } from '../../evaluation/logit-difference.ts';
import { Llama } from '../../platform/node/index.ts';
import { defineCommand } from '../command.ts';
import { type Io, writeJson, writeLine } from '../io.ts';
import { dtypeOption, save, saveOptions, sayFallbacks, totals } from '../model/save-model.ts';
import { resolveModel } from '../model-name.ts';
import { modelOption, openOptions, openOptionsOf } from '../model-options.ts';
import { adapterOption, parseAdapter } from '../parse/adapter-option.ts';

export const command = defineCommand({
  options: {
    model: { ...modelOption, required: true },
    adapter: { ...adapterOption, required: true },
    ...saveOptions,
    dtype: { ...dtypeOption, otherwise: '16 bits: bf16 and f32 stay, all other types become f16' },
    ...openOptions,
    proof: { kind: 'flag', default: true, help: 'do not compare the merged model with model and adapter' },
  },
  positionals: ['model', 'output'],
  details:
    'Adds adapters (LoRA, rsLoRA, DoRA; PEFT or GGUF) to the weights of a model and writes the sum, which needs no adapter any more.\n' +
    'A quantized model is decoded first: what an adapter was trained on is what the quantized weights stand for. Rounding the sum to few\n' +
    'bits again takes a part of the correction away; the proof says how much: the logits of model and adapter beside those of what was\n' +
    'written, on one batch of tokens.',
  examples: [
    ['merge model.gguf --adapter my-lora -o merged.gguf', 'a PEFT adapter into 16 bits'],
    ['merge model-hf --adapter lora.gguf:0.7 -o merged-q4.gguf --dtype q4_k_m', 'seven tenths of it, quantized again'],
  ],
  async run(options, io) {
    if (options.adapter.length === 0) throw new UsageError(['--adapter is missing: expected the path of an adapter']);
    const path = resolveModel(options.model);
    const adapters = options.adapter.map(parseAdapter);
    const open = openOptionsOf(options);
    const source = {
      kind: 'checkpoint',
      path,
      open,
      adapters: adapters.map(({ path, scale }) => ({ path, scale })),
    } as const;
    const tensors = await save('merging', { source, dtype: options.dtype, measure: false }, options, io);
    sayFallbacks('merge', tensors, io);
    const difference = options.proof ? await prove(path, adapters, options, io) : null;
    const { bytes, parameters, bitsPerWeight } = totals(tensors);
    if (options.json) {
      const names = adapters.map(({ name, path: from, scale }) => ({ name, path: from, scale }));
      writeJson(io.stdout, {
        model: path,
        adapters: names,
        output: options.output,
        parameters,
        bytes,
        bitsPerWeight,
        proof: difference,
      });
      return;
    }
    writeLine(
      io.stdout,
      `${options.output}: ${tensors.length} tensors, ${formatBytes(bytes)}, ${bitsPerWeight.toFixed(2)} bits per weight`,
    );
    if (difference) for (const line of sayDifference(difference)) writeLine(io.stdout, line);
  },
});

/** Logits with the adapters on, without them, and of what was written, on the same tokens. */
async function prove(
  path: string,
  adapters: readonly ReturnType<typeof parseAdapter>[],
  options: { readonly output: string; readonly threads: number | undefined } & Parameters<typeof openOptionsOf>[0],
  io: Io,
): Promise<LogitDifference> {
  const common = { signal: io.signal, ...(options.threads !== undefined && { threads: options.threads }) };
  const logitsOf = async (place: string, more: object) => {
    const model = await Llama.load(place, { ...common, ...more });
    try {
      const ids = probeIds(model);
      return { logits: await model.logits(ids), vocabSize: model.config.vocabSize };
    } finally {
      await model.close();
    }
  };
  const named = adapters.map(({ path: source, scale }, i) => ({ source, scale, name: String(i) }));
  const open = openOptionsOf(options);
  const { logits: plain, vocabSize } = await logitsOf(path, open);
  const { logits: adapted } = await logitsOf(path, { ...open, adapters: named });
  const { logits: merged } = await logitsOf(options.output, {});
  return compareLogits(adapted, merged, plain, vocabSize);
}

function sayDifference(d: LogitDifference): string[] {
  const digits = (x: number) => (x === 0 ? '0' : x.toPrecision(3));
  const isDrowned = d.keptShare < 0.9;
  const advice =
    'rounding took much of the correction away: write 16 bits (without --dtype), or use the adapter itself (--adapter)';
  return [
    `proof on ${d.tokens} tokens: the logits of model + adapter and of the merged model differ by ${digits(d.rms)} (root of the mean square), at most ${digits(d.largest)};`,
    `the adapter itself changes them by ${digits(d.adapterRms)}, so ${(100 * d.keptShare).toFixed(1)} % of its work is kept; the same token is likeliest at ${d.sameTop} of ${d.tokens} places`,
    ...(isDrowned ? [advice] : []),
  ];
}

const PROBE_TOKENS = 64;

/** A text that any vocabulary has tokens for, or, without a tokenizer, ids from all over the vocabulary. */
function probeIds(model: Llama): Uint32Array {
  const { vocabSize, contextLength } = model.config;
  const count = Math.min(PROBE_TOKENS, contextLength, model.contextLength);
  const words =
    'Once upon a time a llama lived on a mountain. It asked: what is 12 + 30? "That is 42," said the fox, and went home by the river. ';
  const ids = model.hasTokenizer ? model.tokenizer.encode(words.repeat(4), { bos: model.tokenizer.addBos }) : null;
  if (ids && ids.length >= count) return ids.slice(0, count);
  return Uint32Array.from({ length: count }, (_, i) => (i * 7919) % vocabSize);
}
