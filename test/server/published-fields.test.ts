/**
 * Parameters that the published APIs have (as their official clients' types of November 2026 list them): each is honoured, accepted
 * where it changes nothing, or refused with words.
 */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { post, testServer } from '../support/server.ts';

const server = await testServer({ anyModel: true }, { contextLength: 1024 });
const user = { role: 'user', content: 'hi' };
const f = {
  name: 'f',
  description: 'does it',
  parameters: { type: 'object', properties: {}, additionalProperties: false },
};
const chat = { path: '/v1/chat/completions', base: { model: 'm', messages: [user], max_tokens: 2, seed: 1 } };
const responses = { path: '/v1/responses', base: { model: 'm', input: 'hi', max_output_tokens: 2 } };
const messages = { path: '/v1/messages', base: { model: 'm', messages: [user], max_tokens: 2 } };
const generate = {
  path: '/api/generate',
  base: { model: 'm', prompt: 'hi', stream: false, options: { num_predict: 2 } },
};
const completion = { path: '/completion', base: { prompt: 'hi', n_predict: 2 } };

const accepted: readonly (readonly [
  { readonly path: string; readonly base: object },
  Readonly<Record<string, unknown>>,
])[] = [
  [
    chat,
    {
      prompt_cache_options: { mode: 'explicit' },
      functions: null,
      audio: null,
      function_call: null,
      web_search_options: null,
      a_field_of_tomorrow: null,
      tools: [
        { type: 'custom', custom: { name: 'patch', format: { type: 'text' } } },
        { type: 'function', function: f },
      ],
      service_tier: 'fast',
      messages: [
        { role: 'developer', content: [{ type: 'text', text: 'x', prompt_cache_breakpoint: { mode: 'explicit' } }] },
        user,
        { role: 'assistant', content: null, function_call: { name: 'f', arguments: '{}' } },
        { role: 'function', name: 'f', content: 'done' },
        { role: 'assistant', tool_calls: [{ id: 'a', type: 'custom', custom: { name: 'patch', input: '*** Begin' } }] },
        { role: 'tool', tool_call_id: 'a', content: 'done' },
      ],
    },
  ],
  [
    responses,
    {
      include: ['reasoning.encrypted_content', 'web_search_call.action.sources', 'code_interpreter_call.outputs'],
      context_management: [{ type: 'compaction', compact_threshold: 1000 }],
      prompt_cache_options: {},
      client_metadata: { installation: 'x' },
      conversation: null,
      prompt: null,
      moderation: null,
      reasoning: { effort: 'high', summary: 'auto' },
      text: { verbosity: 'low' },
      tools: [
        {
          type: 'function',
          ...f,
          strict: true,
          defer_loading: true,
          allowed_callers: ['direct'],
          output_schema: {},
          async: false,
        },
        { type: 'custom', name: 'apply_patch', format: { type: 'grammar', syntax: 'lark', definition: 'start: "a"' } },
        { type: 'web_search' },
        { type: 'local_shell' },
      ],
      input: [
        { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'hi', prompt_cache_breakpoint: {} }] },
        { type: 'custom_tool_call', call_id: 'a', name: 'apply_patch', input: 'x', status: 'completed' },
        { type: 'custom_tool_call_output', call_id: 'a', output: 'done' },
        { type: 'function_call', call_id: 'b', name: 'f', arguments: '{}', async: false, caller: { type: 'direct' } },
        { type: 'function_call_output', call_id: 'b', output: [{ type: 'input_text', text: 'done' }], namespace: null },
      ],
    },
  ],
  [
    messages,
    {
      container: null,
      diagnostics: {},
      inference_geo: 'eu',
      speed: 'standard',
      workspace_id: 'w',
      user_profile_id: 'u',
      betas: ['x-2026-01-01'],
      mcp_servers: [],
      service_tier: 'auto',
      metadata: { user_id: 'u', more: 1 },
      thinking: { type: 'enabled', budget_tokens: 1024 },
      context_management: { edits: [] },
      cache_control: { type: 'ephemeral', ttl: '1h' },
      output_config: { effort: 'low', task_budget: { type: 'tokens', total: 5 } },
      system: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }],
      tools: [
        {
          name: 'f',
          input_schema: f.parameters,
          defer_loading: true,
          allowed_callers: ['direct'],
          input_examples: [{}],
        },
        { type: 'bash_20250124', name: 'bash' },
      ],
      messages: [
        {
          role: 'user',
          content: [
            {
              type: 'document',
              title: 'T',
              source: { type: 'text', media_type: 'text/plain', data: 'words' },
              citations: { enabled: true },
            },
            { type: 'search_result', title: 'T', source: 'S', content: [{ type: 'text', text: 'found' }] },
            { type: 'text', text: 'hi', cache_control: { type: 'ephemeral' } },
          ],
        },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'hm', signature: 's' },
            { type: 'redacted_thinking', data: 'x' },
            { type: 'tool_use', id: 'a', name: 'f', input: {}, toolset_name: null },
          ],
        },
        {
          role: 'user',
          content: [
            {
              type: 'tool_result',
              tool_use_id: 'a',
              toolset_name: null,
              content: [
                { type: 'document', source: { type: 'content', content: 'read' } },
                { type: 'text', text: 'done' },
              ],
            },
          ],
        },
      ],
    },
  ],
  [
    generate,
    {
      suffix: '',
      template: '',
      system: '',
      context: [],
      images: [],
      format: '',
      keep_alive: '5m',
      think: false,
      options: null,
    },
  ],
  [
    generate,
    {
      options: {
        num_predict: 2,
        num_ctx: 4096,
        num_keep: 4,
        tfs_z: 1,
        penalize_newline: true,
        vocab_only: false,
        num_thread: 4,
      },
    },
  ],
  [
    completion,
    {
      cache_prompt: true,
      timings_per_token: true,
      return_progress: true,
      t_max_prompt_ms: 100,
      n_keep: -1,
      id_slot: -1,
      lora: [],
      return_tokens: true,
    },
  ],
];

