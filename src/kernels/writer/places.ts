/**
 * Where each item of a block is computed. In the order in which the kernel says them, always: a processor starts operations in that order,
 * and whoever writes a kernel chooses it. An item that is used once, with nothing between but operands of the same user, is computed
 * within its user, on the stack; others are kept in a local, which is free again after their last use. What nobody uses is left out.
 */
import { acts, type Block, type Item } from './body.ts';

export type Place =
  /** Written again at every use: constants, parameters, counters. */
  | 'everywhere'
  /** Within the one item that uses it. */
  | 'inside'
  /** Where it was said. */
  | 'here'
  | 'nowhere';

export interface Placed {
  readonly place: Place;
  /** The index, in the item's block, at which it is computed. */
  readonly root: number;
  /** … and of the last that needs it. */
  readonly last: number;
}

export function placesOf({ items }: Block): readonly Placed[] {
  const places = new Array<Placed>(items.length);
  let next: Placed | null = null; // of the item that follows, those left out that have no place of their own
  for (let i = items.length - 1; i >= 0; i--) {
    const placed = placeOf(items[i]!, places, next);
    places[i] = placed;
    if (placed.place === 'here' || placed.place === 'inside') next = placed;
  }
  return places;
}

function placeOf(item: Item, places: readonly Placed[], next: Placed | null): Placed {
  const { what, users, block, index } = item;
  if (what.is === 'constant' || what.is === 'local') return { place: 'everywhere', root: index, last: index };
  const last = users.reduce((latest, user) => Math.max(latest, neededAt(user, block, places)), index);
  const here: Placed = { place: 'here', root: index, last };
  if (item.type === null || acts(what)) return here;
  const needed = users.filter((user) => user.block !== block || places[user.index]!.place !== 'nowhere');
  if (needed.length === 0) return { place: 'nowhere', root: index, last: index };
  const [user] = needed;
  if (needed.length > 1 || user!.block !== block) return here;
  const { root } = places[user!.index]!;
  return next?.root === root ? { place: 'inside', root, last: root } : here;
}

/** The index in `block` of the item that needs what `user` needs. */
function neededAt(user: Item, block: Block, places: readonly Placed[]): number {
  if (user.block === block) return places[user.index]!.root;
  let owner = user;
  while (owner.block !== block) owner = owner.block.owner!;
  return owner.index;
}
