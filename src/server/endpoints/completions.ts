/** POST /v1/completions. */
import type { Piece } from '../../inference/generation.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { type Generations, startGenerations } from '../generations.ts';
import type { Desk } from '../preparing/desk.ts';
import { finishReasonOf, mergeAnswers, usageOf } from '../reply/choices.ts';
import { toEventStream } from '../reply/event-stream.ts';
import { completionLogprobs, TokenNames } from '../reply/token-names.ts';
import { grammarConstraint } from '../request/constrained.ts';
import { optionsOf, type Shape, shapeOf } from '../request/generation-fields.ts';
import { parseBody } from '../request/parse.ts';
import { completionSchema, listOf } from '../request/texts.ts';
import type { Call, Core, Reply } from '../world.ts';
import { constraintOf } from './constraint.ts';
import { askedFor, checkLength, encodeTexts } from './prompts.ts';

export function prepareCompletion(desk: Desk, body: unknown) {
  const request = parseBody(completionSchema, body);
  const { model } = desk;
  const asked = askedFor(desk, request);
  const withLogprobs = request.logprobs != null;
  const echo = request.echo ?? false;
  const options = {
    ...optionsOf(request),
    logprobs: request.logprobs ?? -1,
    promptLogprobs: echo && withLogprobs,
  };
  const prompts = encodeTexts(model, listOf(request.prompt), 'prompt', request.parse_special ?? false);
  // Otherwise an answer ends where the context does, and says so.
  const limits = desk.settings.refuseBeyondContext ? options : {};
  for (const prompt of prompts) checkLength(model, prompt, 'prompt', limits);
  const echoes = listOf(request.prompt).map((text, i) => {
    if (!echo) return '';
    return typeof text === 'string' ? text : model.tokenizer.decode(prompts[i]!);
  });
  const constraint = grammarConstraint(request);
  const shape: CompletionShape = { ...shapeOf(request), withLogprobs, echoes, model: asked.model };
  return { prompts, options, shape, asked, constraint: constraint && JSON.stringify(constraint) };
}

export async function completions(
  core: Core,
  { signal, notes }: Call,
  { prompts, options, shape, asked, constraint: spec }: ReturnType<typeof prepareCompletion>,
): Promise<Reply> {
  const promptTokens = prompts.reduce((sum, prompt) => sum + prompt.length, 0);
  Object.assign(notes, { promptTokens, user: shape.user ?? undefined, stream: shape.stream });
  const { constraint, headers } = await constraintOf(core, spec, signal, notes);
  const { n, slot } = shape;
  const plan = { prompts, n, slot, options: { ...options, constraint, adapters: asked.adapters ?? undefined } };
  const generations = await startGenerations(core, plan, signal);
  const writer = new CompletionWriter(core, generations, prompts, shape, notes);
  if (!shape.stream) return { kind: 'json', body: await writer.whole(), headers };
  const events = toEventStream(writer.chunks(), (error) => Object.assign(notes, { error }));
  return { kind: 'events', events, headers };
}

interface CompletionShape extends Shape {
  readonly model: string;
  readonly withLogprobs: boolean;
  /** What goes in front of each prompt's choices. */
  readonly echoes: readonly string[];
}

/** A prompt in front of an answer; with log-probabilities, spelled token by token as the model read it. */
interface Echo {
  readonly text: string;
  readonly pieces: readonly Piece[];
}

class CompletionWriter {
  private readonly generations: Generations;
  private readonly tokenizer: Tokenizer;
  private readonly prompts: readonly Uint32Array[];
  private readonly shape: CompletionShape;
  private readonly notes: Record<string, unknown>;
  private readonly names: TokenNames;
  private readonly head: Readonly<Record<string, unknown>>;

