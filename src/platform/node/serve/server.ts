/** A model behind a port: `startServer` listens, `close` drains. */
import { chmodSync, lstatSync, readFileSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, isIPv6 } from 'node:net';
import { createSecureContext } from 'node:tls';
import { createAdaptorServer } from '@hono/node-server';
import type { Hono } from 'hono';
import { CriaError } from '../../../base/errors.ts';
import type { Models } from '../../../server/models/models.ts';
import { onlyModel } from '../../../server/models/only-model.ts';
import { type Face, Shelf } from '../../../server/models/shelf.ts';
import { templateOf } from '../../../server/template.ts';
import type { Core, ServedModel, ServerSettings, Shared } from '../../../server/world.ts';
import { createApp, type Wire, type WireSettings } from './app.ts';
import { createCore, createShared, sleep } from './core.ts';
import type { Log } from './log.ts';

export interface ServeSettings extends WireSettings {
  readonly version: string;
  readonly queueSeconds: number;
  readonly host: string;
  readonly port: number;
  /** A Unix socket's path, instead of host and port. */
  readonly socket?: string | undefined;
  /** PEM files: whom the server is, and its key. Absent: plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  /** Answers that the engine computes at the same time, and that may wait beside them. */
  readonly parallel: number;
  readonly queue: number;
  readonly connections: number;
  /** How long close() lets answers finish. */
  readonly drainSeconds: number;
}

export interface RunningServer {
  readonly url: string;
  readonly models: Models;
  /** Takes no more requests, lets those under way finish, then closes what is left, and the models that it has loaded itself. */
  close(): Promise<void>;
}

/** A server of one model, which is open before and after it. */
export interface ModelServer extends RunningServer {
  readonly core: Core;
}

/** Throws CriaError `serve.listen` and `serve.tls`. */
export async function startServer(
  model: ServedModel,
  settings: ServeSettings & ServerSettings,
  log: Log,
): Promise<ModelServer> {
  const shared = createShared();
  let core: Core | null = null;
  const start = async () => {
    core = createCore(shared, model, settings, settings.parallel + settings.queue);
    await core.preparers.ready;
    return onlyModel(core);
  };
  const server = await startHouse(shared, start, settings, log);
  return { ...server, core: core! };
}

/** Several models, each loaded when it is asked for. Throws as startServer(). */
export async function startShelf(
  faces: readonly Face[],
  settings: ServeSettings & { readonly memoryBytes: number },
  log: Log,
): Promise<RunningServer> {
  const { parallel, queue, queueSeconds, memoryBytes } = settings;
  const shared = createShared();
  const limits = { memoryBytes, waiting: queue, waitSeconds: queueSeconds };
  const shelf = new Shelf(faces, limits, {
    clocks: shared.clocks,
    openCore(model, { template, ...face }) {
      if (templateOf(model, template) === 'plain')
        log.info('no chat template: messages are joined to one text', { model: face.modelId });
      return createCore(shared, model, { ...face, template }, parallel + queue);
    },
    say: (message, fields) => log.info(message, fields),
  });
  return startHouse(shared, async () => shelf, settings, log);
}

async function startHouse(
  shared: Shared,
  openModels: () => Promise<Models>,
  settings: ServeSettings,
  log: Log,
): Promise<RunningServer> {
  const { socket: path, tls, version } = settings;
  const certificate = tls && readCertificate(tls);
  const models = await openModels();
  // Who reaches a socket of this machine's files is no page of another site.
  const app = createApp(
    { ...shared, models, version },
    path === undefined ? settings : { ...settings, host: null },
    log,
  );
  const server = openServer(app.fetch, certificate);
  server.maxConnections = settings.connections;
  server.on('connection', (socket) => socket.setNoDelay(true));
  try {
    await (path === undefined ? listen(server, settings) : listenAt(server, path));
  } catch (error) {
    await models.close();
    throw error;
  }
  return {
    url: urlOf(server, settings),
    models,
    async close() {
      await drain(server, models, settings.drainSeconds);
      await models.close();
    },
  };
}

function openServer(fetch: Hono<Wire>['fetch'], certificate: Certificate | undefined): Server {
  const serverOptions = {
    // A request must arrive in this time; an answer may take longer.
    headersTimeout: 15_000,
    requestTimeout: 60_000,
    connectionsCheckingInterval: 5_000,
    keepAliveTimeout: 10_000,
    maxHeaderSize: 16_384,
    ...certificate,
  };
  // The app itself reads on what was refused; the adapter would cut it off after half a second.
  const options = { fetch, autoCleanupIncoming: false };
  const server = certificate
    ? createAdaptorServer({ ...options, createServer: createTlsServer, serverOptions })
    : createAdaptorServer({ ...options, serverOptions });
  return server as Server;
}

interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

function readCertificate({ cert, key }: NonNullable<ServeSettings['tls']>): Certificate {
  try {
    const certificate = { cert: readFileSync(cert), key: readFileSync(key) };
    createSecureContext(certificate); // says what is wrong with them
    return certificate;
  } catch (error) {
    const said = (error as Error).message;
    throw new CriaError('serve.tls', `serve: ${cert} and ${key} are no certificate and its key, in PEM: ${said}.`);
  }
}

function urlOf(server: Server, { host, socket, tls, basePath = '' }: ServeSettings): string {
  if (socket !== undefined) return `unix:${socket}`;
  const { port } = server.address() as AddressInfo;
  return `${tls ? 'https' : 'http'}://${isIPv6(host) ? `[${host}]` : host}:${port}${basePath}`;
}

function listen(server: Server, { host, port }: ServeSettings): Promise<void> {
  return started(server, `${host}:${port}`, 'Another program listens there: choose another --port.', () =>
    server.listen(port, host),
  );
}

/** A socket that a server left behind, which nobody answers at, is taken away first. */
async function listenAt(server: Server, path: string): Promise<void> {
  if (await isAbandoned(path)) unlinkSync(path);
  await started(server, path, 'Another program listens there: choose another --socket.', () => server.listen(path));
  chmodSync(path, 0o660);
}

function isAbandoned(path: string): Promise<boolean> {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return Promise.resolve(false);
  return new Promise((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(false);
    });
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}

function started(server: Server, place: string, whenTaken: string, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const advice = error.code === 'EADDRINUSE' ? ` ${whenTaken}` : '';
      reject(new CriaError('serve.listen', `serve: cannot listen on ${place}: ${error.message}.${advice}`));
    });
    server.once('listening', resolve);
    listen();
  });
}

async function drain(server: Server, models: Models, seconds: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const over = new AbortController();
  await Promise.race([models.drain(), sleep(seconds * 1000, over.signal)]);
  over.abort();
  // What has been generated is still on its way to clients that take it.
  const sent = new AbortController();
  const busy = setInterval(() => server.closeIdleConnections(), 20);
  await Promise.race([closed, sleep(Math.min(seconds, 2) * 1000, sent.signal)]);
  sent.abort();
  clearInterval(busy);
  server.closeAllConnections();
  await closed;
}
