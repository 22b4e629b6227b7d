import { mkdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { UsageError } from '../../base/errors.ts';
import { harmlessJson } from '../../base/harmless.ts';
import { parseBytes } from '../../base/units.ts';
import { poolings } from '../../inference/reading/embedding.ts';
import { describeMachine } from '../../platform/node/machine.ts';
import { isLoopback } from '../../platform/node/serve/access.ts';
import { serveDefaults } from '../../platform/node/serve/defaults.ts';
import { createLog, type Log, logLevels } from '../../platform/node/serve/log.ts';
import { type RunningServer, type ServeSettings, startServer, startShelf } from '../../platform/node/serve/server.ts';
import { packageVersion } from '../../platform/node/serve/version.ts';
import { templateOf as templateFor } from '../../server/template.ts';
import type { ServerSettings } from '../../server/world.ts';
import { builtInTemplates } from '../../tokenizer/chat/built-in-templates.ts';
import { defineCommand } from '../command.ts';
import { type Io, writeLine } from '../io.ts';
import { loadModel } from '../load-model.ts';
import { type ModelWord, modelsOption, parseModelWord, usualName } from '../model/model-words.ts';
import { openShelf } from '../model/shelf.ts';
import { resolveModel } from '../model-name.ts';
import { cacheDirOptions, draftOption, modelOptions } from '../model-options.ts';
import type { Options, OptionTable } from '../option-table.ts';

const MIB = 1 << 20;

const options = {
  ...modelOptions,
  model: modelsOption,
  memory: {
    kind: 'text',
    value: 'BYTES',
    otherwise: "with several models three quarters of the machine's",
    help: 'as in 12GiB: what models in memory may take together, weights and caches; the one that was not used for longest goes',
    check: (text: string) => (parseBytes(text) ? null : 'expected an amount as in 12GiB'),
  },
  draft: draftOption,
  ...cacheDirOptions,
  host: {
    kind: 'text',
    default: '127.0.0.1',
    help: 'where to listen; 0.0.0.0 is every network of this machine, :: also those of IPv6',
  },
  port: { kind: 'integer', min: 0, max: 65535, default: 8080, help: 'where to listen; 0 takes a free one' },
  socket: { kind: 'text', value: 'PATH', help: 'listen on a Unix socket, instead of host and port' },
  allowHost: {
    kind: 'texts',
    default: [],
    value: 'NAME',
    help: 'another name under which the server may be called, as of a proxy that passes its own on; * is any',
  },
  basePath: {
    kind: 'text',
    default: '',
    value: '/PATH',
    help: 'what all addresses begin with, behind a proxy that does not take it away',
  },
  tlsCert: { kind: 'text', value: 'FILE', help: "answer over TLS: the server's certificate, in PEM, with --tls-key" },
  tlsKey: { kind: 'text', value: 'FILE', help: "the certificate's key, in PEM" },
  apiKey: {
    kind: 'texts',
    default: [],
    value: 'KEY',
    help: 'answer only who sends this key as Authorization: Bearer',
  },
  modelId: {
    kind: 'text',
    otherwise: "the file's or folder's name",
    help: 'the name under which the model is served',
  },
  alias: { kind: 'texts', default: [], value: 'NAME', help: 'another name under which the model may be asked for' },
  anyModel: { kind: 'flag', help: 'whatever model is asked for, this one answers' },
  refuseBeyondContext: {
    kind: 'flag',
    help: 'refuse a max_tokens for which the context has no room, instead of ending there',
  },
  template: {
    kind: 'text',
    value: 'NAME|FILE',
    otherwise: "the model's own; without one, plain",
    help: `chat template: ${Object.keys(builtInTemplates).join(', ')}, or a file of Jinja`,
  },
  parallel: {
    kind: 'integer',
    min: 1,
    max: 1024,
    default: serveDefaults.parallel,
    help: 'answers computed at the same time',
  },
  cacheTokens: {
    kind: 'integer',
    min: 1,
    otherwise: 'a context for each answer, as far as half a GiB goes; at least one',
    help: 'tokens that the cache holds, of all answers together',
  },
  queue: {
    kind: 'integer',
    min: 0,
    default: serveDefaults.queue,
    help: 'answers that may wait; more are refused at once',
  },
  queueSeconds: { kind: 'number', min: 0, default: serveDefaults.queueSeconds, help: 'how long one may wait' },
  timeLimit: {
    kind: 'number',
    min: 1,
    default: serveDefaults.timeLimitSeconds,
    help: 'seconds after which an answer ends where it is',
  },
  readSeconds: {
    kind: 'number',
    min: 0.1,
    default: serveDefaults.readSeconds,
    help: 'how long the reading of one request (its texts, template and schemas) may take',
  },
  slotSavePath: {
    kind: 'text',
    value: 'FOLDER',
    help: 'where POST /slots/{id}?action=save and restore keep what was read and written; absent: nowhere',
  },
  props: {
    kind: 'flag',
    help: 'answer POST /props, which llama-server refuses without it too; no property can be changed yet',
  },
  stallSeconds: {
    kind: 'number',
    min: 1,
    default: serveDefaults.stallSeconds,
    help: 'let a client go that takes nothing for this long',
  },
  drainSeconds: { kind: 'number', min: 0, default: 30, help: 'how long answers may go on after SIGTERM or Ctrl-C' },
  bodyMib: {
    kind: 'number',
    min: 0.001,
    default: serveDefaults.bodyBytes / MIB,
    help: 'largest request body, in MiB',
  },
  connections: { kind: 'integer', min: 1, default: 1024, help: 'clients that may be connected' },
  corsOrigin: { kind: 'texts', default: [], value: 'ORIGIN', help: "another site's pages may ask; * is any site" },
  pooling: {
    kind: 'choice',
    values: poolings,
    default: serveDefaults.pooling,
    help: 'which state an embedding is made of',
  },
  page: { kind: 'flag', default: true, help: 'no chat page and no explorer' },
  logLevel: { kind: 'choice', values: logLevels, default: 'info', help: 'what goes to stderr, as JSON lines' },
  logPrompts: { kind: 'flag', help: 'what people write to the model goes to the log too' },
} as const satisfies OptionTable;

export const command = defineCommand({
  options,
  positionals: ['model'],
  endsByInterrupt: true,
  details:
    "Serves OpenAI's endpoints (/v1/chat/completions, /v1/completions, /v1/embeddings, /v1/models), llama-server's /tokenize, " +
    '/detokenize and /apply-template, /health, /metrics and /openapi.json, a chat page at / and the explorer at /explore. ' +
    'Requests share batches and the beginnings of their prompts; none changes the text of another.',
  examples: [
    ['serve model.gguf', 'the API and the chat page at http://127.0.0.1:8080'],
    ['serve model.gguf --host 0.0.0.0 --api-key "$KEY"', 'for other machines, with a key'],
    ['serve model.gguf --socket /run/cria.sock', 'for a proxy on the same machine'],
    ['serve -m a.gguf -m b=hf:owner/repo:Q4_K_M --memory 12GiB', 'several models, each in memory when it is asked for'],
  ],
  async run(options, io) {
    const { host, apiKey: apiKeys } = options;
    if (apiKeys.some((key) => key === '')) throw new UsageError(['--api-key is empty, expected a key']);
    const words = options.model.map(parseModelWord);
    const [only, ...others] = words.length === 0 ? [parseModelWord('bundled')] : words;
    const isOne = others.length === 0 && options.memory === undefined;
    const settings = {
      ...options,
      apiKeys,
      aliases: options.alias,
      corsOrigins: options.corsOrigin,
      allowHosts: options.allowHost,
      basePath: basePathOf(options.basePath),
      tls: tlsOf(options),
      slotSavePath: folderOf(options.slotSavePath),
      template: options.template === undefined ? undefined : templateOf(options.template),
      timeLimitSeconds: options.timeLimit,
      bodyBytes: Math.floor(options.bodyMib * MIB),
      version: packageVersion(),
    };
    const log = createLog(
      { write: (line) => void io.stderr.write(harmlessJson(line)) },
      { level: options.logLevel, prompts: options.logPrompts },
    );
    const start = isOne ? startOne(only!, settings, log, io) : startSeveral([only!, ...others], settings, log, io);
    const { server, close, facts } = await start;
    try {
      writeLine(io.stdout, server.url);
      if (!isLoopback(host) && options.socket === undefined && apiKeys.length === 0) {
        writeLine(io.stderr, `cria serve: everyone who reaches ${host} may ask: there is no --api-key`);
      }
      log.info('listening', { url: server.url, ...facts });
      await new Promise<void>((done) => {
        if (io.signal.aborted) done();
        else io.signal.addEventListener('abort', () => done(), { once: true });
      });
      log.info('closing', { answers: server.models.list().reduce((sum, { users }) => sum + users, 0) });
      await server.close();
    } finally {
      await close();
    }
  },
});

interface Started {
  readonly server: RunningServer;
  /** For the log. */
  readonly facts: object;
  close(): Promise<void>;
}

type Given = Options<typeof options> &
  Omit<ServeSettings & ServerSettings, 'modelId'> & { readonly modelId: string | undefined };

async function startOne(word: ModelWord, settings: Given, log: Log, io: Io): Promise<Started> {
  if (word.name !== null && settings.modelId !== undefined) {
    throw new UsageError(['--model-id and NAME= in -m say the same: give one of them']);
  }
  const adapter = [...settings.adapter, ...word.adapter];
  const given = {
    ...settings,
    model: word.model,
    adapter,
    draft: word.draft.length > 0 ? word.draft : settings.draft,
    context: word.context ?? settings.context,
    maxSequences: settings.parallel,
    // With several adapters a request says which; with one, who says nothing means it.
    adaptersAreUsual: adapter.length === 1,
  };
  const model = await loadModel(given, io);
  try {
    const wanted = word.template === undefined ? settings.template : templateOf(word.template);
    if (wanted === undefined && templateFor(model, wanted) === 'plain') {
      writeLine(
        io.stderr,
        'cria serve: this model has no chat template: messages are joined to one text, which it goes on with. ' +
          `If it was made for conversations, choose --template ${Object.keys(builtInTemplates).join(', ')} or a file.`,
      );
    }
    const modelId = word.name ?? settings.modelId ?? usualName(word.model, resolveModel(word.model));
    const aliases = [...settings.aliases, ...word.alias];
    const pooling = word.pooling ?? settings.pooling;
    const server = await startServer(model, { ...settings, modelId, aliases, pooling, template: wanted }, log);
    return { server, facts: { model: modelId, device: model.facts.device }, close: () => model.close() };
  } catch (error) {
    await model.close();
    throw error;
  }
}

async function startSeveral(words: readonly ModelWord[], settings: Given, log: Log, io: Io): Promise<Started> {
  const problems = [
    ...(settings.adapter.length > 0 ? ['--adapter: say which model it is for, as in -m NAME=MODEL,adapter=PATH'] : []),
    ...(settings.alias.length > 0 ? ['--alias: say which model it is for, as in -m NAME=MODEL,alias=NAME'] : []),
    ...(settings.modelId === undefined ? [] : ['--model-id: name each model, as in -m NAME=MODEL']),
  ];
  if (problems.length > 0) throw new UsageError(problems);
  const options = { ...settings, maxSequences: settings.parallel };
  const faces = await openShelf(words, options, { ...settings, modelId: '', aliases: [] }, templateOf, io);
  const memoryBytes =
    settings.memory === undefined ? Math.floor(describeMachine().memoryBytes * 0.75) : parseBytes(settings.memory)!;
  const server = await startShelf(faces, { ...settings, memoryBytes }, log);
  const facts = { models: faces.map((face) => face.settings.modelId), memoryBytes };
  return { server, facts, close: async () => {} };
}

function tlsOf({ tlsCert: cert, tlsKey: key }: { tlsCert: string | undefined; tlsKey: string | undefined }) {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw new UsageError(['--tls-cert and --tls-key: expected both, or neither']);
  }
  return { cert, key };
}

/** The folder is made where it is not there yet. */
function folderOf(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    throw new UsageError([`--slot-save-path is no folder that can be made: ${(error as Error).message}`]);
  }
  return resolve(path);
}

function basePathOf(path: string): string {
  if (!/^(?:|\/[^?#*:\s]*)$/.test(path)) {
    throw new UsageError([`--base-path is ${JSON.stringify(path)}, expected a path as in /llm`]);
  }
  return path.replace(/\/+$/, '');
}

function templateOf(name: string): string {
  if (!/[./\\]/.test(name)) return name;
  try {
    return readFileSync(name, 'utf8');
  } catch (error) {
    throw new UsageError([`--template names no file that can be read: ${(error as Error).message}`]);
  }
}
