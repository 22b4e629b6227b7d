import { CriaError } from '../../base/errors.ts';
import type { Constraint } from '../constraint.ts';
import type { Position } from './automaton.ts';
import { noTokenLeft, type TokenMasks, type TokenSet } from './token-masks.ts';

/** One text on its way through a grammar. The masks are shared with everybody who uses the same grammar. */
export class TokenConstraint implements Constraint {
  private readonly masks: TokenMasks;
  private readonly eogIds: ReadonlySet<number>;
  private position: Position;
  private ended = false;

  constructor(masks: TokenMasks, eogIds: Iterable<number>) {
    this.masks = masks;
    this.eogIds = new Set(eogIds);
    this.position = masks.automaton.start;
  }

  mask(logits_V: Float64Array): void {
    keepOnly(logits_V, this.masks.maskOf(this.position));
  }

  accept(id: number): void {
    if (this.eogIds.has(id) && this.position.isAccepting) {
      this.ended = true;
      return;
    }
    const next = this.ended ? null : this.masks.advance(this.position, id);
    if (next === null) {
      throw new CriaError(
        'grammar.refused',
        `grammar: token ${id} is not allowed here, expected one that the mask allows. Was the mask applied?`,
      );
    }
    this.position = next;
  }

  fork(): TokenConstraint {
    const fork = new TokenConstraint(this.masks, this.eogIds);
    fork.position = this.position;
    fork.ended = this.ended;
    return fork;
  }

  allowed(ids: Uint32Array): number {
    let position = this.ended ? null : this.position;
    for (const [i, id] of ids.entries()) {
      if (position === null) return i;
      if (this.eogIds.has(id) && position.isAccepting) return i + 1;
      position = this.masks.advance(position, id);
      if (position === null) return i;
    }
    return ids.length;
  }

  get isFinished(): boolean {
    return this.ended || this.masks.automaton.isOver(this.position);
  }

  /** The text so far is one of the grammar's. */
  get isAccepting(): boolean {
    return this.position.isAccepting;
  }
}

/** Sets all logits but the set's to −∞. Throws CriaError `grammar.no-token-left` where none stays. */
function keepOnly(logits_V: Float64Array, set: TokenSet): void {
  if ('ids' in set) {
    const { ids } = set;
    if (ids.length === 0) throw noTokenLeft();
    const kept = Float64Array.from(ids, (id) => logits_V[id]!);
    logits_V.fill(Number.NEGATIVE_INFINITY);
    for (let i = 0; i < ids.length; i++) logits_V[ids[i]!] = kept[i]!;
    return;
  }
  const { bits } = set;
  for (let w = 0; w < bits.length; w++) {
    if (bits[w] === 0) logits_V.fill(Number.NEGATIVE_INFINITY, 32 * w, 32 * w + 32);
    else {
      for (let rest = ~bits[w]!; rest !== 0; rest &= rest - 1) {
        const id = 32 * w + 31 - Math.clz32(rest & -rest);
        if (id < logits_V.length) logits_V[id] = Number.NEGATIVE_INFINITY;
      }
    }
  }
}
