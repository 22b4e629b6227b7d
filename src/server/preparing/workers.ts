/**
 * The server's side of reading requests: jobs go to workers, each job with a limit on its time and, by the worker, on its memory. A
 * job ends with its client: a worker that is still busy with it then is ended, and another takes its place.
 *
 * One worker takes only small jobs, so that who sends megabytes, or a few of them, does not make the others wait. The other gives way to
 * what computes answers, where the system lets a thread do so.
 */
import { withResolvers } from '../../base/es2024.ts';
import { ApiError } from '../api-error.ts';
import type { Clocks } from '../world.ts';
import type { Opening } from './desk.ts';
import type { FromPreparer, Job, JobResults, Refusal, ToPreparer } from './protocol.ts';

/** A worker with a PreparationHost in it, as layer 7 provides it. */
export interface PreparerPort {
  post(message: ToPreparer, transfer: ArrayBuffer[]): void;
  onMessage(handler: (message: FromPreparer) => void): void;
  /** It has died on its own: memory that ran out, most likely. */
  onDeath(handler: (cause: Error) => void): void;
  /** Whether somebody waits for an answer: while nobody does, the worker alone does not keep the program running. */
  hold(waiting: boolean): void;
  terminate(): void;
}

/** `givesWay`: to every other thread of the program that has work. */
export type StartPreparer = (options: { readonly givesWay: boolean }) => PreparerPort;

export interface PreparerLimits {
  /** How long one job may take, from when its worker is open. */
  readonly readSeconds: number;
  /** Bytes of the bodies that wait, of all together. */
  readonly waitingBytes: number;
}

const WORKERS = 2;
/** Bytes of a job that any worker takes. */
const SMALL = 65_536;
/** A job whose client has gone is nearly done, as most are, or is ended. */
const PATIENCE_MS = 100;

interface Waiting {
  readonly job: Job;
  readonly bytes: number;
  readonly signal: AbortSignal;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

interface Station {
  readonly takesLarge: boolean;
  port: PreparerPort | null;
  isOpen: boolean;
  running: (Waiting & { readonly over: AbortController }) | null;
}

export class PreparationWorkers {
  private readonly start: StartPreparer;
  private readonly opening: Opening;
  private readonly clocks: Pick<Clocks, 'sleep'>;
  private readonly limits: PreparerLimits;
  private readonly stations: readonly Station[];
  private readonly queue: Waiting[] = [];
  private readonly readiness = withResolvers<void>();
  private opened = 0;
  private nextId = 1;
  private closed: ApiError | null = null;

  constructor(start: StartPreparer, opening: Opening, clocks: Pick<Clocks, 'sleep'>, limits: PreparerLimits) {
    this.start = start;
    this.opening = opening;
    this.clocks = clocks;
    this.limits = limits;
    this.stations = Array.from({ length: WORKERS }, (_, i) => ({
      takesLarge: i > 0,
      port: null,
      isOpen: false,
      running: null,
    }));
    for (const station of this.stations) this.open(station);
  }

  /**
   * Throws ApiError: what the job finds wrong; 400 `too_much_work` where it needs too much time or memory; 503 `overloaded`; 499 when
   * the signal aborts.
   */
  run<K extends Job['kind']>(job: Extract<Job, { kind: K }>, signal: AbortSignal): Promise<JobResults[K]> {
    return this.enqueue(job, signal) as Promise<JobResults[K]>;
  }

  private enqueue(job: Job, signal: AbortSignal): Promise<unknown> {
    const bytes = job.kind === 'request' ? job.body.byteLength + 2 * (job.earlier?.length ?? 0) : 2 * job.spec.length;
    return new Promise((resolve, reject) => {
      if (this.closed) {
        reject(this.closed);
        return;
      }
      const waitingBytes = this.queue.reduce((sum, waiting) => sum + waiting.bytes, 0);
      if (waitingBytes + bytes > this.limits.waitingBytes && this.queue.length > 0) {
        const message = `the server is busy: ${this.queue.length} requests wait to be read. Try again later.`;
        reject(new ApiError(503, 'overloaded', message, { retryAfterSeconds: 2 }));
        return;
      }
      const waiting: Waiting = { job, bytes, signal, resolve, reject };
      const leave = () => this.leave(waiting);
      if (signal.aborted) reject(gone());
      else {
        signal.addEventListener('abort', leave, { once: true });
        this.queue.push(waiting);
        this.assign();
      }
    });
  }

