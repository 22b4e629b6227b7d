/**
 * What guessing ahead saves: the same text, decoded token by token and with guesses, taking turns round by round, so that whatever else
 * the machine does hits both. The text is given (a constraint lets only its next token be picked), so that a model of any size with
 * random weights writes what a good one would: an edited file, lines out of a table, or something new.
 *
 *   node bench/speculative.ts -m model.gguf [--draft small.gguf] -t 2 -n 192 -r 3 [--texts edit,extract]
 *
 * Prints tokens a second and ratios of medians. `own`: what the model itself writes, sampled, for which a trained draft is worth trying.
 */
import { readFileSync } from 'node:fs';
import { parse } from '../src/cli/parse/parse.ts';
import { markdownTable } from '../src/cli/terminal/columns.ts';
import type { Constraint } from '../src/inference/constraint.ts';
import { Engine } from '../src/inference/engine.ts';
import type { GenerationResult } from '../src/inference/generation.ts';
import { loadDraft } from '../src/inference/remote/draft.ts';
import { loadSettings } from '../src/inference/remote/load.ts';
import { kvTypeOf } from '../src/inference/remote/load-defaults.ts';
import type { DraftModel } from '../src/inference/speculation/draft-model.ts';
import { Speculation } from '../src/inference/speculation/speculation.ts';
import { loadModel, prepareModel, weightsOf } from '../src/model/model.ts';
import { createDevice } from '../src/platform/node/engine/devices.ts';
import { openCheckpointAt } from '../src/platform/node/files.ts';
import { createTokenizer } from '../src/tokenizer/create-tokenizer.ts';
import { median } from './report.ts';

const { options, problems } = parse(
  {
    options: {
      model: { kind: 'text', short: 'm', required: true, help: 'a GGUF file with a tokenizer' },
      draft: { kind: 'text', help: 'a smaller model, for rows with it' },
      tokens: { kind: 'integer', short: 'n', min: 16, default: 192, help: 'tokens of each text' },
      threads: { kind: 'integer', short: 't', min: 1, default: 2, help: 'threads that compute' },
      texts: { kind: 'text', help: 'of edit, extract, new and own, with commas between; all without it' },
      repetitions: { kind: 'integer', short: 'r', min: 1, default: 3, help: 'rounds' },
    },
    positionals: ['model'],
  },
  process.argv.slice(2),
  {},
);
if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(2);
}

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const code = read('src/inference/batch-builder.ts');
const rows = Array.from(
  { length: 40 },
  (_, i) => `${1000 + 37 * i} | customer ${(i * 7919) % 1000} | ${(i * 31) % 97}.50`,
);
/** What is read, and what is then written. */
const tasks: Readonly<Record<string, { readonly prompt: string; readonly text: string | null }>> = {
  edit: { prompt: code, text: code.replaceAll('rowCount', 'lineCount').replaceAll('wanted', 'asked') },
  extract: { prompt: rows.join('\n'), text: rows.filter((_, i) => i % 3 === 0).join('\n') },
  new: { prompt: code, text: read('docs/finetuning.md') },
  own: { prompt: 'Once upon a time', text: null },
};

/** Lets only the next token of a text be picked. */
class Given implements Constraint {
  private readonly ids: Uint32Array;
  private at = 0;
  constructor(ids: Uint32Array) {
    this.ids = ids;
  }
  mask(logits_V: Float64Array): void {
    const id = this.ids[this.at]!;
    const logit = logits_V[id]!;
    logits_V.fill(Number.NEGATIVE_INFINITY);
    logits_V[id] = logit;
  }
  accept(): void {
    this.at++;
  }
}

const checkpoint = openCheckpointAt(options.model!);
const small = options.draft === undefined ? null : openCheckpointAt(options.draft);
const tokenizer = createTokenizer(checkpoint.tokenizer!, { vocabSize: checkpoint.config.vocabSize });
const device = await createDevice(loadSettings({ threads: options.threads }));
await prepareModel(device, checkpoint.config, checkpoint.tensors, small ? weightsOf(small.config, small.tensors) : []);
const model = loadModel(device, checkpoint.config, checkpoint.tensors);
const contextLength = Math.min(checkpoint.config.contextLength, 4096);
const clock = () => performance.now();
const engine = new Engine({
  model,
  device,
  tokenizer,
  contextLength,
  kvType: kvTypeOf(checkpoint),
  cacheTokens: 2 * contextLength,
  clock,
  drawSeed: () => 1,
});
const ahead: DraftModel | null =
  small && loadDraft(device, small, { checkpoint, tokenizer, contextLength, cacheTokens: contextLength });
const guessers = {
  ngram: new Speculation({ lookUp: true, clock }),
  ...(ahead && { draft: new Speculation({ lookUp: false, draft: ahead, clock }) }),
  ...(ahead && { both: new Speculation({ lookUp: true, draft: ahead, clock }) }),
};

async function write(prompt: Uint32Array, text: Uint32Array | null, guesser: Speculation | null, seed: number) {
  if (guesser) engine.guessBy(guesser);
  let result: GenerationResult | undefined;
  const listener = {
    piece: () => {},
    done: (done: GenerationResult) => {
      result = done;
    },
    failed: (error: unknown) => {
      throw error;
    },
  };
  const maxTokens = text ? text.length : options.tokens!;
  const limits = { maxTokens, seed, ignoreEos: text === null, ...(guesser === null && { draftMax: 0 }) };
  engine.submit(prompt, limits, listener, { constraint: text && new Given(text) });
  while (await engine.step());
  return result!;
}

const lines: string[][] = [];
const chosen = options.texts?.split(',') ?? Object.keys(tasks);
for (const name of chosen) {
  const { prompt, text } = tasks[name]!;
  const most = contextLength - options.tokens! - 2;
  const promptIds = tokenizer.encode(prompt, { bos: tokenizer.addBos }).slice(0, most);
  const ids = text === null ? null : tokenizer.encode(text).slice(0, options.tokens);
  const modes: [string, Speculation | null][] = [['none', null], ...Object.entries(guessers)];
  const rates = new Map<string, number[]>(modes.map(([mode]) => [mode, []]));
  const right = new Map<string, string>();
  for (let round = 0; round <= options.repetitions!; round++) {
    const texts = new Set<string>();
    for (const [mode, guesser] of modes) {
      const result = await write(promptIds, ids, guesser, round + 1);
      texts.add(result.ids.join());
      const { predicted_per_second, draft_n = 0, draft_n_accepted = 0 } = result.timings;
      if (round > 0) rates.get(mode)!.push(predicted_per_second); // the first round warms up
      right.set(mode, mode === 'none' ? '' : `${draft_n_accepted} of ${draft_n}`);
    }
    if (texts.size !== 1) throw new Error(`${name}: guesses have changed the text`);
  }
  for (const [mode, samples] of rates) {
    const ratio = median(samples) / median(rates.get('none')!);
    lines.push([name, mode, median(samples).toFixed(1), `${ratio.toFixed(2)} ×`, right.get(mode)!]);
  }
}
const count = `${checkpoint.name}${small ? `, draft ${small.name}` : ''}, ${options.threads} threads, ${options.tokens} tokens, ${options.repetitions} rounds`;
console.log(count);
console.log(markdownTable([['text', 'guesses', 'tokens/s', 'of none', 'right'], ...lines], [2, 3, 4]));
device.close();
