/**
 * Where each item of a block is computed. In the order in which the kernel says them, always: a processor starts operations in that order,
 * and whoever writes a kernel chooses it. An item that is used once, with nothing between but operands of the same user, is computed
 * within its user, on the stack; others are kept in a local, which is free again after their last use. What nobody uses is left out.
 */
import { acts, type Block, type Item } from './body.ts';

/** Decides it for the items of a block, when those of the blocks around it have their places. */
export function place({ items }: Block): void {
  let next: Item | null = null; // that follows, those left out that have no place of their own
  for (let i = items.length - 1; i >= 0; i--) {
    const item = items[i]!;
    placeOne(item, next);
    if (item.place !== 'nowhere') next = item;
  }
}

function placeOne(item: Item, next: Item | null): void {
  const { users, block } = item;
  let needed = 0;
  let only: Item | null = null;
  for (let i = 0; users && i < users.length; i++) {
    const user = users[i]!;
    const at = neededAt(user, block);
    if (at > item.last) item.last = at;
    if (user.block === block && user.place === 'nowhere') continue;
    needed++;
    only = user;
  }
  if (item.type === null || acts(item.what)) return;
  if (needed === 0) {
    item.place = 'nowhere';
    item.last = item.index;
  } else if (needed === 1 && only!.block === block && next?.root === only!.root) {
    item.place = 'inside';
    item.root = item.last = only!.root;
  }
}

/** The index in `block` of the item that needs what `user` needs. */
function neededAt(user: Item, block: Block): number {
  if (user.block === block) return user.root;
  let owner = user;
  while (owner.block !== block) owner = owner.block.owner!;
  return owner.index;
}
