/**
 * What a client that streams hears while its model is loaded: comments between events, which every reader of server-sent events skips, so
 * that neither it nor a proxy takes the silence for a dead connection. Who waits only for a moment, or does not stream, hears nothing and
 * keeps a status of its own for a refusal.
 *
 * Source: HTML Standard, "Server-sent events" (a line that begins with a colon is a comment).
 */
import type { Waited } from '../models/models.ts';
import type { Clocks, Reply } from '../world.ts';

/** A model that is there so soon is waited for in silence. */
const SILENCE_MS = 1000;
const BETWEEN_MS = 1000;

/** Whether it settles before the silence would become long. */
export async function settlesSoon(promise: Promise<unknown>, clocks: Clocks): Promise<boolean> {
  const over = new AbortController();
  const settled = promise.then(
    () => true,
    () => true,
  );
  const silence = clocks.sleep(SILENCE_MS, over.signal).then(() => false);
  const isSoon = await Promise.race([settled, silence]);
  over.abort();
  return isSoon;
}

/** Comments until the reply is there, then its events. `failed`: the last event where there is no reply. */
export async function* eventsAfterWaiting(
  reply: Promise<Reply>,
  {
    waited,
    clocks,
    failed,
  }: { readonly waited: () => Waited; readonly clocks: Clocks; readonly failed: (error: unknown) => string },
): AsyncGenerator<string, void> {
  const over = new AbortController();
  const outcome = reply
    .then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    )
    .finally(() => over.abort());
  while (!over.signal.aborted) {
    yield `: ${describe(waited())}\n\n`;
    await Promise.race([outcome, clocks.sleep(BETWEEN_MS, over.signal)]);
  }
  const settled = await outcome;
  if ('error' in settled) {
    yield failed(settled.error);
    return;
  }
  const { value } = settled;
  // Headers have gone already.
  for (const [name, text] of Object.entries(value.headers ?? {})) yield `: ${name}: ${text}\n\n`;
  if (value.kind === 'events') yield* value.events;
}

function describe({ modelId, state, progress }: Waited): string {
  const name = JSON.stringify(modelId);
  // All weights are there: what is left has no measure.
  if (state === 'loading' && progress === 1) return `${name} is read, and is being made ready`;
  if (state === 'loading') return `loading ${name}, ${Math.floor(100 * (progress ?? 0))} %`;
  return state === 'loaded' ? `${name} is loaded` : `${name} waits for its turn to be loaded`;
}
