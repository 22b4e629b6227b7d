/** The wire: routes, access, limits and the log around src/server's endpoints. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { cors } from 'hono/cors';
import { ApiError, toApiError } from '../../../server/api-error.ts';
import { type Endpoint, endpoints } from '../../../server/endpoints/table.ts';
import type { House } from '../../../server/models/models.ts';
import { memberIsTrue, memberNamed } from '../../../server/models/named-in.ts';
import { openApi } from '../../../server/openapi.ts';
import { eventsAfterWaiting, settlesSoon } from '../../../server/reply/waiting.ts';
import type { Reply } from '../../../server/world.ts';
import { hostChecker, keyChecker } from './access.ts';
import { addExplorer } from './explore.ts';
import type { Log } from './log.ts';
import { addPages } from './page.ts';
import { responseOf } from './response.ts';

export interface WireSettings {
  /** Where the server listens; null: somebody else listens, and says under which names it may be called. */
  readonly host: string | null;
  /** Other names under which it may be called; '*' is any. */
  readonly allowHosts?: readonly string[];
  /** What the paths of all endpoints begin with, as in '/api'; absent: nothing. */
  readonly basePath?: string;
  /** One of these is asked for; none: nobody is asked. */
  readonly apiKeys: readonly string[];
  /** Other sites' pages that may ask; '*' is any. */
  readonly corsOrigins: readonly string[];
  readonly bodyBytes: number;
  /** How long a client may take nothing of an answer that is there. */
  readonly stallSeconds: number;
  readonly page: boolean;
}

/** What a body names its model by: all protocols', and Ollama's older one. */
const modelKeys = ['model', 'name'] as const;

/** Bindings are there where Node's own server brings the request. */
export type Wire = { Bindings: Partial<HttpBindings> };

export function createApp(house: House, settings: WireSettings, log: Log): Hono<Wire> {
  const { basePath = '' } = settings;
  const app = new Hono<Wire>({ strict: false }).basePath(basePath);
  const checkHost = settings.host === null ? () => {} : hostChecker(settings.host, settings.allowHosts ?? []);
  const checkKey = settings.apiKeys.length > 0 ? keyChecker(settings.apiKeys) : () => {};

  app.onError((error, c) => refuse(house, log, basePath, c, error));
  app.notFound((c) =>
    refuse(house, log, basePath, c, new ApiError(404, 'not_found', `${c.req.path}: there is nothing here.`)),
  );
  app.use(async (c, next) => {
    checkHost(c.req.header('host'));
    await next();
    c.header('x-content-type-options', 'nosniff');
  });
  if (settings.corsOrigins.length > 0) {
    app.use(cors({ origin: settings.corsOrigins.includes('*') ? '*' : [...settings.corsOrigins] }));
  }
  app.use(
    bodyLimit({
      maxSize: settings.bodyBytes,
      onError: () => {
        throw new ApiError(413, 'body_too_large', `the body is over ${settings.bodyBytes} bytes.`);
      },
    }),
  );
  if (settings.page) {
    addPages(app);
    addExplorer(app, house, settings, async (c) => {
      checkKey(c.req.header('authorization'), c.req.header('x-api-key'));
      return readBody(c, '/explore/call');
    });
  }
  let description: object | null = null;
  app.get('/openapi.json', (c) => c.json((description ??= openApi(house.version, settings.basePath))));

  for (const endpoint of endpoints) {
    app.on(endpoint.method, endpoint.path, async (c) => {
      if (!endpoint.open) checkKey(c.req.header('authorization'), c.req.header('x-api-key'));
      return answer(house, settings, log, endpoint, c);
    });
  }
  for (const path of new Set(endpoints.map((endpoint) => endpoint.path))) {
    const allowed = endpoints.filter((endpoint) => endpoint.path === path).map(({ method }) => method);
    app.all(path, () => {
      throw new ApiError(405, 'method_not_allowed', `${path}: expected ${allowed.join(' or ')}.`, { allow: allowed });
    });
  }
  return app;
}

