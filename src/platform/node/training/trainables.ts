import type { EngineOptions } from '../../../inference/remote/load.ts';
import type { RemoteModel } from '../../../inference/remote/model.ts';
import type { Source } from '../../../inference/remote/protocol.ts';

/** What a trainer needs of a loaded model that is nobody else's business. */
export interface Trainable {
  readonly source: Source;
  readonly options: EngineOptions;
  /**
   * Before every use of the model from now on, `write` may write the weights as they are to a folder that the model is then
   * loaded from; null: they have not changed since.
   */
  useWeights(write: () => Promise<string | null>): void;
}

export const trainables = new WeakMap<RemoteModel, Trainable>();
