/** Where dropout stands while a model is trained: on the embeddings, on the shares of attention, and on what a branch adds to the stream. */
import type { Dropout } from '../../kernels/dropout/reference.ts';
import { asItIs, type Step } from './norm.ts';

export interface Dropping {
  /** 0: nothing is dropped there. */
  readonly rates: { readonly embedding: number; readonly attention: number; readonly residual: number };
  /** Key and place of what is dropped at a site of the model in the pass that is being computed. */
  place(site: number): Pick<Dropout, 'key' | 'firstToken'>;
}

/** Numbers of the sites. */
export const EMBEDDING_SITE = 0;
export const blockSites = (block: number) => ({
  shares: 1 + 3 * block,
  attention: 2 + 3 * block,
  feedForward: 3 + 3 * block,
});

/** Dropout at one site; absent: as it is. */
export function dropAt(dropping: Dropping | undefined, rate: keyof Dropping['rates'], site: number): Step {
  if (dropping === undefined || dropping.rates[rate] === 0) return asItIs;
  return (ops, x_ND) => ops.dropout(x_ND, { rate: dropping.rates[rate], ...dropping.place(site) });
}
