/**
 * The paged KV cache: which sequence owns which physical block of a device's KvStore.
 *
 * A sequence's keys and values lie in blocks of `blockTokens` positions, listed in its block table. Blocks are reference-counted, so
 * that forks share them until one of them writes (copy on write), and full blocks are known by their content: the tokens in them and
 * the block before. A new sequence starts on every block that already holds its beginning. A block that nobody uses any more stays
 * known until its room is needed; the one unused for longest goes first, and of one sequence the end goes before the beginning.
 *
 * Pure bookkeeping: only `copyBlock` touches memory. What is stored does not depend on who shares it, so reuse changes no bit.
 * Source: Kwon et al. 2023, arXiv:2309.06180 (PagedAttention); prefix sharing by content as in vLLM.
 */
import { assert } from '../base/assert.ts';

export interface KvCacheOptions {
  readonly blockCount: number;
  readonly blockTokens: number;
  /** Copies one physical block, all layers. */
  readonly copyBlock: (from: number, to: number) => void;
  /**
   * How many positions, its own among them, a query sees at most: sequences give up the blocks before. null: some layer sees all. A block
   * holds every layer's keys and values, so one layer that sees all keeps the blocks of the others, too.
   */
  readonly window?: number | null;
}

/** Where contents outlive their room in memory, under names that any process computes alike. */
export interface BlockArchive {
  /** Names the beginning of the sequences of a kind. */
  rootOf(kind: string): string;
  /** Names the content of a block: what stands before it, and its tokens. */
  nameOf(parent: string, ids_T: Uint32Array): string;
  /** Puts a content into a physical block; false where it is not there. */
  load(name: string, block: number): boolean;
  /** Keeps the content of a physical block, as it is now. Whether it could be taken. */
  save(name: string, block: number): boolean;
}

/** What is known of a physical block. */
interface Block {
  references: number;
  /** Its content's name in the archive; '' without one. */
  name: string;
  isSaved: boolean;
  /** Content key, when the block is full and others may find it; null while it is being written. */
  key: string | null;
  /** Stands for this content in the keys of the blocks after it. */
  contentId: number;
}

/** What stands before a block. */
interface Beginning {
  readonly contentId: number;
  readonly name: string;
}

/** No block before: the beginning of a sequence. */
const ROOT = 0;

/** Kinds of sequences that are remembered, beside the plain one. */
const MOST_KINDS = 256;

export class KvCache {
  readonly blockTokens: number;
  readonly blockCount: number;
  readonly window: number | null;
  private readonly copyBlock: (from: number, to: number) => void;
  private readonly blocks: Block[];
  private readonly free: number[] = [];
  private readonly byContent = new Map<string, number>();
  /** Blocks that nobody uses but that are still known, longest unused first (a Set keeps insertion order). */
  private readonly unused = new Set<number>();
  /** The beginnings of sequences that are computed otherwise, by what they are computed with. */
  private readonly roots = new Map<string, number>([['', ROOT]]);
  private nextContentId = ROOT + 1;
  private archive: BlockArchive | null = null;

  constructor({ blockCount, blockTokens, copyBlock, window = null }: KvCacheOptions) {
    this.window = window;
    this.blockCount = blockCount;
    this.blockTokens = blockTokens;
    this.copyBlock = copyBlock;
    this.blocks = Array.from({ length: blockCount }, () => ({
      references: 0,
      name: '',
      isSaved: false,
      key: null,
      contentId: ROOT,
    }));
    for (let block = blockCount - 1; block >= 0; block--) this.free.push(block);
  }

  /** From now on contents are looked for there too, and kept there before they are forgotten. Before any sequence is created. */
  keepIn(archive: BlockArchive): void {
    this.archive = archive;
  }

  /** Gives the archive what is not there yet. Returns how many blocks it took; it may take no more for now. */
  saveAll(): number {
    let taken = 0;
    for (let block = 0; block < this.blocks.length; block++) if (this.save(block)) taken++;
    return taken;
  }

