/**
 * Models that are loaded when somebody asks for them. Where memory is needed, the one that was not used for longest goes, when its
 * answers have ended. Loads are made one after another, in the order of the first request for each: a model that is to go takes no new
 * requests, they wait for it to be loaded again, so that nobody waits for ever.
 *
 * Names of one engine (the same files, loaded alike) share its weights and its cache.
 */

import { withResolvers } from '../../base/es2024.ts';
import { formatBytes } from '../../base/units.ts';
import type { MemoryUse, ModelFacts } from '../../inference/remote/protocol.ts';
import { ApiError } from '../api-error.ts';
import type { Core, ServedModel, ServerSettings, Shared } from '../world.ts';
import type { Listed, Models, Use, Waited } from './models.ts';

/** A model that the shelf has loaded, and will close. */
export type ShelvedModel = ServedModel & { memory(): Promise<MemoryUse>; close(): Promise<void> };

export interface EngineSpec {
  /** What people call it, in the log. */
  readonly name: string;
  /** Memory that it is expected to take: its files' sizes. */
  readonly bytes: number;
  load(onProgress: (share: number) => void, signal: AbortSignal): Promise<ShelvedModel>;
}

/** A name under which an engine is served. */
export interface Face {
  readonly engine: EngineSpec;
  readonly settings: ServerSettings;
  /** Adapters that are asked for like models. */
  readonly adapters: readonly string[];
}

export interface ShelfLimits {
  /** Of the models in memory together. */
  readonly memoryBytes: number;
  /** Requests that may wait for a model. */
  readonly waiting: number;
  readonly waitSeconds: number;
}

export interface ShelfHost {
  readonly clocks: Shared['clocks'];
  openCore(model: ShelvedModel, settings: ServerSettings): Core;
  /** What happens to the models, for the log. */
  say(message: string, fields: object): void;
}

interface Engine {
  readonly spec: EngineSpec;
  state: Listed['state'];
  model: ShelvedModel | null;
  readonly cores: Map<Face, Core>;
  facts: ModelFacts | null;
  bytes: number;
  progress: number | null;
  users: number;
  lastUsed: number | null;
  /** Orders engines by use, where the clock's seconds do not. */
  order: number;
}

interface Waiting {
  readonly face: Face;
  resolve(use: Use): void;
  reject(error: ApiError): void;
}

export class Shelf implements Models {
  private readonly faces: readonly Face[];
  private readonly engines = new Map<EngineSpec, Engine>();
  private readonly limits: ShelfLimits;
  private readonly host: ShelfHost;
  private readonly waiting: Waiting[] = [];
  private readonly ending = new AbortController();
  private changed = withResolvers<void>();
  private isLoading = false;
  private uses = 0;
  readonly choosesByName = true;
  isClosed = false;

  constructor(faces: readonly Face[], limits: ShelfLimits, host: ShelfHost) {
    this.faces = faces;
    this.limits = limits;
    this.host = host;
    for (const { engine: spec } of faces) {
      if (this.engines.has(spec)) continue;
      const nothing = { model: null, facts: null, progress: null, lastUsed: null, users: 0, order: 0 };
      this.engines.set(spec, { spec, state: 'on disk', cores: new Map(), bytes: spec.bytes, ...nothing });
    }
  }

  check(): void {
    if (this.isClosed) throw shuttingDown();
    const { length } = this.waiting;
    if (length < this.limits.waiting) return;
    const message = `the server is busy: ${length} requests wait for a model to be loaded. Try again later.`;
    throw new ApiError(503, 'overloaded', message, { retryAfterSeconds: 10 });
  }

  async use(name: string | null, signal: AbortSignal): Promise<Use> {
    this.check();
    const face = this.find(name);
    return this.engineOf(face).state === 'loaded' ? this.hold(face) : this.wait(face, signal);
  }

  /** Of a model that is loaded: it stays until the use is released. */
  private hold(face: Face): Use {
    const engine = this.engineOf(face);
    this.touch(engine);
    engine.users++;
    let isHeld = true;
    const release = () => {
      if (!isHeld) return;
      isHeld = false;
      engine.users--;
      this.touch(engine);
      this.change();
    };
    return { core: engine.cores.get(face)!, release };
  }

  waited(name: string | null): Waited {
    const face = this.find(name);
    const { state, progress } = this.engineOf(face);
    return { modelId: face.settings.modelId, state, progress };
  }

