/** Replies as responses. What comes in pieces comes with back-pressure: server-sent events, and bodies too long for one write. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Reply } from '../../../server/world.ts';

interface StreamOptions {
  /** Aborted when the client goes. */
  readonly signal: AbortSignal;
  readonly stallSeconds: number;
  /** Ends the connection where an error of the body would not: Node's server, waiting for its client, does not look at the body. */
  readonly onStall: (() => void) | undefined;
  /** Called once: whether the pieces came to their end with the client there. */
  readonly onEnd: (complete: boolean) => void;
}

/** Bytes that are written to a connection at once: Node copies what it can of a write before it looks at any other connection. */
const PIECE_BYTES = 256 * 1024;

/** What is sent in one go counts as taken. */
export function responseOf(reply: Reply, options: StreamOptions): Response {
  if (reply.kind === 'events') return eventResponse(reply.events, options);
  if (reply.kind === 'text' && isLong(reply.body)) return bytesResponse(reply.body, reply.type, options);
  options.onEnd(true);
  if (reply.kind === 'json') return Response.json(reply.body);
  return new Response(reply.body, { headers: { 'content-type': reply.type } });
}

function isLong(body: string | Uint8Array<ArrayBuffer>): body is Uint8Array<ArrayBuffer> {
  return typeof body !== 'string' && body.length > PIECE_BYTES;
}

function eventResponse(events: AsyncGenerator<string, void>, options: StreamOptions): Response {
  const utf8 = new TextEncoder();
  async function* pieces() {
    for await (const event of events) yield utf8.encode(event);
  }
  return new Response(streamed(pieces(), options), {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no', // proxies, too, are to pass on each event as it comes
    },
  });
}

/** 150 MB in one write stood for a second before everybody else's requests; between two pieces the others have their turn. */
function bytesResponse(body: Uint8Array<ArrayBuffer>, type: string, options: StreamOptions): Response {
  async function* pieces() {
    for (let at = 0; at < body.length; at += PIECE_BYTES) {
      yield body.subarray(at, at + PIECE_BYTES);
      await nextTurn();
    }
  }
  const headers = { 'content-type': type, 'content-length': String(body.length) };
  return new Response(streamed(pieces(), options), { headers });
}

/**
 * Pulls a piece only when the connection has taken the one before. A client that takes nothing for `stallSeconds` is let go, so that
 * it holds neither an answer nor memory; what is generated meanwhile is bounded by the model's context.
 *
 * The client's going is heard from `signal`: where it goes before the connection reads the body, nobody cancels the body, and the
 * pieces, which end by themselves then, would count as a complete answer.
 */
function streamed(
  pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, void>,
  { signal, stallSeconds, onStall, onEnd }: StreamOptions,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let stall: NodeJS.Timeout | undefined;
  let open = true;
  const end = (complete: boolean) => {
    clearTimeout(stall);
    if (!open) return;
    open = false;
    signal.removeEventListener('abort', leave);
    onEnd(complete);
  };
  const leave = () => {
    end(false);
    void pieces.return();
  };
  if (signal.aborted) leave();
  else signal.addEventListener('abort', leave, { once: true });
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        clearTimeout(stall);
        const { done, value } = await pieces.next();
        if (!open) return;
        if (done) {
          end(true);
          controller.close();
          return;
        }
        stall = setTimeout(() => {
          leave();
          if (onStall) onStall();
          else controller.error(new Error(`the client took nothing for ${stallSeconds} s`));
        }, stallSeconds * 1000);
        controller.enqueue(value);
      },
      async cancel() {
        end(false);
        await pieces.return();
      },
    },
    { highWaterMark: 1 },
  );
}