  /** Blocks that a sequence could still be given. */
  get availableBlocks(): number {
    return this.free.length + this.unused.size;
  }

  /** Blocks that some sequence uses. */
  get usedBlocks(): number {
    return this.blockCount - this.availableBlocks;
  }

  /**
   * A sequence that starts with as many of these tokens as the cache already holds, in whole blocks, and never with all of them:
   * at least the last token is left to compute, since its logits are wanted. Only sequences of the same `kind` share beginnings:
   * one that is computed with an adapter has other keys and values.
   */
  createSequence(ids: ArrayLike<number> = [], kind = ''): CachedSequence {
    let parent: Beginning = { contentId: this.rootOf(kind), name: this.archive?.rootOf(kind) ?? '' };
    const sequence = new CachedSequence(this, parent);
    for (let start = 0; start + this.blockTokens < ids.length; start += this.blockTokens) {
      const block = this.byContent.get(this.contentKey(parent.contentId, ids, start)) ?? this.load(parent, ids, start);
      if (block === null) break;
      this.retain(block);
      sequence.adopt(block, ids, start);
      parent = this.blocks[block]!;
    }
    sequence.giveUpUnseen();
    return sequence;
  }

  /** A block filled from the archive, known and unused; null where the content is not there, or no block is left. */
  private load(parent: Beginning, ids: ArrayLike<number>, start: number): number | null {
    if (!this.archive) return null;
    const name = this.archive.nameOf(parent.name, this.tokensAt(ids, start));
    const block = this.take();
    if (block === null) return null;
    const isThere = this.archive.load(name, block);
    if (isThere) this.know(block, this.contentKey(parent.contentId, ids, start), name, true);
    this.drop(block);
    return isThere ? block : null;
  }

  /** Whether the archive has taken it just now. */
  private save(block: number): boolean {
    const state = this.blocks[block]!;
    if (!this.archive || state.key === null || state.isSaved || state.name === '') return false;
    state.isSaved = this.archive.save(state.name, block);
    return state.isSaved;
  }

  private tokensAt(ids: ArrayLike<number>, start: number): Uint32Array {
    return Uint32Array.from({ length: this.blockTokens }, (_, i) => ids[start + i]!);
  }

  /** Kinds are named by clients: the oldest are forgotten, and their beginnings with them. */
  private rootOf(kind: string): number {
    const known = this.roots.get(kind);
    if (known !== undefined) return known;
    if (this.roots.size > MOST_KINDS) this.roots.delete([...this.roots.keys()][1]!);
    this.roots.set(kind, this.nextContentId);
    return this.nextContentId++;
  }

  /** Forgets the whole blocks of a text that no sequence uses, in memory alone. Returns how many tokens were in them. */
  forgetText(ids: ArrayLike<number>, kind = ''): number {
    let parent = this.rootOf(kind);
    const found: number[] = [];
    for (let start = 0; start + this.blockTokens <= ids.length; start += this.blockTokens) {
      const block = this.byContent.get(this.contentKey(parent, ids, start));
      if (block === undefined) break;
      found.push(block);
      parent = this.blocks[block]!.contentId;
    }
    // From the end, so that what is still used keeps its beginning.
    const unused = found.slice(1 + found.findLastIndex((block) => !this.unused.has(block)));
    for (const block of unused.reverse()) this.forget(block);
    return unused.length * this.blockTokens;
  }

  /** Forgets every block that no sequence uses, as when the weights have changed. */
  clear(): void {
    for (const block of [...this.unused]) this.forget(block);
  }

  /** A free block, its one reference the caller's; null when all are in use. */
  take(): number | null {
    let block = this.free.pop();
    if (block === undefined) {
      const oldest = this.unused.values().next();
      if (oldest.done) return null;
      this.forget(oldest.value);
      block = this.free.pop()!;
    }
    this.blocks[block]!.references = 1;
    return block;
  }

