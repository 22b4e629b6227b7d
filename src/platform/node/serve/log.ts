/** The server's log: one JSON line per request on stderr. What people write to the model is not in it, unless asked for. */
import { type DestinationStream, pino } from 'pino';
import { toApiError } from '../../../server/api-error.ts';

export interface RequestLine {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly ms: number;
  readonly [note: string]: unknown;
}

export interface Log {
  info(message: string, fields?: object): void;
  request(line: RequestLine, error?: unknown): void;
  /** The request's body, where prompts are to be logged. */
  body(id: string, body: Uint8Array): void;
}

export const logLevels = ['silent', 'error', 'warn', 'info', 'debug'] as const;

export function createLog(
  destination: DestinationStream,
  { level, prompts }: { readonly level: (typeof logLevels)[number]; readonly prompts: boolean },
): Log {
  const logger = pino({ level, base: null }, destination);
  return {
    info: (message, fields = {}) => logger.info(fields, message),
    request({ error: _, ...line }, error) {
      if (error === undefined) {
        logger.info(line, 'request');
        return;
      }
      const { code, param, status, cause } = toApiError(error);
      const fault = { code, ...(param !== null && { param }) };
      // Messages of refusals may quote the request; stacks of our own mistakes do not.
      if (status === 500) logger.error({ ...line, ...fault, stack: stackOf(cause ?? error) }, 'request failed');
      else logger.info({ ...line, ...fault }, 'request refused');
    },
    body(id, body) {
      if (prompts) logger.info({ id, body: new TextDecoder().decode(body) }, 'body');
    },
  };
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
