/**
 * The worker's side: answers calls with one Engine, and steps it for as long as it has work, breathing between steps so that new
 * calls and aborts are heard.
 */
import { ArgumentError, CriaError, UnsupportedError } from '../../base/errors.ts';
import { isOfGpu } from '../../devices/choose.ts';
import type { Device } from '../../devices/device.ts';
import type { Adapter } from '../../model/adapter/adapter.ts';
import { adapterWeights, type PlacedAdapter, placeAdapter } from '../../model/adapter/apply.ts';
import { otherBaseNote } from '../../model/adapter/base-weights.ts';
import { spokenTemplate } from '../../model/adapter/merge.ts';
import { EngineAdapters, opsForAll } from '../../model/adapter/select.ts';
import { cacheOf } from '../../model/cache-size.ts';
import type { Checkpoint, OpenOptions } from '../../model/checkpoint/checkpoint.ts';
import { stretchNote } from '../../model/checkpoint/stretch.ts';
import type { LlamaConfig } from '../../model/config.ts';
import { loadModel, prepareModel, weightsOf } from '../../model/model.ts';
import { listParameters } from '../../model/parameters.ts';
import { type DType, rowBytes } from '../../tensor/dtype.ts';
import { columnCount, elementCount, rowCount } from '../../tensor/tensor.ts';
import { createTokenizer } from '../../tokenizer/create-tokenizer.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { Engine, type Job } from '../engine.ts';
import { ConstraintCompiler } from '../grammar/compile-constraint.ts';
import { logitsOf, trace, traceNames } from '../observe.ts';
import { checkIds } from '../prompt.ts';
import { columnSquares } from '../reading/importance.ts';
import { nearestRows, parameterRows } from '../reading/parameters.ts';
import type { TokenScores } from '../reading/scoring.ts';
import type { Listener } from '../running.ts';
import { Speculation } from '../speculation/speculation.ts';
import { loadDraft } from './draft.ts';
import { archiveOf, type BlockFiles, loadState, type Storage, saveState, stateIdentity } from './kept-state.ts';
import { cacheTokensOf, contextOf, kvTypeOf } from './load-defaults.ts';
import type {
  AdapterFacts,
  AdapterSettings,
  FromEngine,
  LoadProgress,
  LoadSettings,
  Method,
  Methods,
  ModelFacts,
  Source,
  ToEngine,
} from './protocol.ts';
import { rehearse } from './rehearsal.ts';
import { encodeError } from './wire-errors.ts';

/** What layer 7 gives an engine. */
export interface EngineWorld {
  post(message: FromEngine, transfer: ArrayBuffer[]): void;
  /** Finds the files, downloading where the source is a URL. */
  openSource(source: Source, onProgress: (progress: LoadProgress) => void, options: OpenOptions): Promise<Checkpoint>;
  openAdapter(
    source: Source,
    config: LlamaConfig,
    onProgress: (progress: LoadProgress) => void,
  ): Promise<Adapter> | Adapter;
  createDevice(settings: LoadSettings): Promise<Device>;
  /** Lets messages in. */
  breathe(): Promise<void>;
  clock(): number;
  /** The time of day, for chat templates that write the date. */
  now(): Date;
  drawSeed(): number;
  /** For what outlives the engine; absent: nothing can. */
  readonly storage?: Storage;
}

interface Loaded {
  readonly engine: Engine;
  readonly checkpoint: Checkpoint;
  /** Of what the cache holds. */
  readonly identity: () => string;
  readonly blocks: BlockFiles | null;
}

export class EngineHost {
  private readonly world: EngineWorld;
  private loaded: Loaded | null = null;
  private readonly jobs = new Map<number, Job>();
  private compiler: ConstraintCompiler | undefined;
  private events: (readonly [number, unknown])[] = [];
  private stepping = false;

  constructor(world: EngineWorld) {
    this.world = world;
  }

  async receive(message: ToEngine): Promise<void> {
    if (message.kind === 'abort') {
      this.jobs.get(message.call)?.abort();
      return;
    }
    const { call } = message;
    try {
      const answer = this.answer(message);
      if (message.aborted) this.jobs.get(call)?.abort();
      const value = await answer;
      this.flush();
      this.world.post({ kind: 'value', call, value }, buffersOf(value));
    } catch (error) {
      this.flush();
      this.world.post({ kind: 'error', call, error: encodeError(error) }, []);
    }
  }

