import { ArgumentError, CriaError } from '../../base/errors.ts';
import type { TokenizerFiles } from '../../formats/tokenizer-files.ts';
import type { AdapterChoice } from '../../model/adapter/select.ts';
import type { LlamaConfig } from '../../model/config.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import type { EngineLoad } from '../engine.ts';
import type { GenerationResult, Piece, PieceLogProbabilities, Prompt } from '../generation.ts';
import type { TraceSlice } from '../observe.ts';
import { resolveOptions } from '../option-table.ts';
import { type GenerationOptions, generationOptions } from '../options.ts';
import type { Pooling } from '../reading/embedding.ts';
import type { ColumnSquares } from '../reading/importance.ts';
import type { NearRow } from '../reading/parameters.ts';
import type { TokenScores } from '../reading/scoring.ts';
import { Chat, type ChatOptions } from './chat.ts';
import type { EngineClient } from './client.ts';
import { GenerationStream } from './generation-stream.ts';
import type { LoadedState, SavedState } from './kept-state.ts';
import type { MemoryUse, Method, Methods, ModelFacts } from './protocol.ts';
import { Traces } from './traces.ts';
import { type ConstraintOptions, constraintOf, TypedGeneration, type TypedSchema } from './typed.ts';

export type GenerateOptions = GenerationOptions &
  ConstraintOptions & {
    readonly signal?: AbortSignal | undefined;
    /** The adapters that it is computed with, of those that were loaded; absent: the usual ones. */
    readonly adapters?: AdapterChoice | undefined;
    /** It has left the queue; the cache held this many tokens of its prompt. */
    readonly onAdmitted?: ((cachedTokens: number) => void) | undefined;
    /** With `promptLogprobs`, before the first piece: what the result has under that name. */
    readonly onPromptRead?: ((logprobs: readonly PieceLogProbabilities[]) => void) | undefined;
    /** Every piece as it comes, whether or not anybody reads the stream. */
    readonly onPiece?: ((piece: Piece) => void) | undefined;
  };

type CreateTokenizer = (files: TokenizerFiles, sizes: { readonly vocabSize: number }) => Tokenizer;

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly adapters?: AdapterChoice | undefined;
}

/**
 * A loaded model. The numbers are made in a worker, so nothing here blocks the caller's event loop; calls may overlap, and
 * generations that overlap share batches without changing each other's bits.
 */
export class RemoteModel {
  readonly config: LlamaConfig;
  /** What else is known of it: name, format, context, kernels. */
  readonly facts: ModelFacts;
  private client: EngineClient;
  private refresh: (() => Promise<EngineClient | null>) | null = null;
  private refreshing: Promise<void> | null = null;
  private cachedTokenizer: Tokenizer | null = null;
  private readonly createTokenizer: CreateTokenizer;

  /** `create`: the code of tokenizers is large, so that who makes a model chooses when to load it. */
  constructor(client: EngineClient, facts: ModelFacts, create: CreateTokenizer) {
    this.client = client;
    this.facts = facts;
    this.config = facts.config;
    this.createTokenizer = create;
  }

  /** Longest sequence of this engine, prompt and generated text together. */
  get contextLength(): number {
    return this.facts.contextLength;
  }

  /** Its engine is there: neither closed nor dead. Busy is not dead. */
  get isRunning(): boolean {
    return this.client.isRunning;
  }

  /** Resolves when it is closed, or its engine has died. */
  whenEnded(): Promise<void> {
    return this.client.whenEnded();
  }

  get hasTokenizer(): boolean {
    return this.facts.tokenizer !== null;
  }

  /** Throws ArgumentError `model.no-tokenizer`. */
  get tokenizer(): Tokenizer {
    if (!this.facts.tokenizer) {
      throw new ArgumentError(
        'model.no-tokenizer',
        `model.tokenizer: expected a tokenizer in the files of ${this.facts.name}, found none. Put tokenizer.json or tokenizer.model beside the model, or work with token ids.`,
      );
    }
    this.cachedTokenizer ??= this.createTokenizer(this.facts.tokenizer, { vocabSize: this.config.vocabSize });
    return this.cachedTokenizer;
  }

  /** The files of its tokenizer, for another model that is to have the same. Throws ArgumentError `model.no-tokenizer`. */
  get vocabulary(): { readonly files: TokenizerFiles; readonly size: number } {
    const { vocabSize: size } = this.tokenizer;
    return { files: this.facts.tokenizer!, size };
  }