  retain(block: number): void {
    this.blocks[block]!.references++;
    this.unused.delete(block);
  }

  drop(block: number): void {
    const state = this.blocks[block]!;
    assert(state.references > 0, `kv-cache: block ${block} is dropped without a reference`);
    if (--state.references > 0) return;
    if (state.key === null) this.free.push(block);
    else this.unused.add(block);
  }

  /** Nobody else may read it: one reference, and not known by its content. */
  isPrivate(block: number): boolean {
    return this.blocks[block]!.references === 1 && this.blocks[block]!.key === null;
  }

  /** A private copy of a block, which loses the caller's reference; null when no block is left. */
  copy(block: number): number | null {
    const fresh = this.take();
    if (fresh === null) return null;
    this.copyBlock(block, fresh);
    this.drop(block);
    return fresh;
  }

  /**
   * Makes a full block known by its content. If the same content is known already, the caller's block is dropped for that one.
   * Returns the block to use from now on.
   */
  publish(block: number, before: number | Beginning, ids: ArrayLike<number>, start: number): number {
    const parent = typeof before === 'number' ? this.blocks[before]! : before;
    const key = this.contentKey(parent.contentId, ids, start);
    const known = this.byContent.get(key);
    if (known !== undefined) {
      this.retain(known);
      this.drop(block);
      return known;
    }
    this.know(block, key, this.archive?.nameOf(parent.name, this.tokensAt(ids, start)) ?? '', false);
    return block;
  }

  private know(block: number, key: string, name: string, isSaved: boolean): void {
    Object.assign(this.blocks[block]!, { key, contentId: this.nextContentId++, name, isSaved });
    this.byContent.set(key, block);
  }

  private forget(block: number): void {
    const state = this.blocks[block]!;
    assert(state.references === 0 && state.key !== null, `kv-cache: block ${block} is forgotten while it is used`);
    this.save(block);
    this.byContent.delete(state.key);
    state.key = null;
    this.unused.delete(block);
    this.free.push(block);
  }

  /** Exact, not a digest: two different beginnings never share a block. */
  private contentKey(parent: number, ids: ArrayLike<number>, start: number): string {
    let key = `${parent}:`;
    for (let i = start; i < start + this.blockTokens; i++) key += `${ids[i]},`;
    return key;
  }
}

/**
 * One sequence's place in the cache. The order of calls is: reserve(n), run the model on n tokens with the block table, advance(ids).
 */
export class CachedSequence {
  /** Positions whose keys and values are stored. */
  length = 0;
  private readonly cache: KvCache;
  private table = new Uint32Array(8);
  private view = this.table.subarray(0, 0);
  private blockCount = 0;
  /** The blocks before this one have been given up: their entries say nothing. */
  private firstBlock = 0;
  private ids = new Uint32Array(64);
  private released = false;
  /** The empty beginning of sequences of this kind. */
  readonly root: Beginning;

  constructor(cache: KvCache, root: Beginning) {
    this.cache = cache;
    this.root = root;
  }

  /** The block table, as Span.blocks wants it. A view: valid until the next call that changes the sequence. */
  get blocks(): Uint32Array {
    if (this.view.length !== this.blockCount || this.view.buffer !== this.table.buffer) {
      this.view = this.table.subarray(0, this.blockCount);
    }
    return this.view;
  }

  /** Blocks that reserve(count) would have to take. */
  blocksNeeded(count: number): number {
    const covered = Math.ceil((this.length + count) / this.cache.blockTokens);
    return Math.max(0, covered - this.blockCount) + (count > 0 && this.lastIsShared ? 1 : 0);
  }