  private answer(
    message: Extract<ToEngine, { kind: 'call' }>,
  ): Promise<Methods[Method]['value']> | Methods[Method]['value'] {
    const { call } = message;
    if (message.method === 'load') return this.load(call, ...message.args);
    const { engine, checkpoint } = this.require();
    const { model, device } = engine;
    const { vocabSize } = model.config;
    const usualOps = (count: number) => opsForAll(device.ops, count, engine.adapters.usual);
    switch (message.method) {
      case 'generate':
        return this.generate(call, engine, message.args);
      case 'encode':
        return engine.encode(...message.args);
      case 'logits':
        return logitsOf(
          device,
          model,
          checkIds('logits', message.args[0], vocabSize),
          usualOps(message.args[0].length),
        );
      case 'trace': {
        const [ids, names, slice] = message.args;
        return trace(device, model, checkIds('trace', ids, vocabSize), names, { ...slice, ops: usualOps(ids.length) });
      }
      case 'parameterRows':
        return parameterRows(checkpoint.tensors, ...message.args);
      case 'nearestRows':
        return nearestRows(checkpoint.tensors, ...message.args);
      case 'traceNames':
        return traceNames(model.config);
      case 'importance':
        return columnSquares(device, model, checkIds('importance', message.args[0], vocabSize), message.args[1]);
      case 'embed':
        return this.embed(call, engine, message.args);
      case 'score':
        return this.score(call, engine, message.args);
      case 'engineLoad':
        return engine.load;
      case 'memory':
        return device.memory();
      case 'saveState': {
        const [path, given, note, adapters, textOnly] = message.args;
        const ids = checkIds('saveState', given, vocabSize);
        const { key: kind } = engine.adapters.select(adapters);
        return saveState(this.storage(), path, { ids, kind, note, textOnly }, this.stateOf(this.require()));
      }
      case 'forgetState': {
        const [ids, adapters] = message.args;
        return engine.cache.forgetText(ids, engine.adapters.select(adapters).key);
      }
      case 'loadState':
        return loadState(this.storage(), message.args[0], this.stateOf(this.require()));
      case 'close':
        return this.close();
      default:
        return message satisfies never;
    }
  }

  /** Where 'auto' chose a GPU that cannot be used, whatever it is that fails, the model runs on wasm, and its remarks say why. */
  private async load(call: number, source: Source, settings: LoadSettings): Promise<ModelFacts> {
    const onProgress = (progress: LoadProgress) => this.tell(call, progress);
    const checkpoint = await this.world.openSource(source, onProgress, settings.open);
    const loadOn = (device: LoadSettings['device']) =>
      this.loadOn(checkpoint, source, { ...settings, device }, onProgress);
    try {
      return await loadOn(settings.device).catch(async (error: unknown) => {
        if (settings.device !== 'auto' || !isOfGpu(error)) throw error;
        const facts = await loadOn('wasm');
        return { ...facts, remarks: [...facts.remarks, `${error.message} So it runs on wasm.`] };
      });
    } catch (error) {
      checkpoint.close();
      throw error;
    }
  }