describe('accepted', () => {
  for (const [{ path, base }, fields] of accepted) {
    for (const [name, value] of Object.entries(fields)) {
      test(`${path}: ${name}`, async () => {
        const { status, text } = await post(server, path, { ...base, [name]: value });
        strictEqual(status, 200, text);
      });
    }
    test(`${path}: ${Object.keys(fields).length === 1 ? 'it' : 'all'} at once`, async () => {
      const { status, text } = await post(server, path, { ...base, ...fields });
      strictEqual(status, 200, text);
    });
  }
});

test('refused, and it is said why', async () => {
  const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'x' } };
  const pdf = { type: 'document', source: { type: 'url', url: 'https://example.org/a.pdf' } };
  const result = (content: unknown) => [
    user,
    { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'f', input: {} }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: [content] }] },
  ];
  const refused: readonly (readonly [{ readonly path: string; readonly base: object }, object, RegExp])[] = [
    [chat, { moderation: { model: 'm' } }, /moderation is refused.*not judged/],
    [chat, { functions: [f] }, /functions is refused.*give tools/],
    [chat, { a_field_of_tomorrow: 1 }, /a_field_of_tomorrow is not supported here/],
    [responses, { prompt: { id: 'p' } }, /prompt is refused.*give their text/],
    [responses, { conversation: 'c' }, /conversation is refused.*previous_response_id/],
    [responses, { include: ['message.output_text.logprobs'] }, /include\.0/],
    [messages, { messages: [{ role: 'user', content: [image] }] }, /only texts/],
    [messages, { messages: [{ role: 'user', content: [pdf] }] }, /only documents that are texts/],
    [messages, { messages: result(image) }, /only texts, documents that are texts/],
    [messages, { messages: result(pdf) }, /only documents that are texts/],
    [messages, { mcp_servers: [{ type: 'url', name: 'x', url: 'https://example.org' }] }, /no other servers are asked/],
    [messages, { container: 'c' }, /container/],
    [generate, { suffix: 'x' }, /suffix/],
    [generate, { context: [1, 2] }, /send \/api\/chat their messages/],
  ];
  for (const [{ path, base }, fields, words] of refused) {
    const { status, json } = await post(server, path, { ...base, ...fields });
    strictEqual(status, 400, `${path} ${JSON.stringify(fields)}`);
    match(typeof json.error === 'string' ? json.error : json.error.message, words);
  }
});

test('a text document, a search result and the older form of a call are in the prompt', async () => {
  const count = async (content: unknown) =>
    (await post(server, '/v1/messages/count_tokens', { model: 'm', messages: [{ role: 'user', content }] })).json
      .input_tokens;
  const source = { type: 'text', media_type: 'text/plain', data: 'words' };
  strictEqual(await count([{ type: 'document', title: 'T', source }]), await count('T\nwords'));
  const found = { type: 'search_result', title: 'T', source: 'S', content: [{ type: 'text', text: 'found' }] };
  strictEqual(await count([found]), await count('T\nS\nfound'));
  const prompt = async (turns: readonly object[]) =>
    (await post(server, '/apply-template', { messages: [user, ...turns] })).json.prompt;
  const given = { name: 'f', arguments: '{"x":1}' };
  strictEqual(
    await prompt([
      { role: 'assistant', content: null, function_call: given },
      { role: 'function', name: 'f', content: 'done' },
    ]),
    await prompt([
      { role: 'assistant', content: null, tool_calls: [{ id: 'a', type: 'function', function: given }] },
      { role: 'tool', tool_call_id: 'a', content: 'done' },
    ]),
  );
});

test('allowed_tools: only those are offered; tools of other types are not, which is said', async () => {
  const tools = [
    { type: 'function', function: f },
    { type: 'function', function: { ...f, name: 'g' } },
    { type: 'custom', custom: { name: 'patch' } },
  ];
  const only = [{ type: 'function', function: { name: 'g' } }];
  const tool_choice = { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: only } };
  for (let seed = 0; seed < 4; seed++) {
    const body = { ...chat.base, max_tokens: 100, seed, tools, tool_choice, parallel_tool_calls: false };
    const { json, headers } = await post(server, chat.path, body);
    deepStrictEqual(
      json.choices[0].message.tool_calls.map((call: { function: { name: string } }) => call.function.name),
      ['g'],
    );
    ok(/custom is not offered/.test(headers.get('cria-not-held') ?? ''));
  }
});
