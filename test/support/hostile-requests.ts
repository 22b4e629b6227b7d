/** Requests that no honest client sends, or that cost what they can: for every endpoint, and below the endpoints, on the wire. */

export interface Hostile {
  readonly what: string;
  readonly method?: string;
  readonly path: string;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
  /** The client goes so long after it has sent all. */
  readonly leavesAfterMs?: number;
}

const chat = '/v1/chat/completions';
const user = { role: 'user', content: 'hi' };
const list = <Item>(count: number, item: (i: number) => Item): Item[] =>
  Array.from({ length: count }, (_, i) => item(i));
const named = <Value>(count: number, value: (i: number) => Value) =>
  Object.fromEntries(list(count, (i) => [`p${i}`, value(i)]));
const nested = (depth: number, inner: unknown, wrap: (value: unknown) => unknown): unknown => {
  let value = inner;
  for (let i = 0; i < depth; i++) value = wrap(value);
  return value;
};
const utf8 = new TextEncoder();

/** Schemas, each a bomb of its own kind. */
const schemas: Readonly<Record<string, () => unknown>> = {
  'a reference to itself': () => ({ $ref: '#' }),
  'two that refer to each other': () => ({
    $ref: '#/$defs/a',
    $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } },
  }),
  'a reference to another host': () => ({ $ref: 'http://169.254.169.254/latest/meta-data' }),
  'a reference to a file': () => ({ $ref: 'file:///etc/passwd' }),
  'a reference that is no address': () => ({ $ref: 'http://[::bad/%zz#%zz' }),
  'a dynamic reference in a circle': () => ({ $dynamicAnchor: 'a', $dynamicRef: '#a' }),
  'a recursion that never ends': () => ({ type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }),
  'a chain of 20,000 references': () => ({
    $ref: '#/$defs/p0',
    $defs: { ...named(20_000, (i) => ({ $ref: `#/$defs/p${i + 1}` })), p20000: { type: 'string' } },
  }),
  'a chain of 5,000 rules': () => ({
    $ref: '#/$defs/p0',
    $defs: { ...named(5000, (i) => ({ type: 'array', items: { $ref: `#/$defs/p${i + 1}` } })), p5000: true },
  }),
  'an enumeration of 100,000 names': () => ({ enum: list(100_000, (i) => `name ${(i * 7919) % 1_000_003}`) }),
  'an enumeration of 20,000 objects': () => ({ enum: list(20_000, (i) => ({ a: i, b: [i, { c: `${i}` }] })) }),
  'a constant of 5 MB': () => ({ const: 'x'.repeat(5e6) }),
  'a description of 5 MB': () => ({ type: 'string', description: 'é'.repeat(2.5e6) }),
  '20,000 properties': () => ({ type: 'object', properties: named(20_000, () => ({ type: 'string' })) }),
  '20,000 required names that are not declared': () => ({ type: 'object', required: list(20_000, (i) => `n${i}`) }),
  'a name of 1 MB': () => ({ type: 'object', properties: { ['n'.repeat(1e6)]: true } }),
  'alternatives of alternatives of alternatives': () => ({
    allOf: list(12, (i) => ({ anyOf: list(40, (k) => ({ properties: { [`a${i}`]: { const: k } } })) })),
  }),
  'alternatives, of which one only, all alike': () => ({
    oneOf: list(400, (i) => ({ type: 'object', properties: { [`a${i}`]: { type: 'string' } } })),
  }),
  'no of no of no': () => nested(100, { type: 'string' }, (not) => ({ not })),
  'conditions within conditions': () =>
    nested(60, { type: 'string' }, (then) => ({
      if: { properties: { a: { const: 1 } } },
      then,
      else: { required: ['b'] },
    })),
  'dependencies of everything on everything': () => ({
    dependentRequired: named(300, () => list(300, (i) => `p${i}`)),
  }),
  '200 patterns of names': () => ({
    type: 'object',
    patternProperties: Object.fromEntries(list(200, (i) => [`^${i}.*[a-${'bcdefgh'[i % 7]}]+$`, { const: i }])),
  }),
  'as many members as there are': () => ({ type: 'object', minProperties: 1e6, maxProperties: 1e9 }),
  'a list of a billion': () => ({ type: 'array', minItems: 1e9 }),
  'lists in lists, 15,000 each': () =>
    nested(4, { type: 'null' }, (items) => ({ type: 'array', items, minItems: 15_000, maxItems: 15_000 })),
  'a million of a kind': () => ({ type: 'array', contains: { type: 'integer' }, minContains: 1e6 }),
  'all different, of 3,000': () => ({ type: 'array', uniqueItems: true, items: { enum: list(3000, (i) => i) } }),
  'a text of a billion': () => ({ type: 'string', minLength: 1e9 }),
  'a text of at most 49,999 with a pattern': () => ({ type: 'string', pattern: '^(ab|a)*c$', maxLength: 49_999 }),
  'multiples of nearly nothing': () => ({ type: 'number', multipleOf: 1e-300 }),
  'multiples of 0.1 among all': () => ({ type: 'number', multipleOf: 0.1, minimum: -1e300, maximum: 1e300 }),
  'multiples of many': () => ({ allOf: list(30, (i) => ({ multipleOf: 7919 + i })) }),
  'nothing between its bounds': () => ({ type: 'number', minimum: 5, maximum: 4 }),
  'every format at once': () => ({
    allOf: ['regex', 'email', 'uri', 'iri', 'uuid', 'date-time', 'ipv6', 'hostname', 'duration', 'json-pointer'].map(
      (format) => ({ type: 'string', format }),
    ),
  }),
  'one keyword of every wrong type': () => ({
    type: 7,
    enum: {},
    properties: [],
    required: 'a',
    minLength: 'b',
    $ref: 3,
  }),
  'a negative length': () => ({ type: 'string', maxLength: -1, minLength: 0.5 }),
  'what is left is unevaluated, 50 deep': () =>
    nested(50, {}, (allOf) => ({ allOf: [allOf], unevaluatedProperties: false, properties: { a: true } })),
  'the prototype': () => ({
    type: 'object',
    properties: { __proto__: { type: 'string' }, constructor: false, toString: true },
  }),
  '10 MB of definitions that nobody uses': () => ({
    $defs: named(60_000, (i) => ({ type: 'object', properties: { a: { const: `${i}`.padEnd(60, 'x') } } })),
    type: 'null',
  }),
};

