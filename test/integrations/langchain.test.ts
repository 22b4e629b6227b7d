/** `cria/langchain` under the real LangChain: invoke, stream, tools, structured output, embeddings. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { AIMessage, HumanMessage, SystemMessage, type ToolMessage, type UsageMetadata } from '@langchain/core/messages';
import { StringOutputParser } from '@langchain/core/output_parsers';
import { ChatPromptTemplate } from '@langchain/core/prompts';
import { tool } from '@langchain/core/tools';
import { Llama } from 'cria';
import { ChatCria, CriaEmbeddings } from 'cria/langchain';
import { z } from 'zod';
import { tinyFolder } from '../support/server.ts';

const loading = Llama.load(tinyFolder, { threads: 1, contextLength: 1024 });
after(async () => (await loading).close());
const common = { model: loading, template: 'chatml', temperature: 0, maxTokens: 12 };
const paint = z.object({ color: z.enum(['red', 'green']), times: z.int().min(1).max(99) });
/** Its type comes out as never under this compiler. */
const usageOf = (message: object) => (message as { usage_metadata: UsageMetadata }).usage_metadata;

describe('LangChain', () => {
  test('invoke and stream say the same, with the same counts; in a chain too', async () => {
    const model = new ChatCria(common);
    const whole = await model.invoke('Once upon a time');
    ok(whole.text.length > 0);
    strictEqual(whole.response_metadata.finish_reason, 'length');
    strictEqual(usageOf(whole).output_tokens, 12);
    let streamed = '';
    for await (const chunk of await model.stream('Once upon a time')) streamed += chunk.text;
    strictEqual(streamed, whole.text);
    const chain = ChatPromptTemplate.fromTemplate('Once upon {what}').pipe(model).pipe(new StringOutputParser());
    strictEqual(await chain.invoke({ what: 'a time' }), whole.text);
  });

  test('conversations, options of a call, a grammar, an abort', async () => {
    const messages = [
      new SystemMessage('Be brief.'),
      new HumanMessage('Hello'),
      new AIMessage('Hi.'),
      new HumanMessage('?'),
    ];
    const model = new ChatCria({ ...common, temperature: 1 });
    const first = await model.invoke(messages, { seed: 5 });
    strictEqual((await model.invoke(messages, { seed: 5 })).text, first.text);
    const stop = first.text.slice(2, 4);
    const cut = await model.invoke(messages, { seed: 5, stop: [stop] });
    strictEqual(cut.text, first.text.slice(0, first.text.indexOf(stop)));
    match((await model.invoke(messages, { grammar: 'root ::= ("yes" | "no") "!"' })).text, /^(yes|no)!$/);
    await rejects(model.invoke(messages, { signal: AbortSignal.abort() }), /abort/i);
  });

  test('tools: the call and its result, whole and streamed', async () => {
    const painter = tool(async ({ times }) => `painted ${times}`, {
      name: 'paint',
      description: 'Paints',
      schema: paint,
    });
    const model = new ChatCria({ ...common, temperature: 1, seed: 2, maxTokens: 200 }).bindTools([painter], {
      tool_choice: 'any',
    });
    const answer = await model.invoke('Paint it.');
    ok(answer.tool_calls!.length >= 1);
    strictEqual(answer.response_metadata.finish_reason, 'tool_calls');
    answer.tool_calls!.forEach(({ args }) => void paint.parse(args));
    let streamed: Awaited<ReturnType<typeof model.invoke>> | undefined;
    for await (const chunk of await model.stream('Paint it.')) streamed = streamed ? streamed.concat(chunk) : chunk;
    deepStrictEqual(
      streamed!.tool_calls!.map(({ args }) => args),
      answer.tool_calls!.map(({ args }) => args),
    );
    const result: ToolMessage = await painter.invoke(answer.tool_calls![0]!);
    match(String(result.content), /^painted \d+$/);
    const next = await new ChatCria(common).invoke([new HumanMessage('Paint it.'), answer, result]);
    ok(usageOf(next).input_tokens > 0 && next.text.length > 0);
  });

  test('structured output: a model that only babbles keeps to the schema', async () => {
    for (let seed = 0; seed < 3; seed++) {
      const model = new ChatCria({ ...common, temperature: 1, seed, maxTokens: 300 });
      const painted = await model.withStructuredOutput(paint).invoke('Paint it.');
      deepStrictEqual(paint.parse(painted), painted);
    }
  });

  test('embeddings of unit length; a query is a document', async () => {
    const embeddings = new CriaEmbeddings({ model: loading });
    const [, dogs] = await embeddings.embedDocuments(['A cat', 'Two dogs']);
    deepStrictEqual(await embeddings.embedQuery('Two dogs'), dogs);
    ok(Math.abs(Math.hypot(...dogs!) - 1) < 1e-6);
  });

  test('what the model cannot read is refused', async () => {
    const image = new HumanMessage({ content: [{ type: 'image_url', image_url: 'data:image/png;base64,AA' }] });
    await rejects(new ChatCria(common).invoke([image]), /a part of type image_url, expected texts/);
  });
});
