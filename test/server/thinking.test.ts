/** Models that think before they answer: thoughts are reasoning_content, whole and streamed, with and without tools. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { createLog } from '../../src/platform/node/serve/log.ts';
import { startServer } from '../../src/platform/node/serve/server.ts';
import { scriptedModel } from '../support/scripted-model.ts';
import { post, serveDefaults } from '../support/server.ts';

const template = (begins: boolean) =>
  '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{# <think> </think> <tool_call> tools #}assistant:' +
  (begins ? '<think>\n' : '');

async function serve(answer: string, begins = false, jinja = template(begins)) {
  const log = createLog({ write: () => {} }, { level: 'silent', prompts: false });
  const server = await startServer(
    scriptedModel(() => answer),
    { ...serveDefaults, template: jinja },
    log,
  );
  after(() => server.close());
  return server;
}

const messages = [{ role: 'user', content: 'hi' }];

async function ask(server: Awaited<ReturnType<typeof serve>>, more: object = {}) {
  const whole = (await post(server, '/v1/chat/completions', { messages, ...more })).json.choices[0];
  const { text } = await post(server, '/v1/chat/completions', { messages, ...more, stream: true });
  const streamed = { content: '', reasoning: '', calls: '' };
  for (const line of text.split('\n\n').filter((part) => part.startsWith('data: {'))) {
    const { delta } = JSON.parse(line.slice('data: '.length)).choices[0];
    streamed.content += delta.content ?? '';
    streamed.reasoning += delta.reasoning_content ?? '';
    streamed.calls += delta.tool_calls?.[0].function.arguments ?? '';
  }
  const { content, reasoning_content: reasoning = '', tool_calls: calls = [] } = whole.message;
  deepStrictEqual(streamed, { content: content ?? '', reasoning, calls: calls[0]?.function.arguments ?? '' });
  return { content, reasoning, calls };
}

describe('thoughts', () => {
  const answers: readonly (readonly [answer: string, begins: boolean, reasoning: string, content: string])[] = [
    ['<think>\nhm, 1 < 2 </ yes\n</think>\n\nHello', false, 'hm, 1 < 2 </ yes', 'Hello'],
    ['hm\n\n  well\n</think>\nHello <think>', true, 'hm\n\n  well', 'Hello <think>'],
    ['<think></think>Hello', false, '', 'Hello'],
    ['  <thin air>', false, '', '  <thin air>'],
    ['Hello </think>', false, '', 'Hello </think>'],
    ['<think>without an end', false, 'without an end', ''],
    ['<thi', false, '', '<thi'],
  ];
  for (const [answer, begins, reasoning, content] of answers) {
    test(JSON.stringify(answer), async () => {
      deepStrictEqual(await ask(await serve(answer, begins)), { content, reasoning, calls: [] });
    });
  }

  test('then a call', async () => {
    const server = await serve(
      '<think>call it</think>\n\n<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>',
    );
    const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }];
    const { content, reasoning, calls } = await ask(server, { tools });
    deepStrictEqual([content, reasoning, calls[0].function], [null, 'call it', { name: 'f', arguments: '{"a": 1}' }]);
  });

  test('stay where they are for who asks for it, and for templates that know none', async () => {
    const answer = '<think>x</think>y';
    const server = await serve(answer);
    strictEqual((await ask(server, { reasoning_format: 'none' })).content, answer);
    strictEqual((await ask(await serve(answer, false, 'chatml'))).content, answer);
  });
});