  /** Closes what it opened where it fails, all but the checkpoint. */
  private async loadOn(
    checkpoint: Checkpoint,
    source: Source,
    settings: LoadSettings,
    onProgress: (progress: LoadProgress) => void,
  ): Promise<ModelFacts> {
    let device: Device | null = null;
    const adapters: Adapter[] = [];
    let draft: Checkpoint | null = null;
    try {
      const { config } = checkpoint;
      const { ropeScaling: method } = settings.open;
      const contextLength = contextOf(config, settings.contextLength);
      const kvType = settings.kvType ?? kvTypeOf(checkpoint);
      const tokenizer: Tokenizer | null =
        checkpoint.tokenizer && createTokenizer(checkpoint.tokenizer, { vocabSize: config.vocabSize });
      device = await this.world.createDevice(settings);
      for (const { source: place } of settings.adapters)
        adapters.push(await this.world.openAdapter(place, config, onProgress));
      if (settings.draft?.model) draft = await this.world.openSource(settings.draft.model, onProgress, {});
      const drafts = draft ? weightsOf(draft.config, draft.tensors) : [];
      const others = [...adapters.flatMap(adapterWeights), ...drafts];
      const remarks = [
        ...(tokenizer?.remarks ?? []),
        ...(method === undefined ? [] : [stretchNote(method)]),
        ...adapters.flatMap((adapter) => otherBaseNote(adapter, config, checkpoint.tensors) ?? []),
      ];
      const sequences = settings.maxSequences ?? 1;
      const sizes = {
        contextLength,
        kvType,
        cacheTokens: settings.cacheTokens ?? cacheTokensOf(config, { contextLength, kvType, sequences }),
        batchTokens: settings.batchTokens ?? undefined,
      };
      const cache = cacheOf(config, sizes);
      const compiled = (done: number, total: number) => onProgress({ stage: 'compile', done, total });
      await prepareModel(device, config, checkpoint.tensors, others, cache, compiled);
      let reported = 0;
      const progress = (done: number, total: number) => {
        if (done < total && this.world.clock() - reported < 50) return;
        reported = this.world.clock();
        onProgress({ stage: 'load', done, total });
      };
      const ofDraft = draft ? listParameters(draft.config).length : 0;
      const ofModel = (done: number, total: number) => progress(done, total + ofDraft);
      const model = loadModel(device, config, checkpoint.tensors, ofModel, { runLength: contextLength });
      const placed = adapters.map((adapter, i) =>
        placeAdapter(device!, model, adapter, { ...settings.adapters[i]!, weights: checkpoint.tensors }),
      );
      const facts = adapters.map((adapter, i) => adapterFacts(adapter, settings.adapters[i]!, placed[i]!));
      const spoken = adapters.filter((_, i) => settings.adapters[i]!.usual);
      const chatTemplate = spokenTemplate(spoken) ?? checkpoint.chatTemplate;
      const { clock, drawSeed } = this.world;
      const engine = new Engine({
        ...sizes,
        model,
        device,
        adapters: new EngineAdapters(placed, facts),
        tokenizer,
        eogIds: checkpoint.generation.eosIds,
        chatTemplate,
        maxSequences: settings.maxSequences ?? undefined,
        clock: () => clock(),
        now: () => this.world.now(),
        drawSeed: () => drawSeed(),
      });
      if (settings.draft) {
        const { lookUp } = settings.draft;
        const before = listParameters(config).length;
        const target = { checkpoint, tokenizer, contextLength, cacheTokens: sizes.cacheTokens };
        const ahead =
          draft && loadDraft(device, draft, target, (done, total) => progress(before + done, before + total));
        engine.guessBy(new Speculation({ lookUp, draft: ahead, clock: () => clock() }));
      }
      draft?.close();
      await rehearse(engine, compiled);
      this.loaded = this.keeping(engine, checkpoint, source, settings);
      this.compiler = undefined;
      for (const adapter of adapters) adapter.close();
      return {
        ...factsOf(checkpoint),
        chatTemplate,
        contextLength,
        kvType,
        device: device.description,
        remarks,
        adapters: facts,
        keepsCache: settings.keep !== null,
        guesses: settings.draft !== null,
      };
    } catch (error) {
      device?.close();
      for (const adapter of adapters) adapter.close();
      draft?.close();
      throw error;
    }
  }

  /** What is needed to keep what is read; begins with it where the settings say so. */
  private keeping(engine: Engine, checkpoint: Checkpoint, source: Source, settings: LoadSettings): Loaded {
    const { contextLength, store, device, cache } = engine;
    const { adapters, blas, keep } = settings;
    let known: string | null = null;
    const identity = () => {
      const facts = { checkpoint, source, contextLength, store, device, adapters, blas };
      return (known ??= stateIdentity(this.storage(), facts));
    };
    if (!keep) return { engine, checkpoint, identity, blocks: null };
    const blocks = this.storage().openBlocks(keep.folder, keep.mostBytes);
    cache.keepIn(archiveOf(this.storage(), blocks, identity(), { device, store }));
    return { engine, checkpoint, identity, blocks };
  }

  private stateOf({ engine, identity }: Loaded) {
    return { cache: engine.cache, device: engine.device, store: engine.store, identity: identity() };
  }

  private storage(): Storage {
    if (this.world.storage) return this.world.storage;
    throw new UnsupportedError(
      'state.browser',
      'engine: there are no files here to keep what was read, expected Node. Leave cacheDir, saveState and loadState out.',
    );
  }

  private generate(
    call: number,
    engine: Engine,
    [prompt, options, spec, adapters]: Methods['generate']['args'],
  ): Promise<Methods['generate']['value']> {
    const constraint = spec && this.constraints(engine).compile(spec);
    return new Promise((resolve, reject) => {
      const listener: Listener = {
        admitted: (cachedTokens) => void this.events.push([call, { cachedTokens }]),
        promptRead: (promptLogprobs) => void this.events.push([call, { promptLogprobs }]),
        piece: (piece) => void this.events.push([call, piece]),
        done: (result) => {
          this.jobs.delete(call);
          resolve(result);
        },
        failed: (error) => {
          this.jobs.delete(call);
          reject(error);
        },
      };
      this.jobs.set(call, engine.submit(prompt, options, listener, { constraint, adapters }));
      void this.run(engine);
    });
  }

  private constraints(engine: Engine): ConstraintCompiler {
    const { tokenizer, eogIds, model } = engine;
    if (tokenizer) return (this.compiler ??= new ConstraintCompiler(tokenizer, eogIds, model.config.vocabSize));
    throw new ArgumentError(
      'generate.tokenizer',
      'generate: a grammar or schema expects a model with a tokenizer, found none in its files. Put the tokenizer beside the model.',
    );
  }