/** Patterns of texts. */
const patterns: Readonly<Record<string, string>> = {
  'repeats of repeats': '^(a+)+$',
  'counts within counts': '^((a{1,50}){1,50}){1,50}$',
  'a state for every subset': '^(a|b)*a(a|b){20}(a|b)*c$',
  'ten looks ahead': `^${'abcdefghij'.replace(/./g, '(?=.*$&.{9})')}.*$`,
  'looks ahead within looks ahead': `^${'(?=.*'.repeat(40)}x${')'.repeat(40)}.*$`,
  'a look behind that is repeated': '^((?<=a)b|(?<!b)a)*$',
  'what was found before': '^(.*)(.*)(.*)\\1\\2\\3$',
  'a million of one letter': '^a{1000000}$',
  'letters of every kind': '^[\\p{L}\\p{N}\\p{S}]{500}[^\\p{L}]{500}$',
  'a thousand groups': `^${'(a|'.repeat(1000)}b${')'.repeat(1000)}$`,
  'a megabyte': `^${'(ab|cd)?'.repeat(125_000)}$`,
  'a bracket': '(',
  'no such character': '\\u{110000}[\\d-z]\\c',
  'ends in its middle': 'a$b^c\\bd\\B',
  'nothing of a set': '^[]$|^[^]$',
};

const grammars: Readonly<Record<string, string>> = {
  'a rule that begins with itself': 'root ::= root "a" | root',
  'two that begin with each other': 'root ::= b "x"\nb ::= root | b',
  'no such rule': 'root ::= nobody',
  'no root': 'a ::= "b"',
  'repeats of nothing': 'root ::= (("a"?)*)* ("b"*)+',
  'counts within counts': 'root ::= (("a"{0,500}){0,500}){0,500}',
  'a count of a billion': 'root ::= "a"{1000000000}',
  'a megabyte of choices': `root ::= ${list(60_000, (i) => `"a${i}"`).join(' | ')}`,
  'a chain of 20,000 rules': `root ::= r0\n${list(20_000, (i) => `r${i} ::= "a" r${i + 1}`).join('\n')}\nr20000 ::= "b"`,
  brackets: `root ::= ${'('.repeat(100_000)}"a"${')'.repeat(100_000)}`,
  'a text without an end': 'root ::= "a',
  'the empty set': 'root ::= [^\\x00-\\U0010FFFF]',
  'tokens that are not there': 'root ::= <|nobody|> !<|nobody|> <[99999999]>',
};