async function answer(
  house: House,
  settings: WireSettings,
  log: Log,
  endpoint: Endpoint,
  c: Context<Wire>,
): Promise<Response> {
  const { signal } = c.req.raw;
  const notes: Record<string, unknown> = {};
  const started = house.clocks.monotonic();
  const id = house.randomId();
  const parameter = Object.values(c.req.param())[0] ?? '';
  let release = () => {};
  let isOver = false;
  const finish = (status: number, error?: unknown) => {
    isOver = true;
    release();
    house.metrics.requests.add(1, { path: endpoint.path, status });
    const ms = Math.round(house.clocks.monotonic() - started);
    log.request({ id, method: endpoint.method, path: endpoint.path, status, ms, ...notes }, error ?? notes.error);
  };
  let reply: Reply;
  try {
    if (endpoint.answer.of === 'server') {
      reply = await endpoint.answer.run(house, parameter);
    } else {
      if (endpoint.prepare) house.models.check();
      const body = endpoint.prepare && (await readBody(c, endpoint.path));
      if (body) log.body(id, body);
      const { failedEvent } = endpoint;
      const isChosen = body && house.models.choosesByName;
      const inBody = isChosen ? await memberNamed(body, modelKeys, nextTurn) : null;
      const streams = failedEvent && isChosen && (await memberIsTrue(body, 'stream', nextTurn));
      const name = inBody ?? c.req.query('model') ?? null;
      const using = house.models.use(name, signal);
      const { run } = endpoint.answer;
      const replying = using.then(async (use) => {
        release = use.release;
        if (isOver) release(); // the client has gone
        signal.throwIfAborted();
        const { core } = use;
        if (house.models.list().length > 1) notes.model = core.settings.modelId;
        let prepared: unknown;
        if (body) {
          core.gate.check();
          const usualAdapters = core.usualAdapters.scales;
          prepared = await core.preparers.run({ kind: 'request', path: endpoint.path, body, usualAdapters }, signal);
          core.metrics.readSeconds.observe((core.clocks.monotonic() - started) / 1000);
        }
        const call = { signal, notes, query: (name: string) => c.req.query(name) };
        return run(core, call, prepared, parameter);
      });
      if (!streams || (await settlesSoon(using, house.clocks))) reply = await replying;
      else {
        const events = eventsAfterWaiting(replying, {
          waited: () => house.models.waited(name),
          clocks: house.clocks,
          failed(error) {
            notes.error = error;
            return failedEvent(toApiError(error));
          },
        });
        reply = { kind: 'events', events };
      }
    }
  } catch (error) {
    const refused = signal.aborted ? new ApiError(499, 'client_closed_request', 'the client has gone.') : error;
    const { status } = toApiError(refused);
    finish(status, refused);
    return errorResponse(refused, endpoint.path, c.env);
  }
  const headers = { 'x-request-id': id, ...reply.headers };
  const { outgoing } = c.env;
  const response = responseOf(reply, {
    signal,
    stallSeconds: settings.stallSeconds,
    onStall: outgoing && (() => outgoing.destroy()),
    onEnd: (complete) => finish(complete ? 200 : 499),
  });
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  return response;
}

/**
 * JSON that says that it is JSON: a form of another site's page cannot send that without being asked first. Ollama's clients do not say
 * so, nor does curl without a header; from them it is taken where nothing says that a browser sent it for a page. So is nothing at all,
 * which is read as {}.
 */
async function readBody(c: Context<Wire>, path: string): Promise<Uint8Array<ArrayBuffer>> {
  const type = c.req.header('content-type') ?? '';
  const isJson = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type);
  const isPages = c.req.header('origin') !== undefined || c.req.header('sec-fetch-site') !== undefined;
  if (!isJson && (isPages || !(path.startsWith('/api/') || isEmpty(c)))) {
    throw new ApiError(
      415,
      'unsupported_media_type',
      `the body is ${type === '' ? 'of no type' : type}, expected content-type: application/json.`,
    );
  }
  const body = new Uint8Array(await c.req.arrayBuffer());
  return body.length === 0 ? new TextEncoder().encode('{}') : body;
}

function isEmpty({ req, env }: Context<Wire>): boolean {
  const length = req.header('content-length');
  const saysNothing = length === undefined && req.header('transfer-encoding') === undefined;
  return length === '0' || req.raw.body === null || (env.incoming !== undefined && saysNothing);
}

function refuse(house: House, log: Log, basePath: string, c: Context<Wire>, thrown: unknown): Response {
  const error = hasGone(c) ? new ApiError(499, 'client_closed_request', 'the client has gone.') : thrown;
  const { status } = toApiError(error);
  house.metrics.requests.add(1, { path: 'other', status });
  log.request({ id: house.randomId(), method: c.req.method, path: c.req.path.slice(0, 200), status, ms: 0 }, error);
  return errorResponse(error, c.req.path.slice(basePath.length), c.env);
}

/** The connection ended before all of the request was here: what is thrown then is nobody's mistake. */
function hasGone({ req, env }: Context<Wire>): boolean {
  const { incoming } = env;
  return req.raw.signal.aborted || (incoming?.destroyed === true && !incoming.complete);
}

/**
 * In the words that the path's clients know. Who is still sending its body would not hear them: the body is read to its end and dropped,
 * for as long as a request may take.
 */
function errorResponse(error: unknown, path: string, { incoming, outgoing }: Wire['Bindings'] = {}): Response {
  if (incoming && !incoming.complete && outgoing) {
    outgoing.shouldKeepAlive = true; // or Node ends the connection after the answer, whoever still sends
    outgoing.once('finish', () => incoming.removeAllListeners('data').resume());
  }
  const refusal = toApiError(error);
  const { status, retryAfterSeconds, allow } = refusal;
  const { errorBody } = endpoints.find((endpoint) => endpoint.path === path) ?? { errorBody: null };
  const body = errorBody ? errorBody(refusal) : refusal.body;
  const headers: Record<string, string> = {};
  if (retryAfterSeconds !== null) headers['retry-after'] = String(retryAfterSeconds);
  if (allow.length > 0) headers.allow = allow.join(', ');
  if (status === 401) headers['www-authenticate'] = 'Bearer';
  return Response.json(body, { status, headers });
}