  /**
   * Continues a text, token ids or a conversation. Every option of `generationOptions`; `grammar` or `jsonSchema`, which the text
   * then keeps to; and `signal`, which ends the generation with finishReason 'abort'.
   */
  generate(prompt: Prompt, options?: GenerateOptions & { readonly schema?: undefined }): GenerationStream;
  /** With a schema (zod's, say) the text is JSON that is valid for it, and value() is that JSON parsed and typed. */
  generate<Output>(
    prompt: Prompt,
    options: Omit<GenerateOptions, keyof ConstraintOptions> & { readonly schema: TypedSchema<Output> },
  ): TypedGeneration<Output>;
  generate(
    prompt: Prompt,
    options: GenerateOptions & { readonly schema?: TypedSchema | undefined } = {},
  ): GenerationStream {
    const { signal, adapters, onAdmitted, onPromptRead, onPiece, grammar, jsonSchema, constraint, schema, ...rest } =
      options;
    const ending = new AbortController();
    const abort = () => ending.abort();
    const start = async (push: (piece: Piece) => void): Promise<GenerationResult> => {
      resolveOptions('generate', generationOptions, rest); // refused here, before anything is sent
      const spec = constraintOf({ grammar, jsonSchema, constraint, schema });
      signal?.addEventListener('abort', abort, { once: true });
      if (signal?.aborted) abort();
      const onEvent = (event: Methods['generate']['event']) => {
        if ('cachedTokens' in event) onAdmitted?.(event.cachedTokens);
        else if ('promptLogprobs' in event) onPromptRead?.(event.promptLogprobs);
        else {
          push(event);
          onPiece?.(event);
        }
      };
      try {
        if (this.refresh) await this.refreshed();
        const args: Methods['generate']['args'] = [cloneable(prompt), rest, spec, adapters ?? null];
        return await this.client.call('generate', args, { onEvent, signal: ending.signal });
      } finally {
        signal?.removeEventListener('abort', abort);
      }
    };
    return schema ? new TypedGeneration(schema, start, abort) : new GenerationStream(start, abort);
  }

  /** A conversation in the model's own chat format, or in `template`. */
  chat(options: ChatOptions = {}): Chat {
    return new Chat((prompt, generateOptions) => this.generate(prompt, generateOptions), options);
  }

  /** The token ids of a prompt as generate() reads it: with the beginning token, through the chat template (an adapter's, where it brings one). */
  encodePrompt(
    prompt: Prompt,
    { parseSpecial = false, adapters }: { readonly parseSpecial?: boolean; readonly adapters?: AdapterChoice } = {},
  ): Promise<Uint32Array> {
    return this.call('encode', [cloneable(prompt), { parseSpecial }, adapters ?? null]);
  }

  /** Logits of all positions, row by row: ids.length × vocabSize. */
  logits(ids: ArrayLike<number>): Promise<Float32Array> {
    return this.call('logits', [cloneable(ids)]);
  }

  /**
   * Activations by name, `*` for any part between dots: `blocks.*.attention.probabilities`, `hidden.3`. See traceNames(). `rows` and
   * `heads` take a part of each: of a long text, or of many heads, that is much less to compute and to send. `without` and `keyGroups`
   * compute it otherwise: without what some branches add, or with keys and values shared by fewer groups.
   */
  async trace(
    ids: ArrayLike<number>,
    names: readonly string[],
    { rows, heads, without, keyGroups }: TraceSlice = {},
  ): Promise<Traces> {
    const slice: TraceSlice = {
      ...(rows && { rows: [...rows] }),
      ...(heads && { heads: [...heads] }),
      ...(without && { without: [...without] }),
      ...(keyGroups !== undefined && { keyGroups }),
    };
    return new Traces(await this.call('trace', [cloneable(ids), [...names], slice]));
  }

  /** Rows [from, to) of a parameter (`embed_VD`, `blocks.3.wq_QD`) as numbers, decoded from its stored type. */
  parameterRows(name: string, from: number, to: number): Promise<Float32Array> {
    return this.call('parameterRows', [name, from, to]);
  }

  /** The rows of a matrix that point most nearly where row `row` points, by cosine, best first: of `embed_VD`, a token's neighbours. */
  nearestRows(name: string, row: number, count: number): Promise<readonly NearRow[]> {
    return this.call('nearestRows', [name, row, count]);
  }

  /** Every name that trace() knows. */
  traceNames(): Promise<string[]> {
    return this.call('traceNames', []);
  }

  /**
   * What an importance matrix is made of: for every matrix that a sequence goes through, by parameter name, Σ x² of what each column is
   * multiplied with, over its tokens. `withOutput`: also of the output matrix.
   */
  importance(
    ids: ArrayLike<number>,
    { withOutput = false }: { readonly withOutput?: boolean } = {},
  ): Promise<Map<string, ColumnSquares>> {
    return this.call('importance', [cloneable(ids), withOutput]);
  }

