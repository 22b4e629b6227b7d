import { deepStrictEqual, match, ok, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { accepts, idsOfSet, masksOf, testVocabulary } from './testing/grammars.ts';
import { gatherToolEvents, ToolReader } from './tool-reader.ts';
import { type ToolFormat, type ToolFunction, toolFormatOf, toolsGrammar } from './tools.ts';

const tools: readonly ToolFunction[] = [
  {
    name: 'get_weather',
    parameters: {
      type: 'object',
      properties: { city: { $ref: '#/$defs/city' }, unit: { enum: ['C', 'F'] } },
      required: ['city'],
      additionalProperties: false,
      $defs: { city: { type: 'string', minLength: 1 } },
    },
  },
  { name: 'now' },
];
const noTokens = () => false;

/** A text, given in parts of so many letters, taken apart. */
function read(text: string, format: ToolFormat, letters = 1000) {
  const reader = new ToolReader(format);
  const parts = text.match(new RegExp(`[\\s\\S]{1,${letters}}`, 'g')) ?? [];
  return gatherToolEvents([...parts.flatMap((part) => reader.push(part)), ...reader.end()]);
}
const weather = (key: string) => `{"name": "get_weather", "${key}": {"city": "Seoul", "unit": "C"}}`;

const written: readonly (readonly [format: ToolFormat, one: string, two: string])[] = [
  [
    'hermes',
    `<tool_call>\n${weather('arguments')}\n</tool_call>`,
    '<tool_call>\n{"name":"now","arguments":{}}\n</tool_call>',
  ],
  ['llama3', weather('parameters'), '{"name":"now","parameters":{}}'],
];

for (const [format, one, two] of written) {
  const both = format === 'hermes' ? `${one}\n${two}` : `${one}; ${two}`;

  test(`${format}: calls, with arguments that fit, and back`, () => {
    const grammar = toolsGrammar({ kind: 'tools', tools, choice: 'required', parallel: true, format }, noTokens);
    ok(accepts(grammar, one));
    ok(accepts(grammar, both));
    for (const bad of [
      '',
      'Hello',
      one.replace('"C"', '"K"'),
      one.replace('Seoul', ''),
      one.replace('get_weather', 'get'),
      one.slice(0, -1),
    ]) {
      ok(!accepts(grammar, bad), bad);
    }
    const calls = [
      { name: 'get_weather', arguments: '{"city": "Seoul", "unit": "C"}' },
      { name: 'now', arguments: '{}' },
    ];
    for (const letters of [1, 2, 3, 7, 1000]) {
      deepStrictEqual(read(one, format, letters), { content: '', calls: calls.slice(0, 1) });
      deepStrictEqual(read(both, format, letters), { content: '', calls });
    }
  });

  test(`${format}: one call where only one is allowed, one function where it is named`, () => {
    const single = toolsGrammar({ kind: 'tools', tools, choice: 'required', parallel: false, format }, noTokens);
    ok(accepts(single, one) && !accepts(single, both));
    const named = toolsGrammar({ kind: 'tools', tools, choice: { name: 'now' }, parallel: false, format }, noTokens);
    ok(accepts(named, two) && !accepts(named, one));
  });

  test(`${format}: text or calls where the model may choose`, () => {
    const auto = toolsGrammar({ kind: 'tools', tools, choice: 'auto', parallel: true, format }, noTokens);
    for (const value of ['', 'It rains.\nOften {', 'a < b', one, both]) ok(accepts(auto, value), value);
    ok(!accepts(auto, one.replace('get_weather', 'get_wether')));
    for (const text of ['It rains. ', 'a <tool', ' 2 < 3 {']) {
      for (const letters of [1, 3, 1000]) deepStrictEqual(read(text, format, letters), { content: text, calls: [] });
    }
  });
}

test('hermes: text first, then a call; of a call that was cut off, what there was', () => {
  const auto = toolsGrammar({ kind: 'tools', tools, choice: 'auto', parallel: true, format: 'hermes' }, noTokens);
  const text = `Let me look.\n${written[0]![1]}`;
  ok(accepts(auto, text));
  const { content, calls } = read(text, 'hermes', 4);
  deepStrictEqual([content, calls.length], ['Let me look.', 1]);
  deepStrictEqual(read(text.slice(0, -40), 'hermes'), {
    content: 'Let me look.',
    calls: [{ name: 'get_weather', arguments: '{"ci' }],
  });
  deepStrictEqual(read(text.slice(0, 30), 'hermes'), { content: 'Let me look.', calls: [] });
});

test('a call comes as it is written: its name first, then its arguments', () => {
  const reader = new ToolReader('hermes');
  const events = (part: string, announced = false) => reader.push(part, announced);
  deepStrictEqual(events('Well '), [{ kind: 'text', text: 'Well' }]);
  deepStrictEqual(events('', true), []);
  deepStrictEqual(events('\n{"name": "f"'), [{ kind: 'call', name: 'f' }]);
  deepStrictEqual(events(', "arguments": {"a": "}\\"'), [{ kind: 'arguments', text: '{"a": "}\\"' }]);
  deepStrictEqual(events('{", "b": [1'), [{ kind: 'arguments', text: '{", "b": [1' }]);
  deepStrictEqual(events('2]}}\n</tool_'), [{ kind: 'arguments', text: '2]}' }]);
  deepStrictEqual(events('call>\n<tool_call>\n{"name":"g","arguments":12}'), [
    { kind: 'call', name: 'g' },
    { kind: 'arguments', text: '12' },
  ]);
  deepStrictEqual(reader.end(), []);
});

test('mistral: a list behind its token, whether or not the token leaves a text', () => {
  const list = `[${weather('arguments')}, {"name":"now","arguments":{}}]`;
  const grammar = toolsGrammar(
    { kind: 'tools', tools, choice: 'required', parallel: true, format: 'mistral' },
    noTokens,
  );
  ok(accepts(grammar, `[TOOL_CALLS]${list}`));
  const { calls } = read(`[TOOL_CALLS]${list}`, 'mistral', 5);
  deepStrictEqual(calls, [
    { name: 'get_weather', arguments: '{"city": "Seoul", "unit": "C"}' },
    { name: 'now', arguments: '{}' },
  ]);
  const reader = new ToolReader('mistral');
  deepStrictEqual(gatherToolEvents([...reader.push('', true), ...reader.push(list), ...reader.end()]).calls, calls);
});

test('a token that announces calls is allowed as a token, where the vocabulary has it', () => {
  const vocabulary = { ...testVocabulary([]), idOf: (text: string) => (text === '<tool_call>' ? 1 : null) };
  const grammar = toolsGrammar(
    { kind: 'tools', tools, choice: 'auto', parallel: true, format: 'hermes' },
    (text) => vocabulary.idOf(text) !== null,
  );
  const masks = masksOf(grammar, vocabulary);
  ok(idsOfSet(masks.maskOf(masks.automaton.start)).includes(1));
  ok(masks.advance(masks.automaton.start, 1) !== null);
});

test('what is wrong with the tools', () => {
  const spec = { kind: 'tools', choice: 'auto', parallel: true, format: 'hermes' } as const;
  throws(() => toolsGrammar({ ...spec, tools: [] }, noTokens), /at least one function/);
  throws(() => toolsGrammar({ ...spec, tools, choice: { name: 'x' } }, noTokens), /named "x", found get_weather, now/);
  throws(() => toolsGrammar({ ...spec, tools: [{ name: 'a b' }] }, noTokens), /found "a b"/);
  throws(() => toolsGrammar({ ...spec, tools: [tools[1]!, tools[1]!] }, noTokens), /found "now" again/);
});

test('a tool whose schema cannot be compiled takes any object, and the others stay; a strict one is refused by its place', () => {
  const spec = { kind: 'tools', choice: 'required', parallel: false, format: 'llama3' } as const;
  for (const parameters of [{ not: {} }, { type: 'strin' }, { minLength: 'x' }, { $ref: '#/nowhere' }]) {
    const grammar = toolsGrammar({ ...spec, tools: [{ name: 'f', parameters }, tools[1]!] }, noTokens);
    match(grammar.notes!.join(), /^tools: f: /);
    ok(accepts(grammar, '{"name":"f","parameters":{"x":[1]}}'));
    ok(accepts(grammar, '{"name":"now","parameters":{}}'));
  }
  const strict = {
    name: 'f',
    parameters: { type: 'object', properties: { a: { not: { format: 'uuid' } } } },
    strict: true,
  };
  throws(
    () => toolsGrammar({ ...spec, tools: [strict] }, noTokens),
    /tools: f: json schema: 1 problem\n {2}- #\/properties\/a\/not/,
  );
});

test('the notation is read from the chat template', () => {
  deepStrictEqual([null, 'x <tool_call> y', '[TOOL_CALLS]', "role == 'ipython'"].map(toolFormatOf), [
    'hermes',
    'hermes',
    'mistral',
    'llama3',
  ]);
});

const python = {
  kind: 'tools',
  tools: [
    ...tools,
    {
      name: 'set',
      parameters: {
        type: 'object',
        properties: {
          on: { type: 'boolean' },
          tags: { type: 'array', items: { $ref: '#/$defs/tag' } },
          note: { type: ['string', 'null'] },
        },
        required: ['on'],
        $defs: { tag: { enum: ['a', 'b'] } },
      },
    },
    {
      name: 'odd',
      parameters: {
        type: 'object',
        properties: { 'a-b': { const: 1 } },
        required: ['a-b'],
        additionalProperties: false,
      },
    },
  ],
  choice: 'auto',
  parallel: true,
  format: 'pythonic',
} as const;

test("pythonic: keyword arguments in order, optional ones left out, Python's words, and back to JSON", () => {
  const grammar = toolsGrammar(python, noTokens);
  const cases: readonly (readonly [text: string, name: string, args: string])[] = [
    ['[get_weather(city="Seoul", unit="C")]', 'get_weather', '{"city": "Seoul", "unit": "C"}'],
    ['[set(on=True)]', 'set', '{"on": true}'],
    ['[set(on=False, note=None)]', 'set', '{"on": false, "note": null}'],
    [
      '[set(on=True, tags=["a", "b"], note="a, (b) \\"True\\" = c")]',
      'set',
      '{"on": true, "tags": ["a", "b"], "note": "a, (b) \\"True\\" = c"}',
    ],
    ['[odd(**{"a-b": 1})]', 'odd', '{"a-b": 1}'],
  ];
  for (const [text, name, args] of cases) {
    ok(accepts(grammar, text), text);
    for (const letters of [1, 2, 5, 1000]) {
      deepStrictEqual(read(text, 'pythonic', letters), { content: '', calls: [{ name, arguments: args }] }, text);
    }
    JSON.parse(args);
  }
  for (const bad of [
    '[set()]',
    '[set(on=true)]',
    '[set(tags=["a"], on=True)]',
    '[set(on=True, tags=["c"])]',
    '[',
    '[set(on=True)',
    '[nobody()]',
  ]) {
    ok(!accepts(grammar, bad), bad);
  }
  for (const text of ['It rains.', '', 'a [b]']) {
    ok(accepts(grammar, text), text);
    deepStrictEqual(read(text, 'pythonic', 1), { content: text, calls: [] });
  }
  const two = '[set(on=True), get_weather(city="x", unit="C")]';
  ok(accepts(grammar, two) && !accepts(toolsGrammar({ ...python, parallel: false }, noTokens), two));
  deepStrictEqual(
    read(two, 'pythonic', 3).calls.map(({ name }) => name),
    ['set', 'get_weather'],
  );
});

test('pythonic: what models write freely is read too: single quotes, spaces', () => {
  const { calls } = read("[ f( a = 'it\\'s \"x\"' , b = {'k': [True, None, 1e5]} ) ]", 'pythonic', 2);
  deepStrictEqual(
    calls.map(({ name, arguments: args }) => [name, JSON.parse(args)]),
    [['f', { a: 'it\'s "x"', b: { k: [true, null, 1e5] } }]],
  );
  deepStrictEqual(toolFormatOf('put it in the format of [func_name1(params_name1=params_value1)]'), 'pythonic');
});

test('newer Mistral: a name and its arguments behind their tokens, whether or not these leave a text', () => {
  const spec = { kind: 'tools', tools, choice: 'required', parallel: true, format: 'mistralArgs' } as const;
  const grammar = toolsGrammar(spec, noTokens);
  const args = '{"city": "Seoul", "unit": "C"}';
  const text = `[TOOL_CALLS]get_weather[ARGS]${args}[TOOL_CALLS]now[ARGS]{}`;
  ok(accepts(grammar, text) && !accepts(grammar, text.replace('"C"', '"K"')));
  const calls = [
    { name: 'get_weather', arguments: args },
    { name: 'now', arguments: '{}' },
  ];
  for (const letters of [1, 3, 1000]) deepStrictEqual(read(text, 'mistralArgs', letters), { content: '', calls });
  const reader = new ToolReader('mistralArgs');
  const parts: [string, boolean][] = [
    ['Hm. ', false],
    ['', true],
    ['get_weather', false],
    [args, false],
    ['', true],
    ['now', false],
    ['{}', false],
  ];
  const silent = gatherToolEvents([...parts.flatMap(([part, isToken]) => reader.push(part, isToken)), ...reader.end()]);
  deepStrictEqual(silent, { content: 'Hm.', calls });
  deepStrictEqual(toolFormatOf('[TOOL_CALLS] … [ARGS]'), 'mistralArgs');
});