const ask = (more: object) => ({ messages: [user], max_tokens: 3, ...more });
const json = (what: string, path: string, body: unknown): Hostile => ({
  what: `${path}: ${what}`,
  path,
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
const tool = (parameters: unknown, name = 'f') => ({ type: 'function', function: { name, parameters } });

/** Made one after another, as some are large. */
export function* hostileRequests(): Generator<Hostile> {
  for (const [what, make] of Object.entries(schemas)) {
    const schema = make();
    yield json(`schema: ${what}`, chat, ask({ response_format: { type: 'json_schema', json_schema: { schema } } }));
    const strict = { name: 'x', schema, strict: true };
    yield json(`strict schema: ${what}`, chat, ask({ response_format: { type: 'json_schema', json_schema: strict } }));
    yield json(`tool: ${what}`, chat, ask({ tools: [tool(schema), tool({}, 'g')] }));
  }
  for (const [what, pattern] of Object.entries(patterns)) {
    yield json(`pattern: ${what}`, '/v1/completions', {
      prompt: 'a',
      max_tokens: 3,
      json_schema: { type: 'string', pattern },
    });
  }
  for (const [what, grammar] of Object.entries(grammars)) {
    yield json(`grammar: ${what}`, '/v1/completions', { prompt: 'a', max_tokens: 3, grammar });
  }
  yield* bodies();
  yield* fields();
  yield* wire();
}

/** Bodies that are no JSON, or hardly. */
function* bodies(): Generator<Hostile> {
  const texts: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>> = {
    'four million brackets': `{"messages":${'['.repeat(4e6)}`,
    'objects in objects': '{"a":'.repeat(1e6),
    'a text of brackets': JSON.stringify(ask({ user: '['.repeat(1000) })),
    'cut off': '{"messages":[{"role":"user","content":"h',
    nothing: '',
    null: 'null',
    'a list': '[]',
    'a list of requests': JSON.stringify([ask({})]),
    'a text': '"hi"',
    'a number': '1e999',
    'no number': '{"messages":[{"role":"user","content":"hi"}],"temperature":NaN}',
    infinity: '{"messages":[{"role":"user","content":"hi"}],"temperature":1e999}',
    'the same name twice':
      '{"model":"a","model":null,"messages":[],"messages":[{"role":"user","content":"hi"}],"max_tokens":1,"max_tokens":2}',
    'the prototype': '{"__proto__":{"messages":[]},"constructor":{"prototype":1}}',
    'a mark of the order of bytes': `\ufeff${JSON.stringify(ask({}))}`,
    'UTF-16': new Uint8Array(Buffer.from(JSON.stringify(ask({})), 'utf16le')),
    'no UTF-8': Uint8Array.of(0x7b, 0x22, 0xff, 0xfe, 0xc0, 0x80, 0x22, 0x7d),
    zeros: new Uint8Array(100_000),
    'two bodies': `${JSON.stringify(ask({}))}${JSON.stringify(ask({}))}`,
    'a comment': `/* hi */${JSON.stringify(ask({}))}`,
    'half of a pair of surrogates': '{"messages":[{"role":"user","content":"\\ud800 \\udfff"}],"max_tokens":1}',
    'zeros and directions':
      '{"messages":[{"role":"user","content":"\\u0000\\u202e\\ufffe\\ufeff"}],"max_tokens":1,"stop":"\\ud83d"}',
    'a hundred thousand accents': JSON.stringify({
      messages: [{ role: 'user', content: `a${'\u0301'.repeat(100_000)}` }],
      max_tokens: 1,
    }),
    'a million names': `{${list(300_000, (i) => `"k${i}":0`).join()}}`,
  };
  for (const [what, body] of Object.entries(texts)) {
    yield { what: `body: ${what}`, path: chat, body };
    yield { what: `body of messages: ${what}`, path: '/v1/messages', body };
  }
  yield { what: 'body: Ollama, a list', path: '/api/chat', body: '[[[]]]', headers: { 'content-type': '' } };
  yield {
    what: 'body: a form',
    path: chat,
    body: 'messages=hi',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  };
  yield {
    what: 'body: several parts',
    path: chat,
    body: '--x\r\n\r\nhi\r\n--x--',
    headers: { 'content-type': 'multipart/form-data; boundary=x' },
  };
  yield {
    what: 'body: said to be packed',
    path: chat,
    body: JSON.stringify(ask({})),
    headers: { 'content-encoding': 'gzip' },
  };
  yield {
    what: 'body: of another alphabet',
    path: chat,
    body: JSON.stringify(ask({})),
    headers: { 'content-type': 'application/json; charset=utf-16' },
  };
  yield { what: 'body: too large', path: chat, body: `{"messages":"${'x'.repeat(40e6)}"}` };
}

/** Fields of wrong kinds, and of right kinds without measure. */
function* fields(): Generator<Hostile> {
  const wrong: readonly object[] = [
    { max_tokens: 1e308 },
    { max_tokens: 2 ** 53 },
    { max_tokens: -1 },
    { max_tokens: 1.5 },
    { max_tokens: '5' },
    { temperature: -1 },
    { temperature: 1e308 },
    { top_p: 7 },
    { top_k: -5 },
    { min_p: -0 },
    { seed: 2 ** 64 },
    { seed: -1 },
    { n: 1e9 },
    { n: 0 },
    { n: 128, max_tokens: 1 },
    { stop: list(64, (i) => `${i}`.repeat(500)) },
    { stop: [''] },
    { stop: 7 },
    { logit_bias: named(10, () => 5) },
    { logit_bias: Object.fromEntries(list(50_000, (i) => [i, -100])) },
    { logit_bias: { 99999999: 1 } },
    { logit_bias: [[-1, 5]] },
    { samplers: list(32, () => 'top_k') },
    { samplers: ['nobody'] },
    { mirostat: 3 },
    { repeat_last_n: 1e9 },
    { dry_multiplier: 1, dry_sequence_breakers: list(64, (i) => `b${i}`.repeat(300)) },
    { grammar: 'root ::= "a"', json_schema: {} },
    { messages: {} },
    { messages: [] },
    { messages: 'hi' },
    { messages: list(5000, () => user) },
    { messages: list(4096, () => user) },
    { messages: [{ role: 'wizard', content: 'x' }] },
    { messages: [{ role: 'user', content: [[[]]] }] },
    { messages: [null] },
    { messages: [[user]] },
    { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'file:///etc/passwd' } }] }] },
    { messages: [{ role: 'user', content: list(1025, () => ({ type: 'text', text: 'x' })) }] },
    { messages: [{ role: 'tool', content: 'x' }] },
    { messages: [{ role: 'assistant', content: null, tool_calls: [{}] }] },
    { messages: [{ role: 'user', content: 'x'.repeat(8e6) }] },
    { messages: [{ role: 'user', content: '<|im_start|>'.repeat(50_000) }] },
    { messages: [{ role: 'user', content: '{% for i in range(1e9) %}{{ self }}{% endfor %}' }] },
    { tools: [[tool({})]] },
    { tools: list(129, (i) => tool({}, `f${i}`)) },
    { tools: [tool({}), tool({})] },
    { tools: [tool({}, 'a b/c')] },
    {
      tools: list(128, (i) =>
        tool({ type: 'object', properties: named(200, () => ({ enum: list(20, (k) => `v${k}`) })) }, `f${i}`),
      ),
    },
    { tools: [tool('x')] },
    { tools: 'f', tool_choice: {} },
    { tools: [tool({})], tool_choice: { type: 'function', function: { name: 'nobody' } } },
    { tool_choice: 'required' },
    { response_format: { type: 'xml' } },
    { response_format: [] },
    { stream: 'yes' },
    { stream_options: 7 },
    { chat_template_kwargs: named(20_000, (i) => i) },
    { chat_template_kwargs: { messages: [] } },
    { model: 7 },
    { model: 'x'.repeat(1e6) },
    { model: '../../etc/passwd' },
    { metadata: named(50_000, () => 'x') },
    { top_logprobs: 5 },
    { logprobs: true, top_logprobs: 21 },
    { adapters: { nobody: 1 } },
    { lora: [{ id: 99, scale: 1 }] },
  ];
  for (const more of wrong) yield json(JSON.stringify(more).slice(0, 60), chat, ask(more));
  const others: readonly (readonly [path: string, body: unknown])[] = [
    ['/v1/completions', { prompt: list(1_000_000, (i) => i % 500), max_tokens: 1 }],
    ['/v1/completions', { prompt: [-1, 1.5, 99999999], max_tokens: 1 }],
    ['/v1/completions', { prompt: list(2048, () => 'x'), n: 128, max_tokens: 1 }],
    ['/v1/completions', { prompt: [[[1]]], max_tokens: 1 }],
    ['/v1/completions', { prompt: [], max_tokens: 1 }],
    ['/v1/completions', { prompt: '', max_tokens: 0, echo: true, logprobs: 5 }],
    ['/v1/responses', { input: 'x', previous_response_id: 'resp_nobody' }],
    ['/v1/responses', { input: [{ type: 'item_reference', id: 'nobody' }] }],
    ['/v1/responses', { input: list(4097, () => ({ role: 'user', content: 'x' })) }],
    ['/v1/responses', { input: [[{ role: 'user' }]] }],
    ['/v1/responses', { input: [{ type: 'function_call_output', call_id: 'nobody', output: { a: 1 } }] }],
    [
      '/v1/responses',
      {
        input: 'x',
        text: { format: { type: 'json_schema', schema: schemas['a reference to itself']!() } },
        max_output_tokens: 2,
      },
    ],
    ['/v1/responses', { input: 'x', tools: [{ type: 'function', name: 'f', parameters: [] }] }],
    ['/v1/messages', { messages: [user] }],
    [
      '/v1/messages',
      {
        max_tokens: 1,
        messages: [
          { role: 'user', content: [{ type: 'image', source: { type: 'url', url: 'http://169.254.169.254/' } }] },
        ],
      },
    ],
    [
      '/v1/messages',
      { max_tokens: 1, messages: [{ role: 'assistant', content: [{ type: 'tool_result', tool_use_id: 'x' }] }] },
    ],
    ['/v1/messages', { max_tokens: 1, messages: [user], system: list(1025, () => ({ type: 'text', text: 'x' })) }],
    [
      '/v1/messages',
      { max_tokens: 1, messages: [user], tools: list(128, (i) => ({ name: `f${i}`, input_schema: { $ref: '#' } })) },
    ],
    ['/v1/messages/count_tokens', { messages: [{ role: 'user', content: 'The quick brown fox. '.repeat(250_000) }] }],
    ['/v1/embeddings', { input: list(2049, () => 'x') }],
    ['/v1/embeddings', { input: list(24, () => 'word '.repeat(200)) }],
    ['/v1/embeddings', { input: [], dimensions: 0, encoding_format: 'xml' }],
    ['/v1/rerank', { query: 'x', documents: list(10_000, () => 'y') }],
    ['/v1/rerank', { query: 'x', documents: [{ a: 1 }], top_n: -1 }],
    ['/tokenize', { content: 'The quick brown fox jumps over the lazy dog. '.repeat(155_000) }],
    ['/tokenize', { content: 'a'.repeat(7e6) }],
    ['/tokenize', { content: '한'.repeat(2e6), with_pieces: true }],
    ['/tokenize', { content: ' '.repeat(7e6) }],
    ['/detokenize', { tokens: list(1_000_000, (i) => i % 500) }],
    ['/detokenize', { tokens: [99999999, -1] }],
    [
      '/apply-template',
      { messages: list(4096, () => user), tools: list(128, (i) => tool({ enum: list(300, (k) => k) }, `f${i}`)) },
    ],
    ['/completion', { prompt: list(100_000, () => 'x'), n_predict: 1 }],
    ['/completion', { prompt: 'x', n_predict: 2, n_probs: 1000 }],
    ['/completion', { prompt: 'x', n_predict: 2, response_fields: list(256, () => '__proto__/constructor/name') }],
    [
      '/infill',
      { input_prefix: 'x'.repeat(3e6), input_suffix: '', input_extra: list(1024, () => ({ text: 'y'.repeat(1000) })) },
    ],
    ['/slots/99999?action=erase', {}],
    ['/slots/NaN?action=save', { filename: '../../etc/passwd' }],
    ['/slots/0?action=nobody', {}],
    ['/lora-adapters', [{ id: -1, scale: 'x' }]],
    ['/lora-adapters', { __proto__: [] }],
    ['/props', { system_prompt: 'x' }],
    ['/api/chat', { model: 'nobody', messages: [] }],
    ['/api/generate', { model: 'x', prompt: 'x', images: ['x'], format: { $ref: '#' } }],
    ['/api/generate', { model: 7, options: { num_ctx: 'x', nobody: 1 } }],
    ['/api/embed', { model: 'x', input: list(3000, () => 'x') }],
    ['/api/pull', { model: '../../x', insecure: 7 }],
    ['/api/show', {}],
    ['/explore/call', { method: 'constructor', arguments: [[[]]] }],
    ['/explore/call', { nobody: 1 }],
  ];
  for (const [path, body] of others) yield json(JSON.stringify(body).slice(0, 60), path, body);
}

