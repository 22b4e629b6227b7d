/** POST /v1/embeddings: the states of the last layer, after its norm, pooled and of unit length. */
import { unitLength } from '../../inference/reading/embedding.ts';
import { ApiError } from '../api-error.ts';
import type { Desk } from '../preparing/desk.ts';
import { parseBody } from '../request/parse.ts';
import { embeddingSchema, listOf } from '../request/texts.ts';
import type { Call, Core, Reply } from '../world.ts';
import { askedFor, checkLength, encodeTexts } from './prompts.ts';

export function prepareEmbeddings(desk: Desk, body: unknown) {
  const request = parseBody(embeddingSchema, body);
  const { model } = desk;
  const asked = askedFor(desk, request);
  const inputs = encodeTexts(model, listOf(request.input), 'input');
  for (const [i, ids] of inputs.entries()) {
    checkLength(model, ids, inputs.length === 1 ? 'input' : `input.${i}`, { maxTokens: 0 });
  }
  const { pooling, encoding_format: encoding, user, dimensions } = request;
  const { width } = model.config;
  if (dimensions != null && dimensions > width) {
    const message = `dimensions: expected at most this model's ${width}, found ${dimensions}.`;
    throw new ApiError(400, 'invalid_value', message, { param: 'dimensions' });
  }
  return {
    inputs,
    dimensions: dimensions ?? width,
    pooling: pooling ?? null,
    asBase64: encoding === 'base64',
    user: user ?? undefined,
    asked,
  };
}

export async function embeddings(
  core: Core,
  { signal, notes }: Call,
  { inputs, dimensions, pooling, asBase64, user, asked }: ReturnType<typeof prepareEmbeddings>,
): Promise<Reply> {
  const { model, settings, gate } = core;
  const promptTokens = inputs.reduce((sum, ids) => sum + ids.length, 0);
  Object.assign(notes, { promptTokens, user });

  const leave = gate.enter(1);
  try {
    const data = [];
    const options = { pooling: pooling ?? settings.pooling, signal, adapters: asked.adapters ?? undefined };
    const vectors = await Promise.all(inputs.map((ids) => model.embed(ids, options)));
    for (const [index, pooled] of vectors.entries()) {
      const vector = unitLength(pooled.subarray(0, dimensions));
      const embedding = asBase64 ? base64Of(vector) : Array.from(vector);
      data.push({ object: 'embedding', index, embedding });
    }
    const usage = { prompt_tokens: promptTokens, total_tokens: promptTokens };
    return { kind: 'json', body: { object: 'list', data, model: asked.model, usage } };
  } finally {
    leave();
  }
}

/** Little-endian f32, as OpenAI's clients ask for by default. */
function base64Of(vector: Float32Array): string {
  const view = new DataView(new ArrayBuffer(4 * vector.length));
  for (const [i, value] of vector.entries()) view.setFloat32(4 * i, value, true);
  return btoa(Array.from(new Uint8Array(view.buffer), (byte) => String.fromCharCode(byte)).join(''));
}
