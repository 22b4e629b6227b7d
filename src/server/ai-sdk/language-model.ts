/** A model as the AI SDK calls it (specification v4 of its providers), in this process. */
import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4Content,
  LanguageModelV4FinishReason,
  LanguageModelV4StreamPart,
  LanguageModelV4Usage,
  SharedV4ProviderMetadata,
  SharedV4Warning,
} from '@ai-sdk/provider';
import type { GenerationResult, Piece } from '../../inference/generation.ts';
import type { ToolEvent } from '../../inference/grammar/tool-reader.ts';
import type { GenerationOptions } from '../../inference/options.ts';
import { type RunningAnswer, startAnswer } from '../in-process.ts';
import type { ServedModel } from '../world.ts';
import { requestOf } from './prompt.ts';

/** `providerOptions: { cria: … }`: every option of a generation, and a grammar. They win over the SDK's own settings. */
export type CriaProviderOptions = {
  /** What JSON can say of each: biases as pairs, not as a Map. */
  readonly [Name in keyof GenerationOptions]?: Exclude<
    GenerationOptions[Name],
    ReadonlyMap<number | string, number | false>
  >;
} & {
  /** The answer is a text of this grammar, in llama.cpp's notation (GBNF). */
  readonly grammar?: string | undefined;
};

export interface LanguageModelSettings {
  readonly provider: string;
  readonly modelId: string;
  /** A chat template's name or Jinja text; undefined: the model's own, and without one `plain`. */
  readonly template: string | undefined;
  /** A name that nothing else has. */
  readonly randomId: () => string;
}

type StreamPart = LanguageModelV4StreamPart;

export class CriaLanguageModel implements LanguageModelV4 {
  readonly specificationVersion = 'v4';
  readonly provider: string;
  readonly modelId: string;
  /** No file of a message is fetched, by the model or for it. */
  readonly supportedUrls = {};
  private readonly load: () => Promise<ServedModel>;
  private readonly settings: LanguageModelSettings;

  constructor(load: () => Promise<ServedModel>, settings: LanguageModelSettings) {
    this.load = load;
    this.settings = settings;
    this.provider = settings.provider;
    this.modelId = settings.modelId;
  }

  async doGenerate(options: LanguageModelV4CallOptions) {
    const content: LanguageModelV4Content[] = [];
    let warnings: SharedV4Warning[] = [];
    let text = '';
    for await (const part of await this.parts(options)) {
      if (part.type === 'stream-start') warnings = part.warnings;
      else if (part.type === 'text-delta') text += part.delta;
      else if (part.type === 'text-end') content.push({ type: 'text', text });
      else if (part.type === 'tool-call') content.push(part);
      else if (part.type === 'finish') {
        const { finishReason, usage, providerMetadata } = part;
        return { content, finishReason, usage, warnings, ...(providerMetadata && { providerMetadata }) };
      }
    }
    throw new Error('unreachable: the parts of an answer end with finish');
  }

  async doStream(options: LanguageModelV4CallOptions) {
    const parts = await this.parts(options);
    const stream = new ReadableStream<StreamPart>(
      {
        async pull(controller) {
          const { done, value } = await parts.next();
          if (done) controller.close();
          else controller.enqueue(value);
        },
        async cancel() {
          await parts.return();
        },
      },
      { highWaterMark: 0 },
    );
    return { stream };
  }

  /** What is wrong with the call is thrown here, before the first part. */
  private async parts(options: LanguageModelV4CallOptions): Promise<AsyncGenerator<StreamPart, void>> {
    const warnings: SharedV4Warning[] = [];
    const { grammar, ...own } = (options.providerOptions?.cria ?? {}) as CriaProviderOptions;
    const request = requestOf(options, grammar, warnings);
    const { reasoning = 'provider-default', abortSignal: signal } = options;
    if (reasoning !== 'provider-default') {
      warnings.push({ type: 'unsupported', feature: 'reasoning', details: 'models here have no such setting' });
    }
    const model = await this.load();
    const answer = await startAnswer(model, this.settings.template, request, { ...optionsOf(options), ...own, signal });
    return this.write(answer, warnings, (own.logprobs ?? -1) >= 0, signal);
  }

