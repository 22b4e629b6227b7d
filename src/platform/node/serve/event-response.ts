/** Server-sent events as a response body with back-pressure. */

/**
 * Pulls an event only when the connection has taken the one before. A client that takes nothing for `stallSeconds` is let go with
 * `onStall`, so that it holds neither an answer nor memory; what is generated meanwhile is bounded by the model's context.
 */
export function eventResponse(
  events: AsyncGenerator<string, void>,
  { stallSeconds, onStall, onEnd }: { stallSeconds: number; onStall: () => void; onEnd: (complete: boolean) => void },
): Response {
  const utf8 = new TextEncoder();
  let stall: NodeJS.Timeout | undefined;
  let open = true;
  const end = (complete: boolean) => {
    clearTimeout(stall);
    if (!open) return;
    open = false;
    onEnd(complete);
  };
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
          end(false);
          void events.return();
          onStall();
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
