/** Answers by the batched engine, on the device and the weights that are trained. */
import type { Device } from '../../devices/device.ts';
import { Engine } from '../../inference/engine.ts';
import type { Ops } from '../../kernels/ops.ts';
import { type Model, rebuild } from '../../model/model.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import type { DrawnAnswer, Sampler } from './rollouts.ts';

export interface EngineSamplerOptions {
  readonly device: Device;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly contextLength: number;
  /** Sequences at the same time. */
  readonly maxSequences: number;
  /** Adapters. */
  readonly decorate?: (ops: Device['ops']) => Ops;
  readonly clock: () => number;
}

/** Every token is drawn from the model's own distribution at the temperature: no chain of samplers that training would not know of. */
const plainSampling = { topK: 0, topP: 1, minP: 0, repeatPenalty: 1 } as const;

export class EngineSampler implements Sampler {
  private readonly engine: Engine;

  constructor({ device, model, tokenizer, contextLength, maxSequences, decorate, clock }: EngineSamplerOptions) {
    const products = { ...device.ops, linear: device.ops.linearExact };
    const ops = decorate ? decorate(products) : products;
    // The device with other operations; everything else is its own.
    const decorated = Object.create(device, { ops: { value: ops } }) as Device;
    this.engine = new Engine({
      device: decorated,
      model: rebuild(model, { usesBatch: false }),
      tokenizer,
      contextLength,
      kvType: 'f32',
      cacheTokens: contextLength * Math.min(maxSequences, 16),
      maxSequences,
      clock,
      drawSeed: () => 0,
    });
  }

  async draw(
    requests: Parameters<Sampler['draw']>[0],
    { maxTokens, temperature }: Parameters<Sampler['draw']>[1],
  ): Promise<DrawnAnswer[]> {
    const { engine } = this;
    // The weights have moved since the last time.
    engine.cache.clear();
    const answers: Promise<DrawnAnswer>[] = requests.map(
      ({ ids, seed }) =>
        new Promise((resolve, reject) => {
          engine.submit(
            ids,
            { ...plainSampling, maxTokens, temperature, seed },
            {
              piece: () => {},
              done: ({ ids: said, eogId, finishReason, text }) =>
                resolve({
                  ids: eogId === null ? said : Uint32Array.of(...said, eogId),
                  isEnded: finishReason === 'stop',
                  text,
                }),
              failed: reject,
            },
          );
        }),
    );
    const all = Promise.all(answers);
    all.catch(() => {}); // reported where it is awaited
    while (await engine.step()) {}
    return all;
  }
}
