import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CriaError, UsageError } from '../../base/errors.ts';
import { print, terminalScenes } from '../../explorer/terminal/print.ts';
import { reportOf } from '../../explorer/terminal/report.ts';
import { languageNames, languageOf, languages } from '../../explorer/words/words.ts';
import { samplingOptions } from '../../inference/sampler/options.ts';
import type { Llama } from '../../platform/node/index.ts';
import { makeFolder } from '../../platform/node/make-folder.ts';
import { serveDefaults } from '../../platform/node/serve/defaults.ts';
import { createLog } from '../../platform/node/serve/log.ts';
import { explorerFiles } from '../../platform/node/serve/page.ts';
import { startServer } from '../../platform/node/serve/server.ts';
import { packageVersion } from '../../platform/node/serve/version.ts';
import { formatState, initial, type State } from '../../web/explore/state.ts';
import { defineCommand } from '../command.ts';
import { type Io, readAll, writeJson, writeLine } from '../io.ts';
import { loadModel } from '../load-model.ts';
import { looksLikeModel, resolveModel } from '../model-name.ts';
import { modelOptions } from '../model-options.ts';
import type { Options, OptionTable } from '../option-table.ts';

const { seed, temperature, topK, topP, minP, typicalP, repeatPenalty } = samplingOptions;

const options = {
  ...modelOptions,
  prompt: { kind: 'text', short: 'p', otherwise: 'standard input', help: 'the text that is walked through' },
  ids: { kind: 'integers', min: 0, help: 'the text as token ids, for a model without a tokenizer' },
  block: { kind: 'integer', min: 0, default: 0, help: 'the block whose numbers are shown' },
  head: { kind: 'integer', min: 0, default: 0, help: 'the head whose attention is shown' },
  scene: { kind: 'choice', values: terminalScenes, otherwise: 'all but the map', help: 'one part only' },
  lang: {
    kind: 'choice',
    values: languageNames,
    otherwise: "the terminal's",
    help: 'the language of the explanations',
  },
  web: {
    kind: 'flag',
    help: 'open a page on this machine in place of the terminal: every scene, with pictures. Without a text at a terminal, too',
  },
  port: { kind: 'integer', min: 0, max: 65535, default: 0, help: 'where the page is served; 0 takes a free one' },
  save: {
    kind: 'text',
    value: 'FOLDER',
    help: 'write the page there as files, with the bundled model or the GGUF file that is named, for any web server',
  },
  color: { kind: 'flag', default: true, help: 'plain text' },
  json: { kind: 'flag', help: 'the numbers as one JSON object' },
  seed: { ...seed, default: 0, min: 0, help: 'random numbers start here' },
  temperature,
  topK,
  topP,
  minP,
  typicalP,
  repeatPenalty,
} as const satisfies OptionTable;

export const command = defineCommand({
  options,
  positionals: ['model', 'prompt'],
  endsByInterrupt: true,
  placeWords: ([word, ...more], free) =>
    word !== undefined && more.length === 0 && free.includes('prompt') && !looksLikeModel(word) ? ['prompt'] : free,
  details:
    'Prints how the next token comes about, in ten steps from text to choice, with the numbers of this model: tokens, shapes and corners of every matrix, ' +
    'the attention of one head, the length of the stream, the cache, the likeliest tokens and what each sampler leaves. ' +
    'With --web fourteen scenes show the same numbers as pictures, in English and Korean.',
  examples: [
    ['explore "The cat sat on the mat"', 'the walk with the bundled model'],
    ['explore model.gguf "The cat" --block 3 --head 5 --scene attention', "one head's attention"],
    ['explore "Once upon a time" --lang ko', 'in Korean'],
    ['explore "Once" --json', 'the numbers for programs'],
    ['explore model.gguf "The cat" --web', 'the page, with this model and text'],
    ['explore --save site', 'the page as files: the model then runs in the browser'],
  ],
  async run(options, io) {
    if (options.save !== undefined) {
      savePage(options.save, options.model);
      writeLine(io.stdout, options.save);
      return;
    }
    const asksForPage = options.prompt === undefined && options.ids === undefined && io.stdin.isTTY === true;
    const prompt = options.web || asksForPage ? (options.prompt ?? options.ids ?? null) : await readPrompt(options, io);
    const model = await loadModel(options, io);
    try {
      if (options.web || asksForPage) {
        await servePage(model, textOf(model, prompt), options, io);
        return;
      }
      if (prompt === null)
        throw new UsageError(['a text is missing: give it as a word, with --prompt, or on standard input']);
      const { blockCount, headCount, contextLength } = model.config;
      const problems: string[] = [];
      if (options.block >= blockCount)
        problems.push(`--block ${options.block}: this model has blocks 0 to ${blockCount - 1}`);
      if (options.head >= headCount)
        problems.push(`--head ${options.head}: this model has heads 0 to ${headCount - 1}`);
      const ids = await idsOf(model, prompt);
      if (ids.length === 0) problems.push('the prompt has no tokens: write at least a word');
      if (ids.length > contextLength) {
        problems.push(`the prompt has ${ids.length} tokens, more than this model's context of ${contextLength}`);
      }
      if (problems.length > 0) throw new UsageError(problems);
      const { block, head, scene, seed, temperature, topK, topP, minP, typicalP, repeatPenalty } = options;
      const sampling = { seed, temperature, topK, topP, minP, typicalP, repeatPenalty };
      const report = await reportOf(model, ids, { block, head, sampling });
      if (options.json) {
        writeJson(io.stdout, report);
        return;
      }
      const isTerminal = io.stdout.isTTY === true;
      const { LC_ALL, LC_MESSAGES, LANG, NO_COLOR } = io.env;
      const words = languages[options.lang ?? languageOf([LC_ALL || LC_MESSAGES || LANG || ''])];
      const paper = { width: Math.max(40, io.stdout.columns ?? 100), color: options.color && isTerminal && !NO_COLOR };
      io.stdout.write(print(report, model.config, words, scene ?? null, paper));
    } finally {
      await model.close();
    }
  },
});

