import { randomUUID } from 'node:crypto';
import { engineUnavailable } from '../../../server/api-error.ts';
import { Gate } from '../../../server/gate.ts';
import { ResponseMemory } from '../../../server/kept/response-memory.ts';
import { Slots } from '../../../server/kept/slots.ts';
import { UsualAdapters } from '../../../server/kept/usual-adapters.ts';
import { ServerMetrics } from '../../../server/metrics.ts';
import { CompiledConstraints } from '../../../server/preparing/constraints.ts';
import { PreparationWorkers } from '../../../server/preparing/workers.ts';
import type { Core, ServedModel, ServerSettings, Shared } from '../../../server/world.ts';
import { startPreparer } from './preparation.ts';

/** Bodies that wait to be read, together. */
const WAITING_BYTES = 256 << 20;

/** Responses that may be gone on with. */
const KEPT_RESPONSES = { responses: 10_000, characters: 64 << 20 };

/** This machine's clocks and chances, and what a server remembers. */
export function createShared(): Shared {
  return {
    responses: new ResponseMemory(KEPT_RESPONSES),
    metrics: new ServerMetrics(),
    clocks: {
      monotonic: () => performance.now(),
      unixSeconds: () => Math.floor(Date.now() / 1000),
      sleep,
    },
    randomId: () => randomUUID().replaceAll('-', '').slice(0, 24),
  };
}

/** A model's core with this machine's workers. `capacity`: answers that may run or wait. */
export function createCore(shared: Shared, model: ServedModel, settings: ServerSettings, capacity: number): Core {
  const { modelId, aliases, anyModel, refuseBeyondContext, template, readSeconds } = settings;
  const opening = { facts: model.facts, settings: { modelId, aliases, anyModel, refuseBeyondContext, template } };
  const preparers = new PreparationWorkers(
    startPreparer,
    opening,
    { sleep },
    { readSeconds, waitingBytes: WAITING_BYTES },
  );
  void model.whenEnded().then(() => preparers.close(engineUnavailable()));
  return {
    ...shared,
    model,
    settings,
    preparers,
    constraints: new CompiledConstraints(preparers),
    slots: new Slots(settings.parallel),
    usualAdapters: new UsualAdapters(model.facts.adapters),
    gate: new Gate(capacity),
  };
}

export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, Math.min(milliseconds, 2 ** 31 - 1));
    signal.addEventListener('abort', end, { once: true });
  });
}