  /** The state of every position after the last norm, row by row: ids.length × width. */
  async hiddenStates(ids: ArrayLike<number>): Promise<Float32Array> {
    return (await this.trace(ids, ['hidden.norm'])).get('hidden.norm').data;
  }

  /**
   * A text as one vector of the model's width: the states after the last norm, pooled. It shares batches with everything else that
   * runs, so that a long text makes nobody wait.
   */
  async embed(
    ids: ArrayLike<number>,
    { pooling = 'mean', signal, adapters }: { readonly pooling?: Pooling } & CallOptions = {},
  ): Promise<Float32Array> {
    return this.call('embed', [cloneable(ids), pooling, adapters ?? null], signal);
  }

  /**
   * How likely the model finds each continuation of a text: Σ log p of its tokens. The text is computed once for all of them, and
   * everything shares batches with what else runs. A text's own beginning token is up to the caller; see encodePair().
   * Throws ArgumentError `score.prompt`, `score.context`.
   */
  async score(
    context: ArrayLike<number>,
    continuations: readonly ArrayLike<number>[],
    { signal, adapters }: CallOptions = {},
  ): Promise<readonly TokenScores[]> {
    return this.call('score', [cloneable(context), continuations.map(cloneable), adapters ?? null], signal);
  }

  /** What the engine is busy with. */
  engineLoad(): Promise<EngineLoad> {
    return this.call('engineLoad', []);
  }

  memory(): Promise<MemoryUse> {
    return this.call('memory', []);
  }

  /**
   * Writes what the cache holds of a text (whole blocks of 32 tokens) to a file, with the text itself and a note of the caller's, which is
   * plain data. `adapters`: those that it was computed with, as in generate(). With `textOnly` the text and the note alone are written, at the
   * end of the file if it is such a one, in place of those that it holds: little to write, after every turn say. Only in Node.
   */
  saveState(
    path: string,
    ids: ArrayLike<number>,
    note: unknown = null,
    { adapters, textOnly = false }: Pick<CallOptions, 'adapters'> & { readonly textOnly?: boolean } = {},
  ): Promise<SavedState> {
    return this.call('saveState', [path, cloneable(ids), note, adapters ?? null, textOnly]);
  }

  /**
   * Puts into the cache what saveState() wrote, where it was with this model and these options: what begins with it then need not be read
   * again, and has the same bits. Only in Node. Throws FormatError `state.damaged`.
   */
  loadState(path: string): Promise<LoadedState> {
    return this.call('loadState', [path]);
  }

  /**
   * Forgets what the cache holds of a text and no generation uses, in memory; what `cacheDir` keeps stays there. Returns how many tokens.
   */
  forgetState(ids: ArrayLike<number>, { adapters }: Pick<CallOptions, 'adapters'> = {}): Promise<number> {
    return this.call('forgetState', [cloneable(ids), adapters ?? null]);
  }

  /**
   * Before every call from now on, `refresh` may hand over another engine, which takes this one's place: a trainer's, with the
   * weights as they are by then.
   */
  protected refreshWith(refresh: () => Promise<EngineClient | null>): void {
    this.refresh = refresh;
  }

  /** Puts the newest weights in place, where a trainer has changed them. */
  protected refreshed(): Promise<void> {
    this.refreshing ??= this.takeRefresh().finally(() => {
      this.refreshing = null;
    });
    return this.refreshing;
  }

  private async takeRefresh(): Promise<void> {
    const next = await this.refresh?.();
    if (!next) return;
    const before = this.client;
    this.client = next;
    const reason = 'engine: training has changed the weights while this was running. Call it again.';
    await before.terminate(new CriaError('engine.replaced', reason));
  }

  private async call<M extends Method>(
    method: M,
    args: Methods[M]['args'],
    signal?: AbortSignal,
  ): Promise<Methods[M]['value']> {
    signal?.throwIfAborted();
    if (this.refresh) await this.refreshed();
    return this.client.call(method, args, { signal });
  }

  /** Frees the model. Generations under way are ended with an error. May be called twice. */
  async close(): Promise<void> {
    // What was read is written to its folder first.
    if (this.facts.keepsCache && this.client.isRunning) await this.client.call('close', []).catch(() => {});
    await this.client.terminate(
      new CriaError('engine.closed', 'engine: the model was closed while this was waiting, or before. Load it again.'),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Ids as something that can be sent, and unchanged: the engine refuses what is no token. */
function cloneable<T extends Prompt | ArrayLike<number>>(prompt: T): T | readonly number[] {
  const isIds = typeof prompt === 'object' && prompt !== null && !('messages' in prompt);
  return isIds && !ArrayBuffer.isView(prompt) ? Array.from(prompt) : prompt;
}