  private async *write(
    answer: RunningAnswer,
    warnings: SharedV4Warning[],
    logprobs: boolean,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<StreamPart, void> {
    const writer = new PartWriter(this.settings.randomId);
    const probabilities: unknown[] = [];
    try {
      yield { type: 'stream-start', warnings };
      yield { type: 'response-metadata', id: this.settings.randomId(), modelId: this.modelId };
      for await (const piece of answer.pieces) {
        if (logprobs) probabilities.push(logprobOf(piece));
        for (const event of answer.reader.push(piece)) yield* writer.write(event);
      }
      for (const event of answer.reader.end()) yield* writer.write(event);
      const result = await answer.result;
      if (result.finishReason === 'abort') signal?.throwIfAborted();
      const isWhole = result.finishReason === 'stop';
      yield* writer.end(isWhole);
      yield {
        type: 'finish',
        finishReason: finishReasonOf(result, writer.calls),
        usage: usageOf(result),
        providerMetadata: metadataOf(result, logprobs ? probabilities : null),
      };
    } finally {
      await answer.pieces.return?.();
    }
  }
}

/** What an answer says as the SDK's parts: blocks of text, and calls with their input as it is written. */
class PartWriter {
  /** Whole calls so far. */
  calls = 0;
  private open: { kind: 'text'; id: string } | { kind: 'call'; id: string; name: string; input: string } | null = null;
  private texts = 0;
  private readonly randomId: () => string;

  constructor(randomId: () => string) {
    this.randomId = randomId;
  }

  *write(event: ToolEvent): Generator<StreamPart, void> {
    switch (event.kind) {
      case 'text':
        if (this.open?.kind !== 'text') {
          yield* this.end(true);
          this.open = { kind: 'text', id: String(this.texts++) };
          yield { type: 'text-start', id: this.open.id };
        }
        yield { type: 'text-delta', id: this.open.id, delta: event.text };
        return;
      case 'call':
        yield* this.end(true);
        this.open = { kind: 'call', id: `call_${this.randomId()}`, name: event.name, input: '' };
        yield { type: 'tool-input-start', id: this.open.id, toolName: event.name };
        return;
      case 'arguments':
        if (this.open?.kind !== 'call') return;
        this.open.input += event.text;
        yield { type: 'tool-input-delta', id: this.open.id, delta: event.text };
        return;
      default:
        event satisfies never;
    }
  }

  /** Ends what is open. A call that maxOutputTokens cut short is not to be made. */
  *end(isWhole: boolean): Generator<StreamPart, void> {
    const { open } = this;
    this.open = null;
    if (open?.kind === 'text') yield { type: 'text-end', id: open.id };
    if (open?.kind !== 'call') return;
    yield { type: 'tool-input-end', id: open.id };
    if (!isWhole) return;
    this.calls++;
    yield { type: 'tool-call', toolCallId: open.id, toolName: open.name, input: open.input };
  }
}

function optionsOf(call: LanguageModelV4CallOptions): GenerationOptions {
  const { maxOutputTokens: maxTokens, stopSequences, temperature, topK, topP, seed } = call;
  const { presencePenalty, frequencyPenalty } = call;
  const stop = stopSequences?.length ? stopSequences : undefined;
  return { maxTokens, stop, temperature, topK, topP, seed, presencePenalty, frequencyPenalty };
}

function finishReasonOf({ finishReason, stop }: GenerationResult, calls: number): LanguageModelV4FinishReason {
  const raw = stop === null ? finishReason : `stop: ${stop}`;
  if (finishReason !== 'stop') return { unified: finishReason === 'length' ? 'length' : 'other', raw };
  return { unified: calls > 0 ? 'tool-calls' : 'stop', raw };
}

function usageOf({ promptIds, timings }: GenerationResult): LanguageModelV4Usage {
  const { cache_n: cacheRead, predicted_n: generated } = timings;
  const total = promptIds.length;
  return {
    inputTokens: { total, noCache: total - cacheRead, cacheRead, cacheWrite: undefined },
    outputTokens: { total: generated, text: generated, reasoning: undefined },
  };
}

function metadataOf({ seed, timings }: GenerationResult, logprobs: unknown[] | null): SharedV4ProviderMetadata {
  return { cria: { seed, timings: { ...timings }, ...(logprobs && { logprobs: logprobs as never }) } };
}

function logprobOf({ id, text, logprobs }: Piece) {
  return { id, text, logprob: logprobs?.logprob ?? null, top: logprobs?.top ?? [] };
}
