import { z } from 'zod';
import { CriaError, UsageError } from '../../base/errors.ts';
import { formatBytes, formatDuration } from '../../base/units.ts';
import { defineCommand } from '../command.ts';
import { type Io, writeJson, writeLine } from '../io.ts';
import { jsonOption } from '../model-options.ts';
import { alignColumns } from '../terminal/columns.ts';

const bytes = z.number().nonnegative();

/** What is read of GET /api/ps. */
const answer = z.object({
  models: z.array(
    z.object({
      name: z.string(),
      size: bytes,
      cria: z.object({
        state: z.string(),
        progress: z.number().nullable(),
        memory: z.object({ weights: bytes, cache: bytes, arena: bytes }).nullable(),
        requests: z.number(),
        last_used: z.string().nullable(),
      }),
    }),
  ),
});

type Model = z.infer<typeof answer>['models'][number];

export const command = defineCommand({
  options: {
    url: {
      kind: 'text',
      value: 'URL',
      default: 'http://127.0.0.1:8080',
      help: 'where the server is; with its --base-path, if it has one',
    },
    apiKey: { kind: 'text', value: 'KEY', otherwise: 'none', help: "one of the server's keys, where it asks for one" },
    json: jsonOption,
  },
  positionals: ['url'],
  details:
    'Asks a running `cria serve` what it has in memory: state, memory (weights, cache, room to compute), requests, last use.',
  examples: [
    ['ps', 'the server on this machine'],
    ['ps http://box.local:8080 --api-key "$KEY"', 'another one'],
  ],
  async run({ url, apiKey, json }, io) {
    const models = await ask(url, apiKey, io);
    if (json) {
      writeJson(io.stdout, models);
      return;
    }
    if (models.length === 0) writeLine(io.stderr, 'No model is in memory: each is loaded when a request names it.');
    else writeLine(io.stdout, alignColumns([head, ...models.map(rowOf)], [2, 3, 4, 5, 6]));
  },
});

const head = ['NAME', 'STATE', 'MEMORY', 'WEIGHTS', 'CACHE', 'REQUESTS', 'LAST USED'];

function rowOf({ name, size, cria: { state, progress, memory, requests, last_used } }: Model): string[] {
  const seconds = last_used === null ? null : Math.max(0, Math.round((Date.now() - Date.parse(last_used)) / 1000));
  return [
    name,
    progress === null ? state : progress === 1 ? 'being made ready' : `${state} ${Math.floor(progress * 100)} %`,
    formatBytes(size),
    memory ? formatBytes(memory.weights) : '',
    memory ? formatBytes(memory.cache) : '',
    String(requests),
    seconds === null ? 'never' : `${formatDuration(seconds)} ago`,
  ];
}

async function ask(url: string, apiKey: string | undefined, { signal }: Io): Promise<readonly Model[]> {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new UsageError([`--url is ${JSON.stringify(url)}, expected an address as in http://127.0.0.1:8080`]);
  }
  const address = `${url.replace(/\/+$/, '')}/api/ps`;
  const headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  let response: Response;
  try {
    response = await fetch(address, { headers, signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]) });
  } catch (error) {
    signal.throwIfAborted();
    const { cause } = error as Error;
    const said = cause instanceof Error && cause.message !== '' ? cause.message : (error as Error).message;
    throw new CriaError(
      'ps.no-server',
      `${url}: expected a running \`cria serve\`, found none: ${said}. Name another with --url.`,
    );
  }
  if (response.status === 401)
    throw new CriaError('ps.key', `${url}: the server expects a key: give it with --api-key.`);
  const read = answer.safeParse(await response.json().catch(() => null));
  if (response.ok && read.success) return read.data.models;
  throw new CriaError(
    'ps.answer',
    `${address}: expected the answer of a \`cria serve\`, found another (status ${response.status}).`,
  );
}