/** Methods, addresses and headers. */
function* wire(): Generator<Hostile> {
  for (const method of ['HEAD', 'OPTIONS', 'PUT', 'PATCH', 'DELETE', 'GET']) {
    for (const path of [chat, '/health', '/v1/models', '/', '/nobody'])
      yield { what: `${method} ${path}`, method, path };
  }
  for (const path of [
    '/v1/models/%00',
    '/v1/models/%E0%A4%A',
    '/v1/models/..%2f..%2fetc%2fpasswd',
    '/v1/responses/%ff',
    `/v1/models/${'x'.repeat(12_000)}`,
    '/slots?model=%zz',
    '/props?model=nobody&model=other',
    '/%2e%2e/%2e%2e/etc/passwd',
    '//health',
    '/health/',
    '/health?x=%',
    '/\u0000'.replace('\u0000', '%00'),
  ])
    yield { what: `GET ${path.slice(0, 40)}`, method: 'GET', path };
  yield { what: 'a header of 12 KB', method: 'GET', path: '/health', headers: { 'x-a': 'x'.repeat(12_000) } };
  yield { what: 'a header that is too long', method: 'GET', path: '/health', headers: { 'x-a': 'x'.repeat(20_000) } };
  yield {
    what: 'a thousand headers',
    method: 'GET',
    path: '/health',
    headers: Object.fromEntries(list(1000, (i) => [`x-${i}`, '1'])),
  };
  yield {
    what: 'a key that nobody asked for',
    path: chat,
    body: JSON.stringify(ask({})),
    headers: { authorization: `Bearer ${'x'.repeat(9000)}` },
  };
  yield { what: 'another host', method: 'GET', path: '/health', headers: { host: 'evil.example' } };
  yield {
    what: 'from a page of another site',
    path: chat,
    body: JSON.stringify(ask({})),
    headers: { origin: 'https://evil.example', 'content-type': 'text/plain' },
  };
  const long = JSON.stringify({ prompt: 'Once', max_tokens: 300, ignore_eos: true, stream: true });
  for (const leavesAfterMs of [0, 5, 50, 200]) {
    yield { what: `goes after ${leavesAfterMs} ms`, path: '/v1/completions', body: long, leavesAfterMs };
    const schema = schemas['alternatives of alternatives of alternatives']!();
    const body = JSON.stringify(ask({ response_format: { type: 'json_schema', json_schema: { schema } } }));
    yield { what: `goes from a schema after ${leavesAfterMs} ms`, path: chat, body, leavesAfterMs };
  }
}

