/**
 * Agents against `cria serve` with the bundled model, which knows nothing of tools: what is called, with what, and what is reported at
 * the end is held by grammar. Each of them finishes a task of three tools as its own client does it: Anthropic's, OpenAI's Responses
 * (streams, previous_response_id), OpenAI's chat, the AI SDK with both of its providers, and LangChain's model of OpenAI over both endpoints.
 */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, describe, test } from 'node:test';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import Anthropic from '@anthropic-ai/sdk';
import { type AIMessageChunk, type BaseMessage, HumanMessage, ToolMessage } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';
import { generateText, stepCountIs, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { z } from 'zod';
import { binary } from './cria.ts';

const server = spawn(process.execPath, [binary, 'serve', '--port', '0', '--any-model']);
after(() => server.kill('SIGKILL'));
const [printed] = (await once(server.stdout.setEncoding('utf8'), 'data')) as [string];
const url = printed.trim();

/** The task: find a file, read a line of it, write what it says. What each tool says is what the next one needs. */
const task = 'Read the line and write it down.';
const tools = {
  find: { about: 'finds a file', key: 'kind', schema: { type: 'string', enum: ['note', 'list'] }, says: 'a.txt' },
  read: { about: 'reads a line', key: 'line', schema: { type: 'integer', minimum: 1, maximum: 9 }, says: 'hello' },
  write: { about: 'writes a text', key: 'text', schema: { type: 'string', maxLength: 12 }, says: 'written' },
} as const;
type Name = keyof typeof tools;
const names = Object.keys(tools) as Name[];
const parametersOf = (name: Name) => ({
  type: 'object' as const,
  properties: { [tools[name].key]: tools[name].schema },
  required: [tools[name].key],
  additionalProperties: false,
});
const report = { ...parametersOf('read'), properties: { line: { type: 'integer', enum: [1, 2] } } };
const model = 'stories-11m';

/** Runs the tool as an agent would: what it is given must be what it asked for. */
function run(name: string, given: unknown): string {
  const { key, schema, says } = tools[name as Name];
  const value = (given as Record<string, unknown>)[key];
  strictEqual(typeof value, schema.type === 'integer' ? 'number' : 'string', JSON.stringify(given));
  return says;
}

for (const isStream of [false, true]) {
  describe(isStream ? 'streamed' : 'whole', () => {
    test("Anthropic's client: any tool until all have been used, then a report", async () => {
      const client = new Anthropic({ baseURL: url, apiKey: 'none', maxRetries: 0 });
      const messages: Anthropic.MessageParam[] = [{ role: 'user', content: task }];
      const params = { model, max_tokens: 120, system: 'You use tools.' };
      const send = (more: Omit<Anthropic.MessageCreateParamsNonStreaming, keyof typeof params | 'messages'>) => {
        const body = { ...params, ...more, messages };
        return isStream ? client.messages.stream(body).finalMessage() : client.messages.create(body);
      };
      const left = new Set<Name>(names);
      while (left.size > 0) {
        const offered = [...left].map((name) => ({
          name,
          description: tools[name].about,
          input_schema: parametersOf(name),
        }));
        const reply = await send({ tools: offered, tool_choice: { type: 'any', disable_parallel_tool_use: true } });
        strictEqual(reply.stop_reason, 'tool_use');
        const [call] = reply.content as [Anthropic.ToolUseBlock];
        const content = run(call.name, call.input);
        ok(left.delete(call.name as Name));
        messages.push({ role: 'assistant', content: reply.content });
        messages.push({ role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content }] });
      }
      const last = await send({ output_config: { format: { type: 'json_schema', schema: report } } });
      const [said] = last.content as [Anthropic.TextBlock];
      ok([1, 2].includes(JSON.parse(said.text).line), said.text);
    });

    test("OpenAI's Responses: each tool by its name, gone on with previous_response_id", async () => {
      const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
      const send = (more: OpenAI.Responses.ResponseCreateParamsNonStreaming): Promise<OpenAI.Responses.Response> =>
        isStream ? client.responses.stream({ ...more, stream: true }).finalResponse() : client.responses.create(more);
      const offered = names.map((name) => ({
        type: 'function' as const,
        name,
        description: tools[name].about,
        parameters: parametersOf(name),
        strict: true,
      }));
      const common = { model, instructions: 'You use tools.', max_output_tokens: 120, tools: offered };
      let input: OpenAI.Responses.ResponseInput = [{ role: 'user', content: task }];
      let previous_response_id: string | null = null;
      for (const name of names) {
        const tool_choice = { type: 'function' as const, name };
        const reply: OpenAI.Responses.Response = await send({ ...common, input, previous_response_id, tool_choice });
        strictEqual(reply.status, 'completed');
        const calls = reply.output.filter((item) => item.type === 'function_call');
        deepStrictEqual(
          calls.map((call) => call.name),
          [name],
        );
        const output = run(name, JSON.parse(calls[0]!.arguments));
        input = [{ type: 'function_call_output', call_id: calls[0]!.call_id, output }];
        previous_response_id = reply.id;
      }
      const format = { type: 'json_schema' as const, name: 'report', schema: report, strict: true };
      const last = await send({ ...common, input, previous_response_id, tool_choice: 'none', text: { format } });
      ok([1, 2].includes(JSON.parse(last.output_text).line), last.output_text);
    });

    for (const parallel of [false, true]) {
      test(`OpenAI's chat: a tool must be called, parallel_tool_calls: ${parallel}`, async () => {
        const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
        const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: task }];
        const send = (more: Omit<OpenAI.ChatCompletionCreateParamsNonStreaming, 'model' | 'messages'>) => {
          const body = { model, messages, max_tokens: 120, ...more };
          return isStream
            ? client.chat.completions.stream({ ...body, stream: true }).finalChatCompletion()
            : client.chat.completions.create(body);
        };
        for (const name of names) {
          const offered = [
            {
              type: 'function' as const,
              function: { name, description: tools[name].about, parameters: parametersOf(name) },
            },
          ];
          const { choices } = await send({ tools: offered, tool_choice: 'required', parallel_tool_calls: parallel });
          const { message, finish_reason } = choices[0]!;
          const calls = (message.tool_calls ?? []) as OpenAI.ChatCompletionMessageFunctionToolCall[];
          ok(
            parallel ? calls.length > 0 : calls.length === 1 && finish_reason === 'tool_calls',
            JSON.stringify(message),
          );
          const [call] = calls as [OpenAI.ChatCompletionMessageFunctionToolCall];
          messages.push({ role: 'assistant', content: message.content, tool_calls: [call] });
          messages.push({
            role: 'tool',
            tool_call_id: call.id,
            content: run(name, JSON.parse(call.function.arguments)),
          });
        }
        const json_schema = { name: 'report', schema: report, strict: true };
        const { choices } = await send({ response_format: { type: 'json_schema', json_schema } });
        ok([1, 2].includes(JSON.parse(choices[0]!.message.content!).line));
      });
    }

    for (const [what, chosen] of [
      ['its provider for OpenAI (Responses)', createOpenAI({ baseURL: `${url}/v1`, apiKey: 'none' })(model)],
      [
        'its provider for compatible servers (chat)',
        createOpenAICompatible({ name: 'cria', baseURL: `${url}/v1` })(model),
      ],
    ] as const) {
      test(`the AI SDK, ${what}: steps of its own loop`, async () => {
        const done: string[] = [];
        const made = (name: Name, inputSchema: z.ZodObject) =>
          tool({
            description: tools[name].about,
            inputSchema,
            execute: async (input: object) => {
              done.push(name);
              return run(name, input);
            },
          });
        const asked = {
          model: chosen,
          prompt: task,
          maxOutputTokens: 120,
          maxRetries: 0,
          tools: {
            find: made('find', z.object({ kind: z.enum(['note', 'list']) })),
            read: made('read', z.object({ line: z.int().min(1).max(9) })),
            write: made('write', z.object({ text: z.string().max(12) })),
          },
          stopWhen: stepCountIs(4),
          prepareStep: ({ stepNumber }: { stepNumber: number }) => {
            const toolName = names[stepNumber];
            return { toolChoice: toolName ? { type: 'tool' as const, toolName } : ('none' as const) };
          },
        };
        const steps = isStream ? (await consumed(streamText(asked))).steps : (await generateText(asked)).steps;
        deepStrictEqual([(await steps).length, done], [4, names]);
      });
    }

    for (const useResponsesApi of [false, true]) {
      test(`LangChain over ${useResponsesApi ? 'Responses' : 'chat completions'}: a loop that hands each result back`, async () => {
        const configuration = { baseURL: `${url}/v1` };
        const chat = new ChatOpenAI({
          model,
          apiKey: 'none',
          configuration,
          maxRetries: 0,
          maxTokens: 120,
          useResponsesApi,
        });
        const offered = names.map((name) => ({
          type: 'function' as const,
          function: { name, description: tools[name].about, parameters: parametersOf(name) },
        }));
        const messages: BaseMessage[] = [new HumanMessage(task)];
        for (const name of names) {
          const bound = chat.bindTools(offered, { tool_choice: { type: 'function', function: { name } } });
          const answer = isStream ? await joined(bound.stream(messages)) : await bound.invoke(messages);
          deepStrictEqual(
            answer.tool_calls?.map((call) => call.name),
            [name],
          );
          const call = answer.tool_calls![0]!;
          messages.push(answer, new ToolMessage({ tool_call_id: call.id!, content: run(name, call.args) }));
        }
        const end = isStream ? await joined(chat.stream(messages)) : await chat.invoke(messages);
        ok(end.text.length > 0);
        deepStrictEqual(end.tool_calls ?? [], []);
      });
    }
  });
}

async function joined(stream: ReturnType<ChatOpenAI['stream']>): Promise<AIMessageChunk> {
  let whole: AIMessageChunk | null = null;
  for await (const chunk of await stream) whole = whole ? whole.concat(chunk) : chunk;
  ok(whole !== null);
  return whole;
}

async function consumed<Stream extends { consumeStream(): PromiseLike<void> }>(stream: Stream): Promise<Stream> {
  await stream.consumeStream();
  return stream;
}

test('where a tool may be called, an answer is words or calls, never a broken mixture', async () => {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
  const offered = names.map((name) => ({
    type: 'function' as const,
    function: { name, parameters: parametersOf(name) },
  }));
  for (let seed = 0; seed < 6; seed++) {
    const { choices } = await client.chat.completions.create({
      model,
      messages: [{ role: 'user', content: task }],
      tools: offered,
      tool_choice: 'auto',
      max_tokens: 60,
      seed,
    });
    const { message } = choices[0]!;
    for (const call of (message.tool_calls ?? []) as OpenAI.ChatCompletionMessageFunctionToolCall[])
      run(call.function.name, JSON.parse(call.function.arguments));
    ok(!message.content?.includes('<tool_call>'), message.content ?? '');
  }
});
