/** LlamaIndex.TS: its class for OpenAI against our server, by itself and in its agent, in loops of three tools. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { testServer } from '../support/server.ts';

/** Untyped: the types of its packages do not fit together. */
// biome-ignore lint/suspicious/noExplicitAny: see above.
const packageOf = async (name: string): Promise<any> => import(`@llamaindex/${name}`);
const { agent } = await packageOf('workflow');
const { OpenAI } = await packageOf('openai');
const { tool } = await packageOf('core/tools');

const server = await testServer({ anyModel: true }, { contextLength: 2048 });
const order = ['search', 'read', 'write'] as const;
const parameters = {
  search: { query: { type: 'string', enum: ['cats', 'dogs'] } },
  read: { path: { type: 'string', enum: ['a.txt', 'b.txt'] }, lines: { type: 'integer', minimum: 1, maximum: 9 } },
  write: { path: { type: 'string', enum: ['a.txt', 'b.txt'] }, mode: { enum: ['append', 'replace'] } },
};

/** The tools, and which of them were called with what. */
function toolsOf(called: { readonly name: string; readonly given: Record<string, unknown> }[]) {
  return order.map((name) => {
    const properties = parameters[name];
    const schema = { type: 'object', properties, required: Object.keys(properties), additionalProperties: false };
    const execute = (given: Record<string, unknown>) => {
      called.push({ name, given });
      return 'done';
    };
    return tool({ name, description: `to ${name}`, parameters: schema, execute });
  });
}

/** The model does not choose what to do: each turn asks for the next tool, and the last for words. */
function llm() {
  let turn = 0;
  const additionalChatOptions = {
    seed: 1,
    get tool_choice() {
      const name = order[turn++];
      return name ? { type: 'function' as const, function: { name } } : ('none' as const);
    },
  };
  const session = { apiKey: 'none', baseURL: `${server.url}/v1` };
  return new OpenAI({ model: 'gpt-4o', maxTokens: 300, temperature: 0.5, additionalChatOptions, ...session });
}

function checkCalls(called: { readonly name: string; readonly given: Record<string, unknown> }[]): void {
  deepStrictEqual(
    called.map(({ name }) => name),
    order,
  );
  for (const { name, given } of called) deepStrictEqual(Object.keys(given), Object.keys(parameters[name as 'read']));
}

test('its agent calls three tools, one after another, and ends with words', async () => {
  const called: Parameters<typeof checkCalls>[0] = [];
  const { data } = await agent({ llm: llm(), tools: toolsOf(called) }).run('Find it, read it, write it.');
  checkCalls(called);
  strictEqual(typeof data.result, 'string');
});

test('the same loop by hand, whole; and a text streamed', async () => {
  const called: Parameters<typeof checkCalls>[0] = [];
  const tools = toolsOf(called);
  const model = llm();
  const messages: object[] = [{ role: 'user', content: 'Find it, read it, write it.' }];
  for (;;) {
    const { message } = await model.chat({ messages, tools, stream: false });
    messages.push(message);
    const calls: readonly { id: string; name: string; input: string | object }[] | undefined =
      message.options?.toolCall;
    if (!calls) break;
    strictEqual(calls.length, 1);
    for (const { id, name, input } of calls) {
      const given = typeof input === 'string' ? JSON.parse(input) : input;
      const result = String(tools[order.indexOf(name as 'read')].call(given));
      messages.push({
        role: 'user',
        content: result,
        options: { toolResult: { id, result, isError: false } },
      } as never);
    }
  }
  checkCalls(called);
  let text = '';
  for await (const { delta } of await model.chat({ messages: [{ role: 'user', content: 'Once' }], stream: true }))
    text += delta;
  ok(text.length > 0);
});
