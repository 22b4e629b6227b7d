/**
 * llama.cpp as evaluation sees a model, through node-llama-cpp: the same tokens in, log-likelihoods out. What its `perplexity --hellaswag`
 * and `--multiple-choice` compute, with one sequence that keeps what the next request has in common with the one before.
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { EvaluatedModel } from '../src/evaluation/run/model.ts';
import { installPeer } from './engines.ts';

/** The largest logit is asked for as the first of the top: `includeMax` gives it for the wrong token (3.22.1). */
type Wanted = {
  readonly generateNext: {
    readonly totalLogitWeight: true;
    readonly logits: { readonly filter: { readonly tokens: readonly number[]; readonly includeTop: 1 } };
  };
};
interface Next {
  readonly next: { readonly logits: ReadonlyMap<number, number>; readonly totalLogitWeight: number };
}
/** The little that is used of the package. */
interface Sequence {
  readonly nextTokenIndex: number;
  eraseContextTokenRanges(ranges: readonly { readonly start: number; readonly end: number }[]): Promise<void>;
  controlledEvaluate(input: readonly (number | readonly [number, Wanted])[]): Promise<readonly (Next | undefined)[]>;
}
interface Peer {
  getLlama(options: object): Promise<{
    readonly llamaCppRelease: { readonly release: string };
    loadModel(options: object): Promise<{ createContext(options: object): Promise<{ getSequence(): Sequence }> }>;
  }>;
}

/** What `own` encodes, scored by llama.cpp with as many threads. */
export async function peerModel(own: EvaluatedModel, modelPath: string, threads: number) {
  const require = createRequire(installPeer('node-llama-cpp'));
  const { getLlama } = (await import(pathToFileURL(require.resolve('node-llama-cpp')).href)) as Peer;
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: threads });
  const model = await llama.loadModel({ modelPath, useMmap: false });
  const context = await model.createContext({ contextSize: own.contextLength, threads, batchSize: 512 });
  const sequence = context.getSequence();
  let state: readonly number[] = [];

  /** Reads `ids`, and says of the places from `from` on how likely each of the tokens wanted there comes next. */
  async function read(ids: readonly number[], from: number, wantedAt: (place: number) => readonly number[]) {
    let common = 0;
    while (common < from && ids[common] === state[common]) common++;
    if (common < sequence.nextTokenIndex)
      await sequence.eraseContextTokenRanges([{ start: common, end: sequence.nextTokenIndex }]);
    const results = await sequence.controlledEvaluate(
      ids.slice(common).map((id, i) => {
        const tokens = common + i < from ? [] : wantedAt(common + i);
        return tokens.length === 0
          ? id
          : [id, { generateNext: { totalLogitWeight: true, logits: { filter: { tokens, includeTop: 1 } } } }];
      }),
    );
    state = ids;
    return ids.slice(from).map((_, i) => {
      const { logits, totalLogitWeight } = results[from - common + i]!.next;
      const most = Math.max(...logits.values());
      return (id: number) => {
        const own = logits.get(id)!;
        return { logLikelihood: own - most - Math.log(totalLogitWeight), isGreedy: own === most };
      };
    });
  }

  // One request after another: there is one sequence.
  let last: Promise<unknown> = Promise.resolve();
  const score: EvaluatedModel['score'] = (contextIds, continuations) => {
    const before = [...contextIds];
    const run = async () => {
      const [first] = await read(before, before.length - 1, () => [...new Set(continuations.map(([id]) => id!))]);
      const scores = [];
      for (const continuation of continuations) {
        const rest = [...continuation];
        const places =
          rest.length === 1
            ? []
            : await read([...before, ...rest.slice(0, -1)], before.length, (place) => [
                rest[place - before.length + 1]!,
              ]);
        const parts = [first!, ...places].map((at, i) => at(rest[i]!));
        scores.push({
          logLikelihood: parts.reduce((sum, { logLikelihood }) => sum + logLikelihood, 0),
          isGreedy: parts.every(({ isGreedy }) => isGreedy),
          tokens: rest.length,
        });
      }
      return scores;
    };
    const result = last.then(run);
    last = result.catch(() => {});
    return result;
  };
  return { model: { ...own, score } satisfies EvaluatedModel, release: llama.llamaCppRelease.release };
}