  list(): readonly Listed[] {
    return this.faces.map((face) => {
      const { state, facts, bytes, progress, lastUsed, users, cores } = this.engineOf(face);
      const { settings, engine } = face;
      const waiting = this.waiting.filter((one) => one.face.engine === engine).length;
      return { settings, state, facts, bytes, progress, lastUsed, users, waiting, core: cores.get(face) ?? null };
    });
  }

  async drain(): Promise<void> {
    this.isClosed = true;
    for (const { reject } of this.waiting.splice(0)) reject(shuttingDown());
    this.ending.abort();
    while (this.isLoading || [...this.engines.values()].some(({ users }) => users > 0)) await this.changed.promise;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.ending.abort();
    await Promise.all([...this.engines.values()].map((engine) => this.unload(engine)));
  }

  private engineOf({ engine }: Face): Engine {
    return this.engines.get(engine)!;
  }

  private find(name: string | null): Face {
    const [first] = this.faces;
    if (name === null) return first!;
    const plain = name.replace(/:latest$/, ''); // as Ollama's clients write it
    const has = (face: Face, one: string) => {
      const { modelId, aliases } = face.settings;
      const adapters = this.engineOf(face).facts?.adapters.map((adapter) => adapter.name) ?? face.adapters;
      return [modelId, ...aliases, ...adapters].includes(one);
    };
    const found = [name, plain].flatMap((one) => this.faces.filter((face) => has(face, one)))[0];
    if (found) return found;
    if (first!.settings.anyModel) return first!;
    const names = this.faces.map(({ settings }) => JSON.stringify(settings.modelId)).join(', ');
    const message = `model: this server serves ${names}, not ${JSON.stringify(name.slice(0, 200))}. Leave model out for the first, or start the server with -m NAME=MODEL or --any-model.`;
    throw new ApiError(404, 'model_not_found', message, { param: 'model' });
  }

  /** Until the model is loaded, which may mean to wait for another's last answer. */
  private wait(face: Face, signal: AbortSignal): Promise<Use> {
    return new Promise<Use>((resolve, reject) => {
      const over = new AbortController();
      const end = () => {
        const at = this.waiting.indexOf(waiting);
        if (at >= 0) this.waiting.splice(at, 1);
        over.abort();
        signal.removeEventListener('abort', leave);
        this.change();
      };
      const waiting: Waiting = {
        face,
        resolve: (use) => {
          end();
          resolve(use);
        },
        reject: (error) => {
          end();
          reject(error);
        },
      };
      const leave = () => waiting.reject(new ApiError(499, 'client_closed_request', 'the client has gone.'));
      if (signal.aborted) {
        leave();
        return;
      }
      signal.addEventListener('abort', leave, { once: true });
      this.waiting.push(waiting);
      const { waitSeconds } = this.limits;
      void this.host.clocks.sleep(waitSeconds * 1000, over.signal).then(() => {
        if (over.signal.aborted) return;
        const message = `${face.settings.modelId} was not in memory within ${waitSeconds} s: others are in use, or it takes longer to load. Try again later.`;
        waiting.reject(new ApiError(503, 'overloaded', message, { retryAfterSeconds: 10 }));
      });
      void this.loadAll();
    });
  }

  /** Loads what is waited for, one after another. */
  private async loadAll(): Promise<void> {
    if (this.isLoading) return;
    this.isLoading = true;
    while (this.waiting.length > 0) {
      const engine = this.engineOf(this.waiting[0]!.face);
      const mine = () => this.waiting.filter(({ face }) => face.engine === engine.spec);
      try {
        if (engine.state !== 'loaded') await this.load(engine, () => mine().length > 0);
        // Held before anything else happens: the next load may want this one's memory.
        if (engine.state === 'loaded') for (const { face, resolve } of mine()) resolve(this.hold(face));
      } catch (error) {
        const reason = this.isClosed ? shuttingDown() : notLoaded(engine.spec.name, error);
        for (const { reject } of mine()) reject(reason);
      }
    }
    this.isLoading = false;
    this.change();
  }

