/** A server on loopback with a small real model: random weights, a real tokenizer. */
import { after } from 'node:test';
import { type EngineOptions, loadRemote } from '../../src/inference/remote/load.ts';
import { RemoteModel } from '../../src/inference/remote/model.ts';
import { startEngine } from '../../src/platform/node/engine/start.ts';
import { createLog } from '../../src/platform/node/serve/log.ts';
import {
  type ModelServer,
  type RunningServer,
  type ServeSettings,
  startServer,
} from '../../src/platform/node/serve/server.ts';
import type { ServerSettings } from '../../src/server/world.ts';
import { createTokenizer } from '../../src/tokenizer/create-tokenizer.ts';
import { goldenPath } from './golden.ts';
import { checkReply } from './replies.ts';

export const tinyFolder = goldenPath('formats/gguf-llama-cpp-converter/hf');

export interface TestServer extends ModelServer {
  readonly model: RemoteModel;
  /** Lines of the log, parsed. */
  readonly log: Record<string, unknown>[];
}

export const serveDefaults: ServeSettings & ServerSettings = {
  modelId: 'tiny',
  aliases: [],
  anyModel: false,
  refuseBeyondContext: false,
  template: 'chatml',
  pooling: 'mean',
  queueSeconds: 120,
  timeLimitSeconds: 300,
  version: 'test',
  host: '127.0.0.1',
  port: 0,
  apiKeys: [],
  corsOrigins: [],
  bodyBytes: 1 << 20,
  stallSeconds: 60,
  page: false,
  parallel: 8,
  queue: 64,
  connections: 2000,
  drainSeconds: 5,
  readSeconds: 120,
};

/** An answer of so many tokens takes most of a minute: where it ends within a test's seconds, it has been ended. It needs this room. */
export const endless = 60_000;
export const endlessRoom = { contextLength: 65_536, cacheTokens: 65_536 } satisfies EngineOptions;

/** Closed after the file's tests. */
export async function testServer(
  settings: Partial<ServeSettings & ServerSettings> & { readonly logPrompts?: boolean } = {},
  load: EngineOptions = {},
  path = tinyFolder,
): Promise<TestServer> {
  const options = { threads: 1, contextLength: 512, ...load };
  const { client, facts } = await loadRemote(startEngine, { kind: 'path', path }, options);
  const model = new RemoteModel(client, facts, createTokenizer);
  const lines: Record<string, unknown>[] = [];
  const log = createLog(
    { write: (line) => void lines.push(JSON.parse(line)) },
    { level: 'info', prompts: settings.logPrompts ?? false },
  );
  const server = await startServer(model, { ...serveDefaults, ...settings }, log);
  after(async () => {
    await server.close();
    await model.close();
  });
  return { ...server, model, log: lines };
}

/** POSTs JSON; the reply as it is, and its JSON. Throws where openapi.json describes another one. */
export async function post(server: RunningServer, path: string, body: unknown, init: RequestInit = {}) {
  const response = await fetch(server.url + path, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...init,
    headers: { 'content-type': 'application/json', ...init.headers },
  });
  const text = await response.text();
  // biome-ignore lint/suspicious/noExplicitAny: tests look into replies of many shapes.
  const json: any = /\/json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : null;
  const { status, headers } = response;
  const isWhole = typeof body !== 'object' || body === null || !('response_fields' in body);
  if (isWhole) checkReply('POST', path, status, headers.get('content-type') ?? '', text);
  return { status, headers, text, json };
}
