import type { Core } from '../world.ts';
import type { Models } from './models.ts';

/** A server of one model, which somebody else has loaded and will close. */
export function onlyModel(core: Core): Models {
  let lastUsed: number | null = null;
  const touch = () => {
    lastUsed = core.clocks.unixSeconds();
  };
  return {
    choosesByName: false,
    check: () => core.gate.check(),
    // Whether the name is this model's is said where the request is read.
    async use() {
      touch();
      return { core, release: touch };
    },
    waited: () => ({ modelId: core.settings.modelId, state: 'loaded', progress: null }),
    list: () => [
      {
        settings: core.settings,
        core,
        facts: core.model.facts,
        state: 'loaded',
        bytes: core.model.facts.weightBytes,
        progress: null,
        lastUsed,
        users: core.gate.inside,
        waiting: 0,
      },
    ],
    get isClosed() {
      return core.gate.isClosed;
    },
    drain: () => core.gate.close(),
    async close() {
      core.preparers.close();
    },
  };
}
