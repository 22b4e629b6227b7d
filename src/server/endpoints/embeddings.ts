/** POST /v1/embeddings: the states of the last layer, after its norm, pooled and of unit length. */
import { parseBody } from '../request/parse.ts';
import { embeddingSchema, listOf } from '../request/texts.ts';
import type { Call, Core, Reply } from '../world.ts';
import { checkLength, checkModel, encodeTexts } from './prompts.ts';

export async function embeddings(core: Core, { body, signal, notes }: Call): Promise<Reply> {
  const request = parseBody(embeddingSchema, body);
  const { model, settings, gate } = core;
  checkModel(core, request.model);
  const inputs = encodeTexts(model, listOf(request.input), 'input');
  for (const [i, ids] of inputs.entries()) {
    checkLength(model, ids, inputs.length === 1 ? 'input' : `input.${i}`, { maxTokens: 0 });
  }
  const promptTokens = inputs.reduce((sum, ids) => sum + ids.length, 0);
  Object.assign(notes, { promptTokens, user: request.user ?? undefined });

  const leave = gate.enter(1);
  try {
    const data = [];
    const pooling = request.pooling ?? settings.pooling;
    const vectors = await Promise.all(inputs.map((ids) => model.embed(ids, { pooling, signal })));
    for (const [index, pooled] of vectors.entries()) {
      const vector = normalize(pooled);
      const embedding = request.encoding_format === 'base64' ? base64Of(vector) : Array.from(vector);
      data.push({ object: 'embedding', index, embedding });
    }
    const usage = { prompt_tokens: promptTokens, total_tokens: promptTokens };
    return { kind: 'json', body: { object: 'list', data, model: settings.modelId, usage } };
  } finally {
    leave();
  }
}

function normalize(vector: Float32Array): Float32Array {
  const norm = Math.hypot(...vector) || 1;
  return Float32Array.from(vector, (value) => value / norm);
}

/** Little-endian f32, as OpenAI's clients ask for by default. */
function base64Of(vector: Float32Array): string {
  const view = new DataView(new ArrayBuffer(4 * vector.length));
  for (const [i, value] of vector.entries()) view.setFloat32(4 * i, value, true);
  return btoa(Array.from(new Uint8Array(view.buffer), (byte) => String.fromCharCode(byte)).join(''));
}
