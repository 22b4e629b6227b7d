/** What is shown and what is kept, in step: this tab's changes are written and told to the other tabs, and theirs are read. */
import type { Conversation } from './conversation/conversation.ts';
import type { Notice, PageWorld } from './world.ts';

export type Keeping = 'kept' | 'page only' | 'failed';
/** What is kept under a name of its own. */
export type Kept = Exclude<Notice, { readonly kind: 'writing' }>;

export class Keeper {
  private readonly world: Pick<PageWorld, 'storage' | 'tell'>;
  private readonly changed: (keeping: Keeping) => void;
  /** Of each thing, how often this tab has begun to change it. */
  private readonly changes = new Map<string, number>();

  /** `changed` hears whether what is written is kept. */
  constructor(world: Pick<PageWorld, 'storage' | 'tell'>, changed: (keeping: Keeping) => void) {
    this.world = world;
    this.changed = changed;
  }

  keep(id: string, update: (kept: Conversation | null) => Conversation | null): Promise<void> {
    return this.write({ kind: 'conversation', id }, () => this.world.storage.change(id, update));
  }

  keepValue(key: string, update: (kept: unknown) => unknown): Promise<void> {
    return this.write({ kind: 'value', key }, () => this.world.storage.changeValue(key, update));
  }

  /**
   * Hands over a conversation as it is kept. What this tab changed while it was read is not in what was read, but is shown already: so it
   * is read again, which comes after that writing.
   */
  read(id: string, show: (kept: Conversation | null) => void): Promise<void> {
    return this.readLatest({ kind: 'conversation', id }, () => this.world.storage.conversation(id), show);
  }

  readValue(key: string, show: (kept: unknown) => void): Promise<void> {
    return this.readLatest({ kind: 'value', key }, () => this.world.storage.value(key), show);
  }

  private async readLatest<Value>(kept: Kept, read: () => Promise<Value>, show: (value: Value) => void): Promise<void> {
    const name = nameOf(kept);
    for (;;) {
      const before = this.changes.get(name);
      const value = await read();
      if (this.changes.get(name) !== before) continue;
      show(value);
      return;
    }
  }

  private async write(kept: Kept, work: () => Promise<void>): Promise<void> {
    const name = nameOf(kept);
    this.changes.set(name, (this.changes.get(name) ?? 0) + 1);
    try {
      await work();
      this.world.tell(kept);
      this.changed('kept');
    } catch {
      this.changed(this.world.storage.keeps ? 'failed' : 'page only');
    }
  }
}

const nameOf = (kept: Kept) => `${kept.kind} ${kept.kind === 'value' ? kept.key : kept.id}`;
