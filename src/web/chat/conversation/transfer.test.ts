import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Conversation, type Message, pathOf } from './conversation.ts';
import { conversationFrom } from './kept.ts';
import { fileName, fromFile, toJson, toMarkdown } from './transfer.ts';

let names = 0;
const newId = () => `n${names++}`;
const chain = (system: string, texts: readonly string[]): Conversation => {
  const messages = texts.map(
    (content, i): Message => ({
      id: `m${i}`,
      parent: i === 0 ? null : `m${i - 1}`,
      role: i % 2 === 0 ? 'user' : 'assistant',
      content,
      ...(i % 2 === 1 && { finish: 'stop' }),
    }),
  );
  return { id: 'c', title: 'A title', named: true, changed: 5, system, messages, leaf: messages.at(-1)?.id ?? null };
};
const said = (conversation: Conversation) => pathOf(conversation).map(({ role, content }) => [role, content]);

test('JSON comes back as it went out', () => {
  const conversation: Conversation = {
    ...chain('Be brief.', ['a', 'b', 'c']),
    messages: [
      { id: 'a', parent: null, role: 'user', content: 'q', files: [{ name: 'f.txt', text: 't' }] },
      {
        id: 'b',
        parent: 'a',
        role: 'assistant',
        content: 'x',
        thoughts: 'hm',
        model: 'm',
        finish: 'length',
        tokens: [{ token: 'x', logprob: -1, top: [{ token: 'y', logprob: -2 }] }],
        stats: { promptTokens: 1, cachedTokens: 0, answerTokens: 1, tokensPerSecond: 2, promptPerSecond: 3 },
      },
      { id: 'c', parent: 'a', role: 'assistant', content: 'z' },
    ],
    leaf: 'b',
  };
  const presets = [{ id: 'p', name: 'Short', text: 'Be brief.' }];
  deepStrictEqual(fromFile(toJson([conversation], presets), newId, 0), { conversations: [conversation], presets });
});

test('Markdown comes back as it was shown, whatever the texts look like', () => {
  const pieces = [
    '## You',
    '\\## You',
    '# ',
    '# A',
    '## Model',
    '\\\\## System',
    '',
    ' ',
    'text',
    '```',
    '\n',
    '\n\n',
    '\\# x',
  ];
  const text = fc.array(fc.constantFrom(...pieces), { maxLength: 6 }).map((parts) => parts.join('\n'));
  fc.assert(
    fc.property(text, fc.array(text, { minLength: 1, maxLength: 4 }), (system, texts) => {
      const conversation = chain(system, texts);
      const back = fromFile(toMarkdown(conversation), newId, 0)!.conversations[0]!;
      deepStrictEqual(said(back), said(conversation));
      deepStrictEqual([back.system, back.title], [system, 'A title']);
    }),
    { numRuns: 500 },
  );
});

test("the page's first form, with versions, and lists of messages are read", () => {
  const old = {
    id: 'old',
    title: 'T',
    changed: 7,
    messages: [
      { role: 'user', content: 'q' },
      {
        role: 'assistant',
        content: 'newer',
        version: 1,
        versions: [
          { role: 'assistant', content: 'first' },
          { role: 'assistant', content: 'second' },
          { role: 'assistant', content: 'third' },
        ],
      },
    ],
  };
  let count = 0;
  const read = conversationFrom(old, () => `x${count++}`, 0)!;
  deepStrictEqual(said(read), [
    ['user', 'q'],
    ['assistant', 'newer'],
  ]);
  deepStrictEqual(
    read.messages.map(({ content }) => content),
    ['q', 'first', 'newer', 'third'],
  );
  const messages = [
    { role: 'system', content: 'S' },
    { role: 'user', content: [{ type: 'text', text: 'hi' }] },
    { role: 'assistant', content: 'yes' },
  ];
  const [one] = fromFile(JSON.stringify(messages), newId, 0)!.conversations;
  deepStrictEqual(
    [one!.system, said(one!)],
    [
      'S',
      [
        ['user', 'hi'],
        ['assistant', 'yes'],
      ],
    ],
  );
});

test('what is no conversation is not taken for one', () => {
  for (const bad of [
    '',
    'some text',
    '{',
    '[]x',
    '{}',
    '3',
    '{"messages":[{"id":"a","parent":"b","role":"user","content":""}]}',
    '{"messages":[{"role":"robot","content":""}]}',
    '{"conversations":{}}',
    '{"conversations":[null]}',
  ]) {
    strictEqual(fromFile(bad, newId, 0), null, bad);
  }
});

test('names of files are names', () => {
  strictEqual(fileName('../a/b: “c”?', 'md'), 'a-b-c.md');
  strictEqual(fileName('한국어 대화', 'json'), '한국어-대화.json');
  strictEqual(fileName('???', 'md'), 'conversation.md');
  ok(fileName('x'.repeat(500), 'md').length < 70);
});
