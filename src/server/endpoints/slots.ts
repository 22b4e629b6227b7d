/** GET /slots, and POST /slots/{id}?action=save|restore|erase, as llama-server has them. */
import { z } from 'zod';
import type { LoadedState } from '../../inference/remote/kept-state.ts';
import { ApiError } from '../api-error.ts';
import type { Slot } from '../kept/slots.ts';
import type { Desk } from '../preparing/desk.ts';
import { parseBody } from '../request/parse.ts';
import type { Call, Core, Reply } from '../world.ts';

/** Names that are the same file on every system, below the folder and nowhere else. */
const fileName = /^(?![\s.])[^\\/:*?"<>|\p{Cc}]{1,200}(?<![\s.])$/u;

export const slotSchema = z.strictObject({
  filename: z
    .string()
    .regex(fileName, 'expected the name of a file, without a path')
    .nullish()
    .describe('save, restore: a file in the folder of --slot-save-path'),
});

export function prepareSlot(_desk: Desk, body: unknown): string | null {
  return parseBody(slotSchema, body).filename ?? null;
}

export async function slots({ slots, model, settings }: Core, { query }: Call): Promise<Reply> {
  const body = slots.all.map(({ id, running, ids }) => ({
    id,
    n_ctx: model.contextLength,
    speculative: model.facts.guesses === true,
    is_processing: running > 0,
    n_tokens: ids.length,
  }));
  if (query('fail_on_no_slot') !== undefined && body.every((slot) => slot.is_processing)) {
    throw new ApiError(503, 'no_slot', `all ${settings.parallel} slots are busy.`, { retryAfterSeconds: 1 });
  }
  return { kind: 'json', body };
}

export async function slotAction(core: Core, { query }: Call, file: string | null, id: string): Promise<Reply> {
  const slot = core.slots.at(/^\d{1,6}$/.test(id) ? Number(id) : Number.NaN, 'id');
  const action = query('action');
  switch (action) {
    case 'save':
      return { kind: 'json', body: await save(core, slot, placeOf(core, file)) };
    case 'restore':
      return { kind: 'json', body: await restore(core, slot, placeOf(core, file)) };
    case 'erase': {
      const erased = await core.model.forgetState?.(slot.ids, { adapters: slot.adapters ?? undefined });
      const body = { id_slot: slot.id, n_erased: slot.ids.length, n_erased_from_cache: erased ?? 0 };
      slot.ids = new Uint32Array(0);
      return { kind: 'json', body };
    }
    default: {
      const message = `action is ${JSON.stringify(action ?? '')}, expected save, restore or erase.`;
      throw new ApiError(400, 'invalid_value', message, { param: 'action' });
    }
  }
}

interface Place {
  readonly path: string;
  readonly filename: string;
}

/** Throws ApiError 501 where no folder was given, 400 without a name. */
function placeOf({ settings }: Core, filename: string | null): Place {
  const { slotSavePath } = settings;
  if (slotSavePath === undefined) {
    const message = 'this server keeps no slots in files. Start it with --slot-save-path FOLDER.';
    throw new ApiError(501, 'not_supported', message);
  }
  if (filename === null) {
    throw new ApiError(400, 'missing_required_parameter', 'filename is missing, expected string.', {
      param: 'filename',
    });
  }
  return { path: `${slotSavePath}/${filename}`, filename };
}

async function save({ model, clocks }: Core, slot: Slot, { path, filename }: Place) {
  const started = clocks.monotonic();
  const { ids, adapters } = slot;
  if (ids.length === 0) {
    throw new ApiError(400, 'invalid_value', `slot ${slot.id} holds nothing yet.`, { param: 'id' });
  }
  if (!model.saveState) throw new ApiError(501, 'not_supported', 'this model keeps nothing in files.');
  const saved = await model.saveState(path, ids, { adapters }, { adapters: adapters ?? undefined });
  const timings = { save_ms: clocks.monotonic() - started };
  return { id_slot: slot.id, filename, n_saved: saved.tokens, n_written: saved.bytes, timings };
}

async function restore({ model, clocks }: Core, slot: Slot, { path, filename }: Place) {
  const started = clocks.monotonic();
  if (!model.loadState) throw new ApiError(501, 'not_supported', 'this model keeps nothing in files.');
  let loaded: LoadedState;
  try {
    loaded = await model.loadState(path);
  } catch (cause) {
    const message = `filename: ${filename} is no saved slot that can be read.`;
    throw new ApiError(400, 'invalid_value', message, { param: 'filename', cause });
  }
  const { ids, tokens, bytes, note, problem } = loaded;
  if (tokens === 0 && problem !== null) {
    throw new ApiError(400, 'invalid_value', `filename: ${filename} cannot be used: ${problem}.`, {
      param: 'filename',
    });
  }
  slot.ids = ids;
  slot.adapters = (note as { adapters?: Slot['adapters'] } | null)?.adapters ?? null;
  const timings = { restore_ms: clocks.monotonic() - started };
  return { id_slot: slot.id, filename, n_restored: tokens, n_read: bytes, timings };
}
