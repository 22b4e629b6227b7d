/** What a trainer and the model that it trains have to do with each other, and nobody else. */
import { ArgumentError } from '../base/errors.ts';
import type { EngineOptions } from '../inference/remote/load.ts';
import type { RemoteModel } from '../inference/remote/model.ts';
import type { Source } from '../inference/remote/protocol.ts';

/** What a trainer needs of a loaded model. */
export interface Trainable {
  readonly source: Source;
  readonly options: EngineOptions;
  /** Before every use of the model from now on, `take` may give another source, which the model is then loaded from; null: nothing has changed. */
  useWeights(take: () => Promise<Source | null>): void;
}

export const trainables = new WeakMap<RemoteModel, Trainable>();

/** Throws ArgumentError `trainer.model`, `trainer.adapters`. */
export function trainableOf(model: RemoteModel): Trainable {
  const found = trainables.get(model);
  if (!found)
    throw new ArgumentError('trainer.model', 'Trainer.create: expected a model of Llama.load, got something else.');
  // An adapter for conversations lies over the weights, and stays there.
  if (found.options.adapters?.some(({ usual = true }) => usual === true))
    throw new ArgumentError(
      'trainer.adapters',
      'Trainer.create: the model was loaded with adapters, expected one without. Merge them into it (cria merge, or model.save in Node), or train an adapter over the model without them.',
    );
  return found;
}

/** The options that a model is loaded with again: what was written needs nothing that was said of the files before. */
export function optionsOfTrained(options: EngineOptions): EngineOptions {
  const { ignoreKeys: _, pre: __, ropeScaling: ___, ...rest } = options;
  return rest;
}

/** Trained weights on their way to the model: written when somebody uses it, and once for each change. */
export class Handover {
  private readonly write: () => Promise<Source>;
  private hasChanged = false;
  private waiting: Source | null = null;

  constructor(write: () => Promise<Source>) {
    this.write = write;
  }

  changed(): void {
    this.hasChanged = true;
  }

  /** Writes what has changed; the model takes it when it is used, though the trainer may be closed by then. */
  async settle(): Promise<void> {
    if (!this.hasChanged) return;
    const written = await this.write();
    this.hasChanged = false;
    this.waiting = written;
  }

  async take(): Promise<Source | null> {
    await this.settle();
    const source = this.waiting;
    this.waiting = null;
    return source;
  }
}