  private embed(
    call: number,
    engine: Engine,
    [ids, pooling, adapters]: Methods['embed']['args'],
  ): Promise<Float32Array> {
    const checked = checkIds('embed', ids, engine.model.config.vocabSize);
    return this.runJob(call, engine, (listener) => engine.embed(checked, pooling, listener, adapters));
  }

  private score(
    call: number,
    engine: Engine,
    [context, continuations, adapters]: Methods['score']['args'],
  ): Promise<readonly TokenScores[]> {
    const { vocabSize } = engine.model.config;
    if (continuations.length === 0) {
      throw new ArgumentError(
        'score.prompt',
        'score: no continuations, expected at least one. Give texts or arrays of ids.',
      );
    }
    const [text, ...rest] = [context, ...continuations].map((ids) => checkIds('score', ids, vocabSize));
    return this.runJob(call, engine, (listener) => engine.score(text!, rest, listener, adapters));
  }

  /** A job with one result. */
  private runJob<Value>(
    call: number,
    engine: Engine,
    submit: (listener: { done(value: Value): void; failed(error: unknown): void }) => Job,
  ): Promise<Value> {
    return new Promise((resolve, reject) => {
      const settle =
        <T>(then: (value: T) => void) =>
        (value: T) => {
          this.jobs.delete(call);
          then(value);
        };
      this.jobs.set(call, submit({ done: settle(resolve), failed: settle(reject) }));
      void this.run(engine);
    });
  }

  private async run(engine: Engine): Promise<void> {
    if (this.stepping) return;
    this.stepping = true;
    await this.world.breathe(); // requests that came together ride together from the first step
    while (await engine.step()) {
      this.flush();
      await this.world.breathe();
    }
    this.stepping = false;
    this.flush();
    if (this.loaded?.blocks) engine.cache.saveAll();
  }

  private async close(): Promise<null> {
    const { engine, checkpoint, blocks } = this.require();
    this.loaded = null;
    engine.failAll(closedError());
    if (blocks) {
      // As many at a time as may wait to be written.
      await blocks.flush();
      while (engine.cache.saveAll() > 0) await blocks.flush();
    }
    engine.device.close();
    checkpoint.close();
    return null;
  }

  private require(): Loaded {
    if (!this.loaded) throw closedError();
    return this.loaded;
  }

  private tell(call: number, event: unknown): void {
    this.events.push([call, event]);
    this.flush();
  }

  private flush(): void {
    if (this.events.length === 0) return;
    this.world.post({ kind: 'events', events: this.events }, []);
    this.events = [];
  }
}

export function closedError(): CriaError {
  return new CriaError('engine.closed', 'engine: the model is closed, expected an open one. Load it again.');
}

function adapterFacts(
  { format, layers, replaced, chatTemplate }: Adapter,
  { name, scale, usual }: AdapterSettings,
  { hasMagnitudes }: PlacedAdapter,
): AdapterFacts {
  const sources = [
    ...[...layers.values()].flatMap(({ a, b, magnitude }) => [a, b, ...(magnitude ? [magnitude] : [])]),
    ...replaced.values(),
  ];
  const parameterCount = sources.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  return { name, format, scale, usual, hasMagnitudes, chatTemplate: chatTemplate ?? null, parameterCount };
}

function factsOf(
  checkpoint: Checkpoint,
): Omit<ModelFacts, 'contextLength' | 'kvType' | 'device' | 'remarks' | 'adapters' | 'chatTemplate'> {
  const { name, format, config, tokenizer, tensors } = checkpoint;
  const counts = new Map<string, number>();
  const dtypeOf: Record<string, DType> = {};
  let parameterCount = 0;
  let weightBytes = 0;
  for (const [parameter, { dtype, shape }] of tensors) {
    dtypeOf[parameter] = dtype;
    counts.set(dtype, (counts.get(dtype) ?? 0) + 1);
    parameterCount += elementCount(shape);
    weightBytes += rowCount(shape) * rowBytes(dtype, columnCount(shape));
  }
  const dtypes = [...counts].sort((a, b) => b[1] - a[1]).map(([dtype]) => dtype);
  return { name, format, config, tokenizer, parameterCount, weightBytes, dtypes, dtypeOf };
}

/** Large arrays are handed over, not copied. */
function buffersOf(value: unknown): ArrayBuffer[] {
  if (value instanceof Float32Array && value.buffer instanceof ArrayBuffer) return [value.buffer];
  if (value instanceof Map) return [...value.values()].flatMap((entry: { data?: unknown }) => buffersOf(entry.data));
  return [];
}
