/** The server without a port: `import { handler } from 'cria/server'`. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { ArgumentError } from '../../../base/errors.ts';
import { nearestNames } from '../../../base/nearest.ts';
import type { Pooling } from '../../../inference/reading/embedding.ts';
import type { RemoteModel } from '../../../inference/remote/model.ts';
import { onlyModel } from '../../../server/models/only-model.ts';
import { createApp } from './app.ts';
import { createCore, createShared } from './core.ts';
import { serveDefaults } from './defaults.ts';
import type { Log, RequestLine } from './log.ts';
import { packageVersion } from './version.ts';

export interface HandlerOptions {
  /** What the paths of all endpoints begin with where the program around does not take it away: '/api' for a route of Next. */
  readonly basePath?: string;
  /** The name under which the model is served; absent: its file's name. */
  readonly modelId?: string;
  /** Other names under which it may be asked for. */
  readonly aliases?: readonly string[];
  /** Whatever model is asked for, this one answers. */
  readonly anyModel?: boolean;
  /** A max_tokens for which the context has no room is refused; otherwise the answer ends there. */
  readonly refuseBeyondContext?: boolean;
  /** A built-in chat template's name or Jinja text; absent: the model's own, and without one `plain`, which goes on with texts. */
  readonly template?: string;
  /** Which states an embedding is made of; absent: all, their mean. */
  readonly pooling?: Pooling;
  /** Answers that may run or wait at the same time; one more is refused with a 503. */
  readonly queue?: number;
  /** How long one may wait for its place in a batch. */
  readonly queueSeconds?: number;
  /** Seconds after which an answer ends where it is. */
  readonly timeLimitSeconds?: number;
  /** Seconds that the reading of one request may take: its texts, template and schemas. */
  readonly readSeconds?: number;
  /** How long a client may take nothing of a stream. */
  readonly stallSeconds?: number;
  /** Largest request body. */
  readonly bodyBytes?: number;
  /** One of these must be sent as `Authorization: Bearer`; absent: everyone may ask whom the program around lets in. */
  readonly apiKeys?: readonly string[];
  /** Other sites' pages that may ask; '*' is any. */
  readonly corsOrigins?: readonly string[];
  /** Hears of every request when it has been answered. Absent: nobody does, and our own mistakes go to console.error. */
  readonly onRequest?: (line: RequestLine, error?: unknown) => void;
}

/** Answers a request, as Bun.serve, Deno.serve, Hono and Next's route handlers call it. */
export type Handler = (request: Request) => Promise<Response>;

const knownOptions: readonly string[] = [
  'basePath',
  'modelId',
  'aliases',
  'anyModel',
  'refuseBeyondContext',
  'template',
  'pooling',
  'queue',
  'queueSeconds',
  'timeLimitSeconds',
  'readSeconds',
  'stallSeconds',
  'bodyBytes',
  'apiKeys',
  'corsOrigins',
  'onRequest',
] satisfies (keyof HandlerOptions)[];

/**
 * Every endpoint of `cria serve` (docs/serve.md) but its chat page, as a function from Request to Response. The model may still be
 * loading: requests wait for it. Closing the model is up to the caller. Who may call, and under which names, is up to the program
 * around it, or to `apiKeys`.
 * Throws ArgumentError `handler.options`.
 */
export function handler(model: RemoteModel | Promise<RemoteModel>, options: HandlerOptions = {}): Handler {
  checkOptions(options);
  let app: ReturnType<typeof appOf> | null = null;
  return async (request: Request, bindings?: unknown) => {
    app ??= appOf(await model, options);
    return app.fetch(request, isNode(bindings) ? bindings : {});
  };
}

/**
 * A handler as Node's http servers and Express call it: `createServer(nodeListener(handle))`, `app.use('/llm', nodeListener(handle))`.
 * It reads the request's body itself: put it before middleware that does.
 */
export function nodeListener(handle: Handler): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const listen = getRequestListener(handle, { overrideGlobalObjects: false });
  return async (request, response) => void (await listen(request, response));
}

function appOf(model: RemoteModel, options: HandlerOptions) {
  const { basePath = '', onRequest } = options;
  const { queue, ...defaults } = serveDefaults;
  const settings = {
    ...defaults,
    modelId: model.facts.name.replace(/\.(gguf|safetensors|bin)$/i, ''),
    template: undefined,
    queue: defaults.parallel + queue,
    apiKeys: [],
    corsOrigins: [],
    ...given(options),
    basePath: basePath.replace(/\/$/, ''),
    host: null,
    page: false,
    version: packageVersion(),
  };
  const shared = createShared();
  const models = onlyModel(createCore(shared, model, settings, settings.queue));
  const house = { ...shared, models, version: settings.version };
  return createApp(house, settings, onRequest ? told(onRequest) : faultsOnly);
}

/** The options that are there: an undefined one is as good as absent. */
function given<Options extends object>(options: Options): Options {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Options;
}

const told = (onRequest: NonNullable<HandlerOptions['onRequest']>): Log => ({
  info: () => {},
  request: onRequest,
  body: () => {},
});

const faultsOnly = told(({ id, path, status }, error) => {
  if (status >= 500 && status !== 503) console.error(`cria: request ${id} of ${path} failed:`, error);
});

/** What Node's adapter gives beside the request; other runtimes give other things. */
function isNode(bindings: unknown): bindings is HttpBindings {
  return typeof bindings === 'object' && bindings !== null && 'outgoing' in bindings;
}

function checkOptions(options: HandlerOptions): void {
  const problems = Object.keys(options).flatMap((name) => {
    if (knownOptions.includes(name)) return [];
    const [near] = nearestNames(name, knownOptions, 1);
    return [`${name} is not an option${near === undefined ? '' : ` (did you mean ${near}?)`}`];
  });
  const { basePath } = options;
  if (basePath !== undefined && basePath !== '' && !/^\/[^?#*:]*$/.test(basePath)) {
    problems.push(`basePath is ${JSON.stringify(basePath)}, expected a path as in "/api"`);
  }
  for (const name of [
    'queue',
    'queueSeconds',
    'timeLimitSeconds',
    'readSeconds',
    'stallSeconds',
    'bodyBytes',
  ] as const) {
    const value = options[name];
    if (value !== undefined && !(value > 0)) problems.push(`${name} is ${String(value)}, expected a number above 0`);
  }
  if (options.apiKeys?.some((key) => key === '')) problems.push('apiKeys holds an empty key');
  if (problems.length === 0) return;
  throw new ArgumentError(
    'handler.options',
    `handler: ${problems.join('; ')}. The options are ${knownOptions.join(', ')}.`,
  );
}