  /** Makes room for `count` more positions that only this sequence writes. False, with nothing changed, when blocks run out. */
  reserve(count: number): boolean {
    assert(!this.released, 'kv-cache: a released sequence was reserved for');
    if (this.blocksNeeded(count) > this.cache.availableBlocks) return false;
    if (count > 0 && this.lastIsShared) {
      const last = this.blockCount - 1;
      this.table[last] = this.cache.copy(this.table[last]!)!;
    }
    while (this.blockCount * this.cache.blockTokens < this.length + count) this.push(this.cache.take()!);
    return true;
  }

  /** The model has stored the keys and values of these tokens. */
  advance(ids: ArrayLike<number>): void {
    const { blockTokens } = this.cache;
    const length = this.length + ids.length;
    assert(length <= this.blockCount * blockTokens, 'kv-cache: advanced beyond what was reserved');
    this.remember(ids, this.length);
    for (let block = Math.floor(this.length / blockTokens); (block + 1) * blockTokens <= length; block++) {
      const before = block === 0 ? this.root : this.table[block - 1]!;
      this.table[block] = this.cache.publish(this.table[block]!, before, this.ids, block * blockTokens);
    }
    this.length = length;
    this.giveUpUnseen();
  }

  /** Gives up the blocks that no query to come will see; but not the last full one, which the name of the next is made of. */
  giveUpUnseen(): void {
    const { window, blockTokens } = this.cache;
    if (window === null) return;
    const seen = Math.floor(Math.max(0, this.length - window + 1) / blockTokens);
    const first = Math.min(seen, Math.floor(this.length / blockTokens) - 1);
    while (this.firstBlock < first) this.cache.drop(this.table[this.firstBlock++]!);
  }

  /** Forgets the positions from `length` on. Where blocks have been given up, all of them. */
  truncate(length: number): void {
    assert(length <= this.length, `kv-cache: truncated to ${length} of ${this.length} positions`);
    assert(length === 0 || this.firstBlock === 0, 'kv-cache: truncated to what is no longer there');
    const kept = Math.ceil(length / this.cache.blockTokens);
    while (this.blockCount > kept) {
      this.blockCount--;
      if (this.blockCount >= this.firstBlock) this.cache.drop(this.table[this.blockCount]!);
    }
    if (length === 0) this.firstBlock = 0;
    this.length = length;
  }

  /** A sequence with the same past; both go on independently. */
  fork(): CachedSequence {
    const fork = new CachedSequence(this.cache, this.root);
    for (const [i, block] of this.blocks.subarray(0, Math.ceil(this.length / this.cache.blockTokens)).entries()) {
      if (i >= this.firstBlock) this.cache.retain(block);
      fork.push(block);
    }
    fork.firstBlock = this.firstBlock;
    fork.remember(this.ids.subarray(0, this.length), 0);
    fork.length = this.length;
    return fork;
  }

  /** Gives the blocks back; full ones stay known until their room is needed. */
  release(): void {
    if (this.released) return;
    this.truncate(0);
    this.released = true;
  }

  /** For KvCache: a known full block continues this sequence. */
  adopt(block: number, ids: ArrayLike<number>, start: number): void {
    const { blockTokens } = this.cache;
    this.push(block);
    this.remember(Array.prototype.slice.call(ids, start, start + blockTokens), start);
    this.length += blockTokens;
  }

  /** The next position lies in a block that others may read. */
  private get lastIsShared(): boolean {
    if (this.length % this.cache.blockTokens === 0) return false;
    return !this.cache.isPrivate(this.table[Math.floor(this.length / this.cache.blockTokens)]!);
  }

  private push(block: number): void {
    if (this.blockCount === this.table.length) this.table = grown(this.table, this.blockCount + 1);
    this.table[this.blockCount++] = block;
  }

  private remember(ids: ArrayLike<number>, start: number): void {
    if (start + ids.length > this.ids.length) this.ids = grown(this.ids, start + ids.length);
    this.ids.set(ids, start);
  }
}

function grown(array: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(Math.max(length, 2 * array.length));
  larger.set(array);
  return larger;
}
