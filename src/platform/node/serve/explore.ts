/** The questions of the explorer's page: numbers of the model that is served. */
import type { Context, Hono } from 'hono';
import type { PageSource } from '../../../explorer/model.ts';
import { answerCall } from '../../../explorer/page-model.ts';
import { ApiError } from '../../../server/api-error.ts';
import type { House } from '../../../server/models/models.ts';
import type { ServedModel } from '../../../server/world.ts';
import type { Wire } from './app.ts';
import { responseOf } from './response.ts';

/** `readBody` gives the body's bytes of a request that may ask, or throws. Long answers go out in pieces, as all others do. */
export function addExplorer(
  app: Hono<Wire>,
  house: House,
  settings: { readonly stallSeconds: number },
  readBody: (c: Context<Wire>) => Promise<Uint8Array<ArrayBuffer>>,
): void {
  app.post('/explore/call', async (c) => {
    const body = await readBody(c);
    house.models.check();
    let call: unknown;
    try {
      call = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    } catch (error) {
      throw new ApiError(400, 'invalid_json', `the body is no JSON: ${(error as Error).message}`);
    }
    // Its page shows the first model.
    const { signal } = c.req.raw;
    const { core, release } = await house.models.use(null, signal);
    const answer = await answerCall(explorerModel(core.model), call).finally(release);
    const { outgoing } = c.env;
    const response = responseOf(
      { kind: 'text', body: answer, type: 'application/octet-stream' },
      {
        signal,
        stallSeconds: settings.stallSeconds,
        onStall: outgoing && (() => outgoing.destroy()),
        onEnd: () => {},
      },
    );
    response.headers.set('cache-control', 'no-store');
    return response;
  });
}

function explorerModel(model: ServedModel): PageSource {
  if (model.trace && model.parameterRows && model.nearestRows) return model as ServedModel & PageSource;
  throw new ApiError(404, 'not_found', 'this model does not show its numbers.');
}
