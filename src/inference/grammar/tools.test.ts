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