  get load(): { readonly reading: number; readonly unread: number } {
    return { reading: this.stations.filter(({ running }) => running).length, unread: this.queue.length };
  }

  /** Resolves when the workers can begin, or when one never will. */
  get ready(): Promise<void> {
    return this.readiness.promise;
  }

  /** Everything that waits, and everything that comes, is refused with `reason`. */
  close(reason = new ApiError(503, 'shutting_down', 'the server is shutting down.', { retryAfterSeconds: 5 })): void {
    if (this.closed) return;
    this.closed = reason;
    for (const station of this.stations) {
      this.fail(station, reason);
      station.port?.terminate();
      station.port = null;
    }
    for (const { reject } of this.queue.splice(0)) reject(reason);
  }

  private assign(): void {
    for (const station of this.stations) {
      if (station.running || this.closed) continue;
      const at = this.queue.findIndex(({ bytes }) => bytes <= SMALL || station.takesLarge);
      if (at < 0) continue;
      const [waiting] = this.queue.splice(at, 1) as [Waiting];
      this.begin(station, waiting);
    }
  }

  private begin(station: Station, waiting: Waiting): void {
    const port = station.port ?? this.open(station);
    const over = new AbortController();
    station.running = { ...waiting, over };
    port.hold(true);
    const { job } = waiting;
    port.post({ kind: 'job', id: this.nextId++, job }, job.kind === 'request' ? [job.body.buffer] : []);
    if (station.isOpen) this.limitTime(station, over.signal);
  }

  /** From now on; the time in which a worker starts is not its job's. */
  private limitTime(station: Station, over: AbortSignal): void {
    const { readSeconds } = this.limits;
    void this.clocks.sleep(readSeconds * 1000, over).then(() => {
      if (!over.aborted) this.replace(station, tooMuch(`more than ${readSeconds} s of work`));
    });
  }

  private open(station: Station): PreparerPort {
    const port = this.start({ givesWay: station.takesLarge });
    station.port = port;
    station.isOpen = false;
    port.onMessage((message) => this.receive(station, port, message));
    port.onDeath(() => {
      if (station.port !== port) return;
      station.port = null; // the next job starts another
      this.readiness.resolve();
      this.fail(station, tooMuch('more memory than a request may take'));
      this.assign();
    });
    port.post({ kind: 'open', opening: this.opening }, []);
    return port;
  }

  private receive(station: Station, port: PreparerPort, message: FromPreparer): void {
    const { running } = station;
    if (message.kind === 'ready') {
      if (++this.opened >= WORKERS) this.readiness.resolve();
      if (station.port === port) {
        station.isOpen = true;
        if (running) this.limitTime(station, running.over.signal);
      }
      return;
    }
    if (station.port !== port || !running) return;
    station.running = null;
    port.hold(false);
    running.over.abort();
    if (message.kind === 'done') running.resolve(message.value);
    else running.reject(refused(message.refusal));
    this.assign();
  }

  /** The client has gone. */
  private leave(waiting: Waiting): void {
    waiting.reject(gone());
    const at = this.queue.indexOf(waiting);
    if (at >= 0) this.queue.splice(at, 1);
    const station = this.stations.find(({ running }) => running?.job === waiting.job);
    const over = station?.running?.over.signal;
    if (!station || !over) return;
    void this.clocks.sleep(PATIENCE_MS, over).then(() => {
      if (!over.aborted) this.replace(station, gone());
    });
  }

  private replace(station: Station, reason: ApiError): void {
    const { port } = station;
    station.port = null;
    port?.terminate();
    this.fail(station, reason);
    if (!this.closed) this.open(station);
    this.assign();
  }

  private fail(station: Station, reason: ApiError): void {
    const { running } = station;
    station.running = null;
    running?.over.abort();
    running?.reject(reason);
  }
}

function gone(): ApiError {
  return new ApiError(499, 'client_closed_request', 'the client has gone.');
}

function tooMuch(what: string): ApiError {
  return new ApiError(400, 'too_much_work', `reading this request takes ${what}. Make it smaller or simpler.`);
}

function refused({ status, code, message, param, stack }: Refusal): ApiError {
  const cause = stack === null ? undefined : Object.assign(new Error(message), { stack });
  return new ApiError(status, code, message, { ...(param !== null && { param }), cause });
}
