/** Server-sent events as a response body with back-pressure. */

export interface EventResponseOptions {
  /** Aborted when the client goes. */
  readonly signal: AbortSignal;
  readonly stallSeconds: number;
  /** Ends the connection where an error of the body would not: Node's server, waiting for its client, does not look at the body. */
  readonly onStall: (() => void) | undefined;
  /** Called once: whether the events came to their end with the client there. */
  readonly onEnd: (complete: boolean) => void;
}

/**
 * Pulls an event only when the connection has taken the one before. A client that takes nothing for `stallSeconds` is let go, so that
 * it holds neither an answer nor memory; what is generated meanwhile is bounded by the model's context.
 *
 * The client's going is heard from `signal`: where it goes before the connection reads the body, nobody cancels the body, and the
 * events, which end by themselves then, would count as a complete answer.
 */
export function eventResponse(
  events: AsyncGenerator<string, void>,
  { signal, stallSeconds, onStall, onEnd }: EventResponseOptions,
): Response {
  const utf8 = new TextEncoder();
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
    void events.return();
  };
  if (signal.aborted) leave();
  else signal.addEventListener('abort', leave, { once: true });
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(stall);
        const { done, value } = await events.next();
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
        controller.enqueue(utf8.encode(value));
      },
      async cancel() {
        end(false);
        await events.return();
      },
    },
    { highWaterMark: 1 },
  );
  return new Response(body, {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no', // proxies, too, are to pass on each event as it comes
    },
  });
}
