/** GET /v1/models, /health, /metrics; /lora-adapters. */
import { z } from 'zod';
import type { EngineLoad } from '../../inference/engine.ts';
import { builtInTemplates } from '../../tokenizer/chat/built-in-templates.ts';
import { chatTemplateFor } from '../../tokenizer/chat/chat-template.ts';
import { ApiError, engineUnavailable } from '../api-error.ts';
import type { House, Listed } from '../models/models.ts';
import type { Desk } from '../preparing/desk.ts';
import { parseBody } from '../request/parse.ts';
import type { Call, Core, Reply, ServedModel } from '../world.ts';
import { askedFor } from './prompts.ts';

export async function models(house: House): Promise<Reply> {
  const data = house.models.list().flatMap((listed) => entriesOf(listed, house));
  return { kind: 'json', body: { object: 'list', data } };
}

/** The model and its adapters. Of one that was never loaded only its size is known. */
function entriesOf({ settings, core, facts, state, bytes, progress }: Listed, { clocks }: House): Entry[] {
  const status = { state, ...(progress !== null && { progress }) };
  const known = facts && {
    n_vocab: facts.config.vocabSize,
    n_ctx: facts.contextLength,
    n_ctx_train: facts.config.contextLength,
    n_embd: facts.config.width,
    n_params: facts.parameterCount,
    size: facts.weightBytes,
    format: facts.format,
    dtypes: facts.dtypes,
    device: facts.device,
    /** Whether it converses. Without a chat template, or with `plain`, it goes on with texts. */
    ...(core && { chat: hasTemplate(core.model, core.settings.template) }),
  };
  const entry = {
    id: settings.modelId,
    object: 'model',
    created: clocks.unixSeconds(),
    owned_by: 'cria',
    meta: { ...(known ?? { size: bytes }), status },
  };
  const adapters = (facts?.adapters ?? []).map(({ name, scale, format, parameterCount }) => ({
    ...entry,
    id: name,
    parent: settings.modelId,
    meta: { ...entry.meta, adapter: { scale, format, n_params: parameterCount } },
  }));
  return [entry, ...adapters];
}

type Entry = { readonly id: string } & Readonly<Record<string, unknown>>;

function hasTemplate({ tokenizer, facts }: ServedModel, template: string | undefined): boolean {
  try {
    const { source } = chatTemplateFor(tokenizer, template ?? facts.chatTemplate ?? undefined);
    return source !== builtInTemplates.plain;
  } catch {
    return false;
  }
}

export async function oneModel(house: House, id: string): Promise<Reply> {
  const entries = house.models.list().flatMap((listed) => entriesOf(listed, house));
  const found = entries.find((entry) => entry.id === id);
  if (found) return { kind: 'json', body: found };
  const names = entries.map((entry) => JSON.stringify(entry.id));
  throw new ApiError(404, 'model_not_found', `model: this server serves ${names.join(', ')}.`, { param: 'model' });
}

/** GET /lora-adapters, as llama-server has it: numbers for the field `lora`. `scale` is what a request gets that does not say. */
export async function loraAdapters({ usualAdapters }: Core): Promise<Reply> {
  return { kind: 'json', body: usualAdapters.list };
}

export const loraAdaptersSchema = z
  .array(z.strictObject({ id: z.int().min(0), scale: z.number().min(-1e4).max(1e4) }))
  .max(64);

export function prepareLoraAdapters(desk: Desk, body: unknown): Readonly<Record<string, number>> {
  const lora = parseBody(loraAdaptersSchema, body);
  const scales = askedFor(desk, { lora }).adapters as Record<string, number>;
  const working = desk.model.facts.adapters.filter(({ name }) => scales[name]);
  const dora = working.find(({ hasMagnitudes }) => hasMagnitudes);
  if (dora && (working.length > 1 || scales[dora.name] !== dora.scale)) {
    const message = `${dora.name} is a DoRA: it works at scale ${dora.scale} and with no other adapter.`;
    throw new ApiError(400, 'invalid_value', message, { param: 'scale' });
  }
  return scales;
}

/** POST /lora-adapters: from now on, for every request that does not say; those that are not listed do not work. */
export async function setLoraAdapters(
  { usualAdapters }: Core,
  _call: Call,
  scales: ReturnType<typeof prepareLoraAdapters>,
): Promise<Reply> {
  usualAdapters.scales = scales;
  return { kind: 'json', body: { success: true } };
}

/** Answers at once, however busy the engines are: it only looks whether they are there. One that is loaded on demand need not be. */
export async function health({ models }: House): Promise<Reply> {
  if (models.isClosed)
    throw new ApiError(503, 'shutting_down', 'the server is shutting down.', { retryAfterSeconds: 5 });
  if (models.list().some(({ core }) => core !== null && !core.model.isRunning)) throw engineUnavailable();
  return { kind: 'json', body: { status: 'ok' } };
}

export async function metrics({ models, metrics, responses }: House): Promise<Reply> {
  const cores = models.list().flatMap(({ core }) => core ?? []);
  // Names of one engine share it.
  const engines = [...new Set(cores.map(({ model }) => model))];
  const loads = await Promise.all(engines.map((model) => model.engineLoad()));
  const read = sumOf(
    { reading: 0, unread: 0 },
    cores.map(({ preparers }) => preparers.load),
  );
  const grammars = sumOf(
    { count: 0, bytes: 0 },
    cores.map(({ constraints }) => constraints.held),
  );
  const held = { ...read, grammars, responses: responses.held, models: engines.length };
  const body = metrics.expose(sumOf(idle, loads), held);
  return { kind: 'text', type: 'text/plain; version=0.0.4; charset=utf-8', body };
}

const idle = { running: 0, waiting: 0, usedBlocks: 0, blockCount: 0, steps: 0, rows: 0 } satisfies EngineLoad;

/** Number by number. */
function sumOf<Key extends string>(zero: Record<Key, number>, terms: readonly Readonly<Record<Key, number>>[]) {
  const sum = { ...zero };
  for (const term of terms) for (const key of Object.keys(zero) as Key[]) sum[key] += term[key];
  return sum;
}
