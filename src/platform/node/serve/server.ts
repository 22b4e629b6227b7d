/** A model behind a port: `startServer` listens, `close` drains. */
import type { Server } from 'node:http';
import { type AddressInfo, isIPv6 } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { CriaError } from '../../../base/errors.ts';
import type { Core, ServedModel, ServerSettings } from '../../../server/world.ts';
import { createApp, type WireSettings } from './app.ts';
import { createCore, sleep } from './core.ts';
import type { Log } from './log.ts';

export interface ServeSettings extends ServerSettings, WireSettings {
  readonly host: string;
  readonly port: number;
  /** Answers that the engine computes at the same time, and that may wait beside them. */
  readonly parallel: number;
  readonly queue: number;
  readonly connections: number;
  /** How long close() lets answers finish. */
  readonly drainSeconds: number;
}

export interface RunningServer {
  readonly url: string;
  readonly core: Core;
  /** Takes no more requests, lets those under way finish, then closes what is left. The model stays open. */
  close(): Promise<void>;
}

export async function startServer(model: ServedModel, settings: ServeSettings, log: Log): Promise<RunningServer> {
  const core = createCore(model, settings, settings.parallel + settings.queue);
  const app = createApp(core, settings, log);
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: {
      // A request must arrive in this time; an answer may take longer.
      headersTimeout: 15_000,
      requestTimeout: 60_000,
      connectionsCheckingInterval: 5_000,
      keepAliveTimeout: 10_000,
      maxHeaderSize: 16_384,
    },
  }) as Server;
  server.maxConnections = settings.connections;
  server.on('connection', (socket) => socket.setNoDelay(true));
  await core.preparers.ready;
  await listen(server, settings);
  const { port } = server.address() as AddressInfo;
  const name = isIPv6(settings.host) ? `[${settings.host}]` : settings.host;
  return {
    url: `http://${name}:${port}`,
    core,
    async close() {
      await drain(server, core, settings.drainSeconds);
      core.preparers.close();
    },
  };
}

function listen(server: Server, { host, port }: ServeSettings): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const advice = error.code === 'EADDRINUSE' ? ' Another program listens there: choose another --port.' : '';
      reject(new CriaError('serve.listen', `serve: cannot listen on ${host}:${port}: ${error.message}.${advice}`));
    });
    server.listen(port, host, resolve);
  });
}

async function drain(server: Server, { gate }: Core, seconds: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const over = new AbortController();
  await Promise.race([gate.close(), sleep(seconds * 1000, over.signal)]);
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
