/** What the server says of itself: openapi.json is what is accepted, and /metrics is what Prometheus reads. */
import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { endpoints } from '../../src/server/endpoints/table.ts';
import { replyShapeOf, replyShapes } from '../../src/server/reply/shapes/table.ts';
import { refusedFields } from '../../src/server/request/fields.ts';
import { madeAdapter, writeAdapter } from '../support/adapters.ts';
import { fimModel } from '../support/fim-model.ts';
import { checkedReplies, checkReply } from '../support/replies.ts';
import { post, testServer } from '../support/server.ts';

const server = await testServer({}, {}, fimModel());

interface Operation {
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: Schema } } };
  readonly responses: Readonly<Record<string, unknown>>;
}
interface Schema {
  readonly properties: Readonly<Record<string, object>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
}

/** A body that is right, and for each parameter values that are right together with it. */
const messages = [{ role: 'user', content: 'Once' }];
const tool = { type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } };
const responsesTool = { type: 'function', name: 'f', parameters: { type: 'object', properties: {} } };
const anthropicTool = { name: 'f', input_schema: { type: 'object', properties: {} } };
const bodies: Readonly<Record<string, object>> = {
  '/v1/chat/completions': { messages, max_tokens: 2 },
  '/v1/responses': { input: 'Once', max_output_tokens: 2 },
  '/v1/messages': { messages, max_tokens: 2 },
  '/v1/messages/count_tokens': { messages },
  '/api/chat': { model: 'tiny', messages, options: { num_predict: 2 } },
  '/api/generate': { model: 'tiny', prompt: 'Once', options: { num_predict: 2 } },
  '/api/embed': { model: 'tiny', input: 'Once' },
  '/api/show': { model: 'tiny', name: 'tiny' },
  '/api/pull': { model: 'tiny', name: 'tiny' },
  '/v1/rerank': { query: 'Once', documents: ['Twice'] },
  '/completion': { prompt: 'Once', n_predict: 2 },
  '/infill': { input_prefix: 'Once', input_suffix: 'time', n_predict: 2 },
  '/v1/completions': { prompt: 'Once', max_tokens: 2 },
  '/v1/embeddings': { input: 'Once' },
  '/tokenize': { content: 'Once' },
  '/detokenize': { tokens: [5] },
  '/apply-template': { messages },
};
/** Where a default, an enum's first value, a least number or true will not do. */
const samples: Readonly<Record<string, object>> = {
  '/v1/completions logprobs': { logprobs: 2 },
  '/v1/messages tools': { tools: [anthropicTool] },
  '/v1/messages/count_tokens tools': { tools: [anthropicTool] },
  '/v1/messages tool_choice': { tools: [anthropicTool], tool_choice: { type: 'auto' } },
  '/v1/messages/count_tokens tool_choice': { tools: [anthropicTool], tool_choice: { type: 'auto' } },
  '/v1/messages metadata': { metadata: { user_id: 'anna' } },
  system: { system: 'Be brief.' },
  thinking: { thinking: { type: 'disabled' } },
  output_config: { output_config: { format: { type: 'json_schema', schema: { enum: [1] } } } },
  cache_control: { cache_control: { type: 'ephemeral' } },
  context_management: { context_management: {} },
  '/v1/responses context_management': { context_management: [{ type: 'compaction' }] },
  output_format: { output_format: { type: 'json_schema', schema: { enum: [1] } } },
  inference_geo: { inference_geo: 'eu' },
  speed: { speed: 'standard' },
  workspace_id: { workspace_id: 'a' },
  user_profile_id: { user_profile_id: 'a' },
  diagnostics: { diagnostics: {} },
  betas: { betas: ['a'] },
  mcp_servers: { mcp_servers: [] },
  template: { template: '' },
  context: { context: [] },
  prompt_cache_options: { prompt_cache_options: { mode: 'implicit' } },
  stop_sequences: { stop_sequences: ['zz'] },
  '/api/generate prompt': { prompt: 'Once' },
  '/api/embed input': { input: ['Once'] },
  '/api/embed options': { options: {} },
  '/api/show model': { model: null, name: 'tiny' },
  '/api/show name': { name: 'tiny' },
  '/api/pull model': { model: null, name: 'tiny' },
  '/api/pull name': { name: 'tiny' },
  format: { format: 'json' },
  options: { options: { num_predict: 2 } },
  think: { think: true },
  keep_alive: { keep_alive: '5m' },
  images: { images: [] },
  insecure: { insecure: true },
  '/api/chat logprobs': { logprobs: false },
  '/api/chat top_logprobs': { top_logprobs: 0 },
  '/api/generate logprobs': { logprobs: false },
  '/api/generate top_logprobs': { top_logprobs: 0 },
  '/completion prompt': { prompt: [5, 6] },
  '/infill prompt': { prompt: ' upon' },
  '/infill max_tokens': { n_predict: null, max_tokens: 3 },
  '/infill n_predict': { n_predict: 3 },
  input_prefix: { input_prefix: 'x' },
  input_suffix: { input_suffix: 'x' },
  input_extra: { input_extra: [{ text: 'x', filename: 'x.ts' }] },
  response_fields: { response_fields: ['content'] },
  '/completion max_tokens': { n_predict: null, max_tokens: 3 },
  '/completion n_predict': { n_predict: 3 },
  query: { query: 'Once' },
  documents: { documents: [{ text: 'x' }] },
  '/v1/responses input': { input: [{ role: 'user', content: 'Once' }] },
  '/v1/responses tools': { tools: [responsesTool] },
  '/v1/responses tool_choice': { tools: [responsesTool], tool_choice: 'auto' },
  '/v1/responses parallel_tool_calls': { tools: [responsesTool], parallel_tool_calls: false },
  '/v1/responses reasoning': { reasoning: { effort: 'low' } },
  '/v1/responses text': { text: { format: { type: 'json_object' } } },
  '/v1/responses include': { include: [] },
  '/v1/responses stream_options': { stream: true, stream_options: {} },
  '/v1/responses background': { background: false },
  '/v1/responses top_logprobs': { top_logprobs: 0 },
  instructions: { instructions: 'Be brief.' },
  previous_response_id: { previous_response_id: null },
  client_metadata: { client_metadata: {} },
  messages: { messages },
  prompt: { prompt: ['Once', 'Twice'] },
  input: { input: [[5, 6], [7]] },
  content: { content: 'x' },
  tokens: { tokens: [5, 6] },
  model: { model: 'tiny' },
  adapters: { adapters: [] },
  lora: { lora: [] },
  modalities: { modalities: ['text'] },
  safety_identifier: { safety_identifier: 'anna' },
  prompt_cache_key: { prompt_cache_key: 'a' },
  cache_prompt: { cache_prompt: true },
  store: { store: false },
  metadata: { metadata: { a: 'b' } },
  service_tier: { service_tier: 'auto' },
  prompt_cache_retention: { prompt_cache_retention: '24h' },
  prediction: { prediction: { type: 'content', content: 'x' } },
  reasoning_effort: { reasoning_effort: 'low' },
  verbosity: { verbosity: 'low' },
  suffix: { suffix: '' },
  dimensions: { dimensions: 2 },
  best_of: { best_of: 1 },
  stop: { stop: ['zz'] },
  user: { user: 'anna' },
  max_tokens: { max_tokens: 3 },
  max_completion_tokens: { max_tokens: null, max_completion_tokens: 3 },
  n_predict: { max_tokens: null, n_predict: 3 },
  stream_options: { stream: true, stream_options: { include_usage: true } },
  logit_bias: { logit_bias: { 5: -100 } },
  top_logprobs: { logprobs: true, top_logprobs: 2 },
  chat_template_kwargs: { chat_template_kwargs: { a: 1 } },
  grammar: { grammar: 'root ::= "a" | "b"' },
  json_schema: { json_schema: { enum: [1, 2] } },
  response_format: { response_format: { type: 'json_object' } },
  tools: { tools: [tool] },
  tool_choice: { tools: [tool], tool_choice: 'auto' },
  parallel_tool_calls: { tools: [tool], parallel_tool_calls: false },
  dry_sequence_breakers: { dry_sequence_breakers: ['\n'] },
  samplers: { samplers: ['top_k', 'temperature'] },
};

