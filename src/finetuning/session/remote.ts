/**
 * Training in a worker: what the page asks (`SessionClient`) and what the worker answers (`SessionHost`). One call after the other, as every
 * step goes on from the weights of the one before.
 */
import { CriaError } from '../../base/errors.ts';
import { isOfGpu } from '../../devices/choose.ts';
import type { Device } from '../../devices/device.ts';
import type { LoadProgress, LoadSettings, Source } from '../../inference/remote/protocol.ts';
import { decodeError, encodeError, type WireError } from '../../inference/remote/wire-errors.ts';
import type { Checkpoint, OpenOptions } from '../../model/checkpoint/checkpoint.ts';
import { ggufBytes } from '../../model/checkpoint/write/gguf-in-memory.ts';
import type { MixName } from '../../quant/mixes.ts';
import type { MicroBatch } from '../../training/micro-batch.ts';
import { type GivenVocabulary, initialModel, type ModelShape } from '../../training/recipe/initial-model.ts';
import type { StepResult } from '../../training/trainer.ts';
import type { SessionOptions } from './options.ts';
import { type Gradients, TrainingSession, trainerClosed } from './session.ts';

export interface SessionFacts {
  /** What computes, in one line. */
  readonly description: string;
  /** Why it is not what was chosen, among others. */
  readonly remarks: readonly string[];
}

/** The learning rate comes with each step: a schedule may be a function, which no message carries. */
interface Methods {
  open: { args: readonly [Source, LoadSettings, Omit<SessionOptions, 'schedule'>]; value: SessionFacts };
  step: { args: readonly [number, readonly MicroBatch[]]; value: StepResult };
  gradients: { args: readonly [readonly MicroBatch[]]; value: Gradients };
  gguf: { args: readonly [MixName]; value: Uint8Array<ArrayBuffer> };
  initial: { args: readonly [ModelShape, number, GivenVocabulary | null]; value: Uint8Array<ArrayBuffer> };
}
type Method = keyof Methods;

export type ToSession = {
  [M in Method]: { readonly call: number; readonly method: M; readonly args: Methods[M]['args'] };
}[Method];
export type FromSession =
  | { readonly call: number; readonly value: Methods[Method]['value'] }
  | { readonly call: number; readonly error: WireError };

/** What a worker gives its session. */
export interface SessionWorld {
  post(message: FromSession, transfer: ArrayBuffer[]): void;
  openSource(source: Source, onProgress: (progress: LoadProgress) => void, options: OpenOptions): Promise<Checkpoint>;
  /** A device whose kernels were compared, ready to train. */
  openDevice(settings: LoadSettings): Promise<Device>;
}

export class SessionHost {
  private readonly world: SessionWorld;
  private session: TrainingSession | null = null;
  private learningRate = 0;
  private last: Promise<unknown> = Promise.resolve();

  constructor(world: SessionWorld) {
    this.world = world;
  }

  receive(message: ToSession): void {
    const { call } = message;
    this.last = this.last.then(async () => {
      try {
        const value = await this.answer(message);
        this.world.post({ call, value }, value instanceof Uint8Array ? [value.buffer] : []);
      } catch (error) {
        this.world.post({ call, error: encodeError(error) }, []);
      }
    });
  }

  private async answer(message: ToSession): Promise<Methods[Method]['value']> {
    switch (message.method) {
      case 'open':
        return this.open(...message.args);
      case 'step':
        this.learningRate = message.args[0];
        return this.session!.step(message.args[1]);
      case 'gradients':
        return this.session!.gradients(...message.args);
      case 'gguf':
        return ggufBytes(await this.session!.model(), ...message.args);
      case 'initial':
        return ggufBytes(initialModel(...message.args), 'F32');
      default:
        return message satisfies never;
    }
  }

  /** Where 'auto' chose a GPU that cannot be used, the model is trained on wasm, and a remark says why. */
  private async open(
    source: Source,
    settings: LoadSettings,
    options: Omit<SessionOptions, 'schedule'>,
  ): Promise<SessionFacts> {
    const checkpoint = await this.world.openSource(source, () => {}, settings.open);
    const openOn = async (kind: LoadSettings['device']) => {
      const device = await this.world.openDevice({ ...settings, device: kind });
      try {
        const schedule = () => this.learningRate;
        this.session = await TrainingSession.create(device, checkpoint, { ...options, schedule });
      } catch (error) {
        device.close();
        throw error;
      }
      return device.description;
    };
    try {
      return { description: await openOn(settings.device), remarks: [] };
    } catch (error) {
      if (settings.device !== 'auto' || !isOfGpu(error)) throw error;
      return { description: await openOn('wasm'), remarks: [`${error.message} So it trains on wasm.`] };
    }
  }
}

/** A worker as layer 7 starts it. */
export interface SessionPort {
  post(message: ToSession): void;
  onMessage(handler: (message: FromSession) => void): void;
  onDeath(handler: (cause: Error) => void): void;
  terminate(): void;
}

export class SessionClient {
  private readonly port: SessionPort;
  private readonly waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  private calls = 0;
  private ended: Error | null = null;

  constructor(port: SessionPort) {
    this.port = port;
    port.onMessage((message) => {
      const { resolve, reject } = this.waiting.get(message.call)!;
      this.waiting.delete(message.call);
      if ('error' in message) reject(decodeError(message.error));
      else resolve(message.value);
    });
    port.onDeath((cause) => {
      const text = `training: the worker that trains has died (${cause.message}). If it ran out of memory, train a smaller model or fewer rows.`;
      this.end(new CriaError('trainer.died', text, { cause }));
    });
  }

  call<M extends Method>(method: M, ...args: Methods[M]['args']): Promise<Methods[M]['value']> {
    return new Promise((resolve, reject) => {
      if (this.ended) return reject(this.ended);
      const call = this.calls++;
      this.waiting.set(call, { resolve: resolve as (value: unknown) => void, reject });
      this.port.post({ call, method, args } as ToSession);
    });
  }

  get isRunning(): boolean {
    return this.ended === null;
  }

  /** At once: what is still waiting is rejected. */
  close(): void {
    this.end(trainerClosed());
  }

  private end(reason: Error): void {
    this.ended ??= reason;
    this.port.terminate();
    for (const { reject } of this.waiting.values()) reject(this.ended);
    this.waiting.clear();
  }
}