  /** `isWanted`: whether anybody still waits for it; where nobody does, nothing is loaded. */
  private async load(engine: Engine, isWanted: () => boolean): Promise<void> {
    const { name } = engine.spec;
    if (!(await this.makeRoom(engine, engine.bytes, isWanted))) return;
    const ending = new AbortController();
    const end = () => ending.abort(new Error('nobody waits for it any more'));
    this.ending.signal.addEventListener('abort', end, { once: true });
    const watch = async () => {
      while (engine.state === 'loading' && isWanted()) await this.changed.promise;
      if (engine.state === 'loading') end();
    };
    engine.state = 'loading';
    engine.progress = 0;
    const started = this.host.clocks.monotonic();
    this.host.say('loading', { model: name, expectedBytes: engine.bytes });
    void watch();
    try {
      const model = await engine.spec.load((share) => {
        // Every tenth is enough for a log.
        if (Math.floor(share * 10) > Math.floor((engine.progress ?? 0) * 10)) {
          this.host.say('loading', { model: name, percent: Math.floor(share * 100) });
        }
        engine.progress = share;
      }, ending.signal);
      engine.model = model;
      engine.facts = model.facts;
      const { weights, cache, arena } = await model.memory();
      engine.bytes = weights + cache + arena;
      if (!(await this.makeRoom(engine, engine.bytes, isWanted))) end();
      ending.signal.throwIfAborted();
      for (const face of this.faces) {
        if (face.engine === engine.spec) engine.cores.set(face, this.host.openCore(model, face.settings));
      }
      await Promise.all([...engine.cores.values()].map(({ preparers }) => preparers.ready));
      engine.state = 'loaded';
      this.touch(engine);
      void model.whenEnded().then(() => this.unload(engine, model)); // it has died: the next request loads it again
      const ms = Math.round(this.host.clocks.monotonic() - started);
      this.host.say('loaded', { model: name, bytes: engine.bytes, ms });
    } catch (error) {
      await this.unload(engine);
      if (!ending.signal.aborted) throw error;
    } finally {
      this.ending.signal.removeEventListener('abort', end);
      engine.progress = null;
      if (engine.state !== 'loaded') engine.state = 'on disk';
      this.change();
    }
  }

  /** Lets models go until `bytes` more fit. False: nobody waits any more. Throws ApiError 503 where it fits into no memory. */
  private async makeRoom(engine: Engine, bytes: number, isWanted: () => boolean): Promise<boolean> {
    const { memoryBytes } = this.limits;
    const { name } = engine.spec;
    if (bytes > memoryBytes) {
      const message = `${name} takes ${formatBytes(bytes)}, more than the server's --memory of ${formatBytes(memoryBytes)}.`;
      throw new ApiError(503, 'model_too_large', message);
    }
    for (;;) {
      const others = [...this.engines.values()].filter((one) => one !== engine && one.model !== null);
      if (others.reduce((sum, one) => sum + one.bytes, bytes) <= memoryBytes) return true;
      const byUse = (a: Engine, b: Engine) => Number(a.users > 0) - Number(b.users > 0) || a.order - b.order;
      const [victim] = others.sort(byUse) as [Engine];
      victim.state = 'leaving';
      while (victim.users > 0 && isWanted()) await this.changed.promise;
      if (!isWanted()) {
        victim.state = victim.model ? 'loaded' : 'on disk';
        return false;
      }
      await this.unload(victim);
      this.host.say('unloaded', { model: victim.spec.name, for: name });
    }
  }

  /** `model`: only where it is still this one. */
  private async unload(engine: Engine, model: ShelvedModel | null = engine.model): Promise<void> {
    if (engine.model === null || engine.model !== model) return;
    engine.model = null;
    engine.state = 'on disk';
    const cores = [...engine.cores.values()];
    engine.cores.clear();
    for (const { preparers } of cores) preparers.close();
    this.change();
    await model.close();
  }

  private touch(engine: Engine): void {
    engine.lastUsed = this.host.clocks.unixSeconds();
    engine.order = ++this.uses;
  }

  private change(): void {
    const { resolve } = this.changed;
    this.changed = withResolvers();
    resolve();
  }
}

function shuttingDown(): ApiError {
  return new ApiError(503, 'shutting_down', 'the server is shutting down.', { retryAfterSeconds: 5 });
}

function notLoaded(name: string, error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const said = error instanceof Error ? error.message : String(error);
  return new ApiError(503, 'model_not_loaded', `${name} could not be loaded: ${said}`, { cause: error });
}