function sampleOf(name: string, path: string, schema: object): object {
  const sample = samples[`${path} ${name}`] ?? samples[name];
  if (sample) return sample;
  const [first] = (schema as { anyOf?: Schema[] }).anyOf ?? [schema];
  const {
    type,
    enum: choices,
    minimum = 0,
  } = first as { type?: string | string[]; enum?: unknown[]; minimum?: number };
  if (choices) return { [name]: choices[0] };
  const is = (wanted: string) => type === wanted || (Array.isArray(type) && type.includes(wanted));
  if (is('boolean')) return { [name]: true };
  ok(is('number') || is('integer'), `${path} ${name}: give it a sample`);
  return { [name]: is('integer') ? Math.max(minimum, 1) : Math.max(minimum, 0.5) };
}

describe('openapi.json', async () => {
  const description = (await (await fetch(`${server.url}/openapi.json`)).json()) as {
    openapi: string;
    info: { title: string; version: string };
    paths: Record<string, Record<string, Operation>>;
  };

  test('every endpoint, and nothing else', () => {
    strictEqual(description.openapi, '3.1.0');
    const told = Object.entries(description.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    deepStrictEqual(
      told.sort(),
      endpoints.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`).sort(),
    );
  });

  for (const [path, base] of Object.entries(bodies)) {
    const schema = description.paths[path]!.post!.requestBody!.content['application/json'].schema;

    test(`${path}: every parameter that it names is accepted, by the description and by the server`, async () => {
      const validate = new Ajv2020({ strict: false }).compile(schema);
      for (const [name, property] of Object.entries(schema.properties)) {
        const body = { ...base, ...sampleOf(name, path, property) };
        ok(validate(body), `${name}: ${JSON.stringify(validate.errors)}`);
        const { status, text } = await post(server, path, body);
        strictEqual(status, 200, `${name}: ${text}`);
        if (schema.required?.includes(name)) continue;
        strictEqual((await post(server, path, { ...base, [name]: null })).status, 200, `${name}: null is absent`);
      }
    });

    test(`${path}: what it does not name is refused by both, by name`, async () => {
      const validate = new Ajv2020({ strict: false }).compile(schema);
      for (const name of ['temperatur', 'no_such_field', 'functions', 'audio']) {
        const expected = refusedFields[name] === undefined ? 'unknown_parameter' : 'unsupported_parameter';
        ok(!(name in schema.properties));
        ok(!validate({ ...base, [name]: 1 }), name);
        const { status, json } = await post(server, path, { ...base, [name]: 1 });
        // Ollama's clients get a text.
        if (typeof json.error === 'string') deepStrictEqual([status, json.error.includes(name)], [400, true]);
        else deepStrictEqual([status, json.error.code, json.error.param], [400, expected, name]);
      }
    });
  }
});

describe('replies', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cria-replies-'));
  after(() => rmSync(folder, { recursive: true }));
  const { config } = server.model;
  const path = writeAdapter(join(folder, 'pirate.gguf'), madeAdapter(config, { seed: 1 }), config);
  const adapters = [{ name: 'pirate', source: { kind: 'path' as const, path }, usual: false }];

  test('every endpoint was asked, and replied as openapi.json says: whole, streamed, and refused', async () => {
    const full = await testServer({ slotSavePath: folder, props: true }, { adapters }, fimModel());
    const ask = async (method: string, path: string) => {
      const response = await fetch(full.url + path, { method });
      checkReply(method, path, response.status, response.headers.get('content-type') ?? '', await response.text());
      return response.status;
    };
    for (const [path, body] of Object.entries(bodies)) {
      strictEqual((await post(full, path, body)).status, 200, path);
      strictEqual((await post(full, path, { ...body, no_such_field: 1 })).status, 400, path);
      if (!replyShapeOf('POST', path)?.stream) continue;
      strictEqual((await post(full, path, { ...body, stream: true })).status, 200, path);
    }
    // What an answer may hold beside text.
    const calls = { tools: [tool], tool_choice: 'required', max_tokens: 200 };
    const more: readonly (readonly [path: string, body: object])[] = [
      ['/v1/chat/completions', { messages, logprobs: true, top_logprobs: 2, n: 2, max_tokens: 3 }],
      ['/v1/chat/completions', { messages, ...calls }],
      ['/v1/completions', { prompt: 'Once', logprobs: 2, echo: true, max_tokens: 3 }],
      ['/v1/completions', { prompt: 'Once', max_tokens: 3, stream_options: { include_usage: true } }],
      ['/v1/responses', { input: 'Once', tools: [responsesTool], tool_choice: 'required', max_output_tokens: 200 }],
      ['/v1/messages', { messages, tools: [anthropicTool], tool_choice: { type: 'any' }, max_tokens: 200 }],
      ['/api/chat', { model: 'tiny', messages, tools: [tool], options: { num_predict: 100 } }],
      ['/api/chat', { model: 'tiny', messages: [] }],
      ['/completion', { prompt: 'Once', n_predict: 3, n_probs: 2, return_tokens: true }],
      ['/completion', { prompt: 'Once', n_predict: 3, n_probs: 2, post_sampling_probs: true }],
      ['/v1/embeddings', { input: ['Once', 'Twice'], encoding_format: 'base64' }],
      ['/v1/rerank', { query: 'Once', documents: ['Twice'], return_documents: true }],
      ['/tokenize', { content: 'Onceé', with_pieces: true }],
      ['/lora-adapters', [{ id: 0, scale: 1 }]],
      ['/props', {}],
      ['/v1/reranking', { query: 'Once', documents: ['Twice'] }],
      ['/api/pull', { model: 'tiny', stream: false }],
      ['/api/chat', { model: 'tiny', messages, stream: false, options: { num_predict: 2 } }],
      ['/api/generate', { model: 'tiny', prompt: 'Once', stream: false, options: { num_predict: 2 } }],
    ];
    for (const [path, body] of more) {
      strictEqual((await post(full, path, body)).status, 200, path);
      if (replyShapeOf('POST', path)?.stream) await post(full, path, { ...body, stream: true });
    }
    const { json: kept } = await post(full, '/v1/responses', { input: 'Once', max_output_tokens: 2 });
    await post(full, '/completion', { prompt: 'Once upon a time '.repeat(20), n_predict: 2, id_slot: 1 });
    for (const action of ['save', 'restore', 'erase']) {
      strictEqual((await post(full, `/slots/1?action=${action}`, { filename: 'kept.bin' })).status, 200, action);
    }
    for (const { method, path } of endpoints) {
      if (method === 'GET')
        strictEqual(await ask(method, path.replace(':model', 'pirate').replace(':id', kept.id)), 200);
    }
    strictEqual(await ask('DELETE', `/v1/responses/${kept.id}`), 200);
    strictEqual(await ask('GET', `/v1/responses/${kept.id}`), 404);

    const described = Object.entries(replyShapes).flatMap(([key, { json, text, stream }]) => {
      const media = [json && 'application/json', text?.split(';')[0], stream?.type];
      return media.flatMap((one) => (one ? [`${key} ${one}`] : []));
    });
    const asked = (one: string) => checkedReplies.has(one) || checkedReplies.has(one.replace(' /v1', ' '));
    // Of the metrics there is no more to say than their type.
    deepStrictEqual(
      described.filter((one) => !asked(one) && !one.includes('/metrics')),
      [],
    );
    deepStrictEqual(
      endpoints.filter(({ method, path }) => !replyShapeOf(method, path)).map(({ path }) => path),
      [],
    );
  });

  test('what is not described is found', () => {
    const reply = (body: object) => () => checkReply('GET', '/health', 200, 'application/json', JSON.stringify(body));
    reply({ status: 'ok' })();
    throws(reply({ status: 'ok', more: 1 }), /not as described/);
    throws(reply({}), /not as described/);
  });
});

test('/metrics is in the text format: help and type before the samples, no sample twice, histograms add up', async () => {
  await post(server, '/v1/completions', { prompt: 'Once', max_tokens: 3 });
  const response = await fetch(`${server.url}/metrics`);
  strictEqual(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  const text = await response.text();
  ok(text.endsWith('\n'));
  const types = new Map<string, string>();
  const helped = new Set<string>();
  const seen = new Map<string, number>();
  let family = '';
  for (const line of text.trimEnd().split('\n')) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (comment) {
      const [, kind, name, rest] = comment as unknown as [string, string, string, string];
      if (kind === 'HELP') {
        ok(!helped.has(name), `${name} is helped once`);
        helped.add(name);
      } else {
        ok(['counter', 'gauge', 'histogram'].includes(rest) && !types.has(name), line);
        types.set(name, rest);
        family = name;
      }
      continue;
    }
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)+\})? (\S+)$/.exec(line);
    ok(sample, line);
    const [, name, labels = '', value] = sample;
    const type = types.get(family)!;
    ok(type === 'histogram' ? name!.startsWith(`${family}_`) : name === family, `${line} is under ${family}`);
    ok(type !== 'counter' || name!.endsWith('_total'), `${name} ends with _total`);
    ok(!seen.has(name + labels), `${line} is there once`);
    ok(Number.isFinite(Number(value)), line);
    seen.set(name + labels, Number(value));
  }
  for (const [name, type] of types) {
    ok(helped.has(name));
    if (type !== 'histogram') continue;
    const buckets = [...seen].filter(([key]) => key.startsWith(`${name}_bucket{le=`)).map(([, value]) => value);
    ok(buckets.length > 5 && buckets.every((value, i) => i === 0 || value >= buckets[i - 1]!), name);
    strictEqual(seen.get(`${name}_bucket{le="+Inf"}`), seen.get(`${name}_count`));
    ok(seen.get(`${name}_sum`)! >= 0);
  }
});