/** What is written to a connection as it is, piece by piece. The server may answer or hang up. */
export function hostileConnections(
  host: string,
): readonly (readonly [what: string, pieces: readonly (string | Uint8Array)[], pauseMs: number])[] {
  const head = (first: string, more = '') => `${first}\r\nhost: ${host}\r\n${more}`;
  const body = JSON.stringify({ prompt: 'Once', max_tokens: 3 });
  const type = 'content-type: application/json\r\n';
  const get = head('GET /health HTTP/1.1', '\r\n');
  const post = (more: string, text: string) => head('POST /v1/completions HTTP/1.1', `${type}${more}\r\n${text}`);
  return [
    ['a hundred at once, in one piece', [get.repeat(100)], 0],
    ['a question behind an answer that is long', [post(`content-length: ${body.length}\r\n`, body) + get], 0],
    ['both lengths', [post(`content-length: 4\r\ntransfer-encoding: chunked\r\n`, `0\r\n\r\n${get}`)], 0],
    ['two lengths', [post('content-length: 4\r\ncontent-length: 99\r\n', 'null')], 0],
    ['a negative length', [post('content-length: -1\r\n', body)], 0],
    ['a chunk without a length', [post('transfer-encoding: chunked\r\n', 'zz\r\nhi\r\n0\r\n\r\n')], 0],
    ['a chunk of all memory', [post('transfer-encoding: chunked\r\n', 'ffffffffffffffff\r\nhi')], 0],
    [
      'chunks of one byte',
      [post('transfer-encoding: chunked\r\n', [...body].map((c) => `1\r\n${c}\r\n`).join('') + '0\r\n\r\n')],
      0,
    ],
    ['an encoding that nobody knows', [post('transfer-encoding: gzip\r\n', 'xx')], 0],
    ['asks first, and sends nothing', [post(`content-length: ${body.length}\r\nexpect: 100-continue\r\n`, '')], 0],
    ['expects what cannot be', [post(`content-length: ${body.length}\r\nexpect: the-unexpected\r\n`, body)], 0],
    ['wants another protocol', [head('GET / HTTP/1.1', 'upgrade: websocket\r\nconnection: upgrade\r\n\r\n')], 0],
    ['HTTP/2', ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', new Uint8Array(100)], 5],
    ['TLS', [Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3)], 0],
    ['HTTP/1.0', ['GET /health HTTP/1.0\r\n\r\n'], 0],
    ['HTTP/0.9', ['GET /health\r\n\r\n'], 0],
    ['HTTP/9.9', [head('GET /health HTTP/9.9', '\r\n')], 0],
    ['a whole address', [head('GET http://evil.example/health HTTP/1.1', '\r\n')], 0],
    ['no host', ['GET /health HTTP/1.1\r\n\r\n'], 0],
    ['a proxy is wanted', ['CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example\r\n\r\n'], 0],
    ['TRACE', [head('TRACE / HTTP/1.1', '\r\n')], 0],
    ['a method of its own', [head('MAKE-COFFEE /v1/completions HTTP/1.1', '\r\n')], 0],
    ['bytes that are no letters, in the address', [utf8.encode(head('GET /\u00e9\u{1f600} HTTP/1.1', '\r\n'))], 0],
    ['bytes that are no letters, in a header', [head('GET /health HTTP/1.1', 'x-a: \u0001\u0000\r\n\r\n')], 0],
    ['a header without a colon', [head('GET /health HTTP/1.1', 'nothing\r\n\r\n')], 0],
    ['a header that goes on', [head('GET /health HTTP/1.1', 'x-a: 1\r\n 2\r\n\r\n')], 0],
    ['line ends without returns', [get.replaceAll('\r', '')], 0],
    ['a head that comes letter by letter', [...head('GET /health HTTP/1.1', 'x-a: b\r\n')], 20],
    ['a body that comes letter by letter', [post('content-length: 500\r\n', ''), ...body], 20],
    ['less than it said', [post('content-length: 500\r\n', body)], 0],
    ['more than it said', [post(`content-length: ${body.length}\r\n`, body + 'x'.repeat(10_000))], 0],
    ['nothing but line ends', ['\r\n'.repeat(50_000)], 0],
    ['garbage', [Uint8Array.from(list(50_000, (i) => (i * 7919) & 255))], 0],
  ];
}