/** What the page's address says of the text. Ids are shown as they are where nobody could spell them. */
function textOf(model: Llama, prompt: string | readonly number[] | null): Partial<State> {
  if (prompt === null) return {};
  if (typeof prompt === 'string') return { text: prompt };
  if (!model.hasTokenizer) return { text: prompt.join(' ') };
  const { addBos, bosId } = model.tokenizer;
  if (!addBos || bosId === null) return { text: '', appended: prompt };
  if (prompt[0] === bosId) return { text: '', appended: prompt.slice(1) };
  throw new UsageError([`--ids with --web: this model's texts begin with ${bosId}, found ${prompt[0]}: put it first`]);
}

/** The page and its model on loopback, until Ctrl-C. */
async function servePage(
  model: Llama,
  given: Partial<State>,
  { port, block, head, scene, lang, seed, temperature, topK, topP, minP }: Options<typeof options>,
  io: Io,
): Promise<void> {
  const log = createLog({ write: (line) => void io.stderr.write(line) }, { level: 'error', prompts: false });
  const settings = {
    ...serveDefaults,
    ...{ host: '127.0.0.1', port, apiKeys: [], corsOrigins: [], page: true, modelId: model.facts.name },
    ...{ template: 'plain', connections: 64, drainSeconds: 0, version: packageVersion() },
  };
  const server = await startServer(model, settings, log);
  const chosen = { scene: scene ?? initial.scene, language: lang ?? initial.language };
  const state = formatState({ ...initial, block, head, seed, temperature, topK, topP, minP, ...chosen, ...given });
  writeLine(io.stdout, `${server.url}/explore/${state === '' ? '' : `#${state}`}`);
  await new Promise<void>((done) => {
    if (io.signal.aborted) done();
    else io.signal.addEventListener('abort', () => done(), { once: true });
  });
  await server.close();
}

function savePage(folder: string, model: string | undefined): void {
  const files = explorerFiles();
  if (files.size === 0) {
    throw new CriaError(
      'explore.page',
      'explore: the page is not built in this copy of Cria: run `npm run build:web` once.',
    );
  }
  const path = resolveModel(model);
  if (!path.endsWith('.gguf'))
    throw new UsageError([`--save takes a GGUF file along, found ${path}: \`cria convert\` makes one`]);
  makeFolder(folder);
  for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes);
  copyFileSync(path, join(folder, 'model.gguf'));
  writeFileSync(join(folder, '_headers'), staticHeaders);
}

/** For hosts that read such a file (Netlify, Cloudflare): with these headers the page's model has threads. */
const staticHeaders = '/*\n  Cross-Origin-Opener-Policy: same-origin\n  Cross-Origin-Embedder-Policy: require-corp\n';

async function readPrompt({ prompt, ids }: Options<typeof options>, io: Io): Promise<string | readonly number[]> {
  if (prompt !== undefined && ids !== undefined) throw new UsageError(['--prompt and --ids both give a text']);
  if (ids !== undefined) return ids;
  if (prompt !== undefined) return prompt;
  if (io.stdin.isTTY)
    throw new UsageError(['a text is missing: give it as a word, with --prompt, or on standard input']);
  return readAll(io);
}

async function idsOf(model: Llama, prompt: string | readonly number[]): Promise<Uint32Array> {
  if (typeof prompt !== 'string') return Uint32Array.from(prompt);
  const { tokenizer } = model; // throws for a model without one, in words
  return tokenizer.encode(prompt, { bos: tokenizer.addBos && tokenizer.bosId !== null });
}
