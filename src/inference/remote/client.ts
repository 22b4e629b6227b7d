import { CriaError } from '../../base/errors.ts';
import { withResolvers } from '../../base/es2024.ts';
import type { FromEngine, Method, Methods, ToEngine } from './protocol.ts';
import { decodeError } from './wire-errors.ts';

/** A worker with an engine in it, as layer 7 provides it. */
export interface EnginePort {
  post(message: ToEngine): void;
  onMessage(handler: (message: FromEngine) => void): void;
  /** The worker has died on its own: a crash, or memory that ran out. */
  onDeath(handler: (cause: Error) => void): void;
  /** Whether somebody waits for an answer: while nobody does, the worker alone does not keep the program running. */
  hold(waiting: boolean): void;
  terminate(): Promise<void>;
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: unknown): void;
  event(event: unknown): void;
  /** Listens to the caller's signal no longer. */
  release(): void;
}

interface CallListener<Event> {
  readonly onEvent?: ((event: Event) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Calls an engine and matches its answers to the calls. */
export class EngineClient {
  private readonly port: EnginePort;
  private readonly pending = new Map<number, Pending>();
  private nextCall = 1;
  /** Why no call is possible any more. */
  private ended: Error | null = null;
  private readonly ending = withResolvers<void>();

  constructor(port: EnginePort) {
    this.port = port;
    port.onMessage((message) => this.receive(message));
    port.onDeath((cause) => {
      const text = `engine: the worker that runs the model has died (${cause.message}). Load the model again; if it ran out of memory, with a smaller contextLength.`;
      this.end(new CriaError('engine.died', text, { cause }));
    });
    port.hold(false);
  }

  /** Calls a method. `signal` ends the job that it began, if it began one: with an aborted signal, before anything is computed. */
  call<M extends Method>(
    method: M,
    args: Methods[M]['args'],
    { onEvent = () => {}, signal }: CallListener<Methods[M]['event']> = {},
  ): Promise<Methods[M]['value']> {
    const call = this.nextCall++;
    return new Promise<Methods[M]['value']>((resolve, reject) => {
      if (this.ended) {
        reject(this.ended);
        return;
      }
      const abort = () => this.port.post({ kind: 'abort', call });
      this.pending.set(call, {
        resolve: resolve as (value: unknown) => void,
        reject,
        event: onEvent as (event: unknown) => void,
        release: () => signal?.removeEventListener('abort', abort),
      });
      this.port.hold(true);
      this.port.post({ kind: 'call', call, method, args, aborted: signal?.aborted ?? false } as ToEngine);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  whenEnded(): Promise<void> {
    return this.ending.promise;
  }

  get isRunning(): boolean {
    return this.ended === null;
  }

  /** Ends the worker; every call that is still waiting is rejected with `reason`. */
  async terminate(reason: Error): Promise<void> {
    this.end(reason);
    await this.port.terminate();
  }

  private end(reason: Error): void {
    this.ended ??= reason;
    this.ending.resolve();
    const waiting = [...this.pending.values()];
    this.pending.clear();
    this.port.hold(false);
    for (const { reject, release } of waiting) {
      release();
      reject(reason);
    }
  }

  private receive(message: FromEngine): void {
    if (message.kind === 'events') {
      for (const [call, event] of message.events) this.pending.get(call)?.event(event);
      return;
    }
    const pending = this.pending.get(message.call);
    if (!pending) return;
    this.pending.delete(message.call);
    pending.release();
    if (this.pending.size === 0) this.port.hold(false);
    if (message.kind === 'value') pending.resolve(message.value);
    else pending.reject(decodeError(message.error));
  }
}
