/** POST /v1/chat/completions. */
import type { ChatPrompt } from '../../inference/chat-prompt.ts';
import { encodePrompt } from '../../inference/prompt.ts';
import { type Generations, startGenerations } from '../generations.ts';
import { finishReasonOf, mergeAnswers, usageOf } from '../reply/choices.ts';
import { toEventStream } from '../reply/event-stream.ts';
import { TokenNames } from '../reply/token-names.ts';
import { chatLogprobs, chatPromptOf, chatSchema } from '../request/chat.ts';
import { refuseConstraints } from '../request/constrained.ts';
import { optionsOf, type Shape, shapeOf } from '../request/generation-fields.ts';
import { parseBody } from '../request/parse.ts';
import type { Call, Core, Reply } from '../world.ts';
import { checkCharacters, checkLength, checkModel, encoderOf } from './prompts.ts';

export async function chatCompletions(core: Core, { body, signal, notes }: Call): Promise<Reply> {
  const request = parseBody(chatSchema, body);
  const { model, settings } = core;
  checkModel(core, request.model);
  refuseConstraints(request);
  const shape = shapeOf(request);
  const logprobs = chatLogprobs(request);
  const options = { ...optionsOf(request), logprobs };
  const messages = chatPromptOf(request, settings.template);
  checkCharacters(model, charactersOf(messages), 'messages');
  const prompt = encodePrompt(encoderOf(model), messages, { parseSpecial: false });
  checkLength(model, prompt, 'messages', options);
  Object.assign(notes, { promptTokens: prompt.length, user: shape.user ?? undefined, stream: shape.stream });

  const generations = await startGenerations(core, { prompts: [prompt], n: shape.n, options }, signal);
  const writer = new ChatWriter(core, generations, prompt.length, { ...shape, logprobs: logprobs >= 0 }, notes);
  if (!shape.stream) return { kind: 'json', body: await writer.whole() };
  const events = toEventStream(writer.chunks(), (error) => Object.assign(notes, { error }));
  return { kind: 'events', events };
}

function charactersOf({ messages }: ChatPrompt): number {
  return messages.reduce((sum, { content }) => sum + String(content).length, 0);
}

/** The answer in OpenAI's shapes. */
class ChatWriter {
  private readonly generations: Generations;
  private readonly promptTokens: number;
  private readonly shape: Shape & { readonly logprobs: boolean };
  private readonly notes: Record<string, unknown>;
  private readonly names: TokenNames;
  private readonly head: Readonly<Record<string, unknown>>;

  constructor(
    core: Core,
    generations: Generations,
    promptTokens: number,
    shape: Shape & { readonly logprobs: boolean },
    notes: Record<string, unknown>,
  ) {
    this.generations = generations;
    this.promptTokens = promptTokens;
    this.shape = shape;
    this.notes = notes;
    this.names = new TokenNames(core.model.tokenizer);
    this.head = {
      id: `chatcmpl-${core.randomId()}`,
      created: core.clocks.unixSeconds(),
      model: core.settings.modelId,
      system_fingerprint: `cria-${core.settings.version}`,
    };
  }

  async whole(): Promise<unknown> {
    const { answers } = this.generations;
    const contents = answers.map(() => [] as unknown[]);
    if (this.shape.logprobs) {
      for await (const event of mergeAnswers(answers)) {
        if ('piece' in event) contents[event.index]!.push(this.names.chat(event.piece));
      }
    }
    const { usage, results, timings } = await this.end();
    return {
      ...this.head,
      object: 'chat.completion',
      choices: results.map((result, index) => ({
        index,
        message: { role: 'assistant', content: result.text, refusal: null },
        logprobs: this.shape.logprobs ? { content: contents[index], refusal: null } : null,
        finish_reason: finishReasonOf(result.finishReason),
      })),
      usage,
      ...timings,
    };
  }

  async *chunks(): AsyncGenerator<unknown, void> {
    const { answers } = this.generations;
    try {
      for (const index of answers.keys()) yield this.chunk(index, { role: 'assistant', content: '' }, null, null);
      let open = answers.length;
      for await (const event of mergeAnswers(answers)) {
        if ('piece' in event) {
          const { piece, index } = event;
          if (piece.text === '' && !this.shape.logprobs) continue;
          yield this.chunk(index, { content: piece.text }, this.shape.logprobs ? this.names.chat(piece) : null, null);
        } else {
          const finish = finishReasonOf(event.result.finishReason);
          const { timings } = --open === 0 ? await this.end() : { timings: {} };
          yield { ...this.chunk(event.index, {}, null, finish), ...timings };
        }
      }
      const { usage } = await this.end();
      if (this.shape.includeUsage) yield { ...this.chunkHead, choices: [], usage };
    } finally {
      this.generations.abort();
    }
  }

  private get chunkHead(): Readonly<Record<string, unknown>> {
    return { ...this.head, object: 'chat.completion.chunk' };
  }

  private chunk(index: number, delta: object, logprob: unknown, finish: string | null): Record<string, unknown> {
    const logprobs = logprob === null ? null : { content: [logprob], refusal: null };
    return {
      ...this.chunkHead,
      choices: [{ index, delta, logprobs, finish_reason: finish }],
      ...(this.shape.includeUsage && { usage: null }),
    };
  }

  private async end() {
    const results = await this.generations.finish();
    const usage = usageOf(this.promptTokens, results, this.generations.cachedTokens(results));
    Object.assign(this.notes, { completionTokens: usage.completion_tokens, seed: results[0]!.seed });
    // llama-server's numbers are of one answer.
    return { results, usage, timings: results.length === 1 ? { timings: results[0]!.timings } : {} };
  }
}
