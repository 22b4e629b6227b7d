/** GET /v1/models, /health, /metrics; /lora-adapters. */
import { z } from 'zod';
import { builtInTemplates } from '../../tokenizer/chat/built-in-templates.ts';
import { chatTemplateFor } from '../../tokenizer/chat/chat-template.ts';
import { ApiError, engineUnavailable } from '../api-error.ts';
import type { Desk } from '../preparing/desk.ts';
import { parseBody } from '../request/parse.ts';
import type { Call, Core, Reply, ServedModel } from '../world.ts';
import { askedFor } from './prompts.ts';

export async function models({ model, settings, clocks }: Core): Promise<Reply> {
  const { facts, config } = model;
  const entry = {
    id: settings.modelId,
    object: 'model',
    created: clocks.unixSeconds(),
    owned_by: 'cria',
    meta: {
      n_vocab: config.vocabSize,
      n_ctx: model.contextLength,
      n_ctx_train: config.contextLength,
      n_embd: config.width,
      n_params: facts.parameterCount,
      size: facts.weightBytes,
      format: facts.format,
      dtypes: facts.dtypes,
      device: facts.device,
      /** Whether it converses. Without a chat template, or with `plain`, it goes on with texts. */
      chat: hasTemplate(model, settings.template),
    },
  };
  const adapters = facts.adapters.map(({ name, scale, format, parameterCount }) => ({
    ...entry,
    id: name,
    parent: settings.modelId,
    meta: { ...entry.meta, adapter: { scale, format, n_params: parameterCount } },
  }));
  return { kind: 'json', body: { object: 'list', data: [entry, ...adapters] } };
}

function hasTemplate({ tokenizer, facts }: ServedModel, template: string | undefined): boolean {
  try {
    const { source } = chatTemplateFor(tokenizer, template ?? facts.chatTemplate ?? undefined);
    return source !== builtInTemplates.plain;
  } catch {
    return false;
  }
}

export async function oneModel(core: Core, id: string): Promise<Reply> {
  const list = (await models(core)) as { body: { data: readonly { id: string }[] } };
  const found = list.body.data.find((entry) => entry.id === id);
  if (found) return { kind: 'json', body: found };
  const names = list.body.data.map((entry) => JSON.stringify(entry.id));
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
  usualAdapters.set(scales);
  return { kind: 'json', body: { success: true } };
}

/** Answers at once, however busy the engine is: it only looks whether it is there. */
export async function health({ model, gate }: Core): Promise<Reply> {
  if (gate.isClosed) throw new ApiError(503, 'shutting_down', 'the server is shutting down.', { retryAfterSeconds: 5 });
  if (!model.isRunning) throw engineUnavailable();
  return { kind: 'json', body: { status: 'ok' } };
}

export async function metrics(core: Core): Promise<Reply> {
  const load = await core.model.engineLoad();
  const { preparers, constraints, responses } = core;
  const held = { ...preparers.load, grammars: constraints.held, responses: responses.held };
  return { kind: 'text', type: 'text/plain; version=0.0.4; charset=utf-8', body: core.metrics.expose(load, held) };
}