  constructor(
    core: Core,
    generations: Generations,
    prompts: readonly Uint32Array[],
    shape: CompletionShape,
    notes: Record<string, unknown>,
  ) {
    this.generations = generations;
    this.prompts = prompts;
    this.shape = shape;
    this.notes = notes;
    this.tokenizer = core.model.tokenizer;
    this.names = new TokenNames(this.tokenizer);
    this.head = {
      id: `cmpl-${core.randomId()}`,
      object: 'text_completion',
      created: core.clocks.unixSeconds(),
      model: shape.model,
      system_fingerprint: `cria-${core.settings.version}`,
    };
  }

  async whole(): Promise<unknown> {
    const { answers } = this.generations;
    const pieces = answers.map(() => [] as Piece[]);
    if (this.shape.withLogprobs) {
      for await (const event of mergeAnswers(answers)) if ('piece' in event) pieces[event.index]!.push(event.piece);
    }
    const { usage, results, timings } = await this.end();
    const echoes = await Promise.all(results.map((_, index) => this.echo(index)));
    const choices = results.map(({ text, finishReason }, index) => {
      const echo = echoes[index]!;
      const all = [...echo.pieces, ...pieces[index]!];
      return this.choice(index, echo.text + text, all, 0, finishReasonOf(finishReason));
    });
    return { ...this.head, choices, usage, ...timings };
  }

  async *chunks(): AsyncGenerator<unknown, void> {
    const { answers } = this.generations;
    const { includeUsage, withLogprobs } = this.shape;
    const offsets = answers.map(() => 0);
    const noUsage = includeUsage ? { usage: null } : {};
    try {
      for (const index of answers.keys()) {
        const { text, pieces } = await this.echo(index);
        offsets[index] = text.length;
        if (text === '' && pieces.length === 0) continue;
        yield { ...this.head, choices: [this.choice(index, text, pieces, 0, null)], ...noUsage };
      }
      let open = answers.length;
      for await (const event of mergeAnswers(answers)) {
        const { index } = event;
        if ('piece' in event) {
          const { piece } = event;
          if (piece.text === '' && !withLogprobs) continue;
          const choice = this.choice(index, piece.text, [piece], offsets[index]!, null);
          offsets[index]! += piece.text.length;
          yield { ...this.head, choices: [choice], ...noUsage };
        } else {
          const { timings } = --open === 0 ? await this.end() : { timings: {} };
          const choice = this.choice(index, '', [], offsets[index]!, finishReasonOf(event.result.finishReason));
          yield { ...this.head, choices: [choice], ...noUsage, ...timings };
        }
      }
      const { usage } = await this.end();
      if (includeUsage) yield { ...this.head, choices: [], usage };
    } finally {
      this.generations.abort();
    }
  }

  private choice(index: number, text: string, pieces: readonly Piece[], offset: number, finish: string | null) {
    const logprobs = this.shape.withLogprobs ? completionLogprobs(this.names, pieces, offset) : null;
    return { index, text, logprobs, finish_reason: finish };
  }

  private async echo(index: number): Promise<Echo> {
    const { echoes, n, withLogprobs } = this.shape;
    const p = Math.floor(index / n);
    const text = echoes[p]!;
    if (text === '' || !withLogprobs) return { text, pieces: [] };
    const read = await this.generations.promptLogprobs[p]!;
    const decoder = this.tokenizer.decoder();
    const ids = this.prompts[p]!;
    const pieces = Array.from(ids, (id, i): Piece => {
      const spelled = decoder.push(id) + (i === ids.length - 1 ? decoder.flush() : '');
      return { id, text: spelled, ...(i > 0 && { logprobs: read[i - 1]! }) };
    });
    return { text: pieces.map((piece) => piece.text).join(''), pieces };
  }

  private async end() {
    const results = await this.generations.finish();
    const promptTokens = this.prompts.reduce((sum, { length }) => sum + length, 0);
    const usage = usageOf(promptTokens, results, this.generations.cachedTokens(results));
    Object.assign(this.notes, { completionTokens: usage.completion_tokens, seed: results[0]!.seed });
    return { results, usage, timings: results.length === 1 ? { timings: results[0]!.timings } : {} };
  }
}
