/** What every scene is given. */
import type { PageModel } from '../../explorer/page-model.ts';
import type { Words } from '../../explorer/words/words.ts';
import type { WordMerges } from '../../tokenizer/encode/text-model.ts';
import type { State } from './state.ts';
import type { Strings } from './strings.ts';
import type { TraceCache } from './traced.tsx';
import type { PageWorld } from './world.ts';

export interface X {
  readonly model: PageModel;
  /** Which model, for the cache of traces. */
  readonly serial: number;
  readonly cache: TraceCache;
  readonly ids: readonly number[];
  /** How many of the ids are the text; the others were appended. */
  readonly promptLength: number;
  readonly words: readonly WordMerges[];
  readonly state: State;
  readonly set: (patch: Partial<State>, push?: boolean) => void;
  readonly w: Words;
  readonly t: Strings;
  readonly world: PageWorld;
  /** The chosen token's place, and block and head, within the model and the text. */
  readonly query: number;
  readonly block: number;
  readonly head: number;
}

/** A token as text: spaces as ␣, bytes as they are. */
export function tokenText(x: Pick<X, 'model'>, id: number): string {
  const piece = x.model.pieces?.[id] ?? `#${id}`;
  return piece.replaceAll('▁', '␣').replaceAll('Ġ', '␣').replaceAll('\n', '↵');
}

export function tokenAt(x: X, place: number): string {
  return tokenText(x, x.ids[place]!);
}
