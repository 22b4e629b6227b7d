/**
 * n-grams as a trie in one open-addressed hash table: (node of the context, word id) → node. Node 0 is the empty context.
 * Columns of plain numbers per node, no objects: a model has tens of millions of them.
 */
import { assert } from '../../base/assert.ts';

/** The node of the empty context. */
export const ROOT = 0;

export class NgramTrie {
  readonly order: number;
  /** Nodes, the root included; ids are dense and ascend in order of arrival. */
  nodeCount = 1;
  lengths: Uint8Array;
  parents: Int32Array;
  words: Int32Array;
  /** Open addressing over nodes; −1 is empty. */
  private table: Int32Array;

  constructor(order: number, expectedNodes: number) {
    this.order = order;
    const room = expectedNodes + 16;
    this.lengths = new Uint8Array(room);
    this.parents = new Int32Array(room);
    this.words = new Int32Array(room);
    let capacity = 16;
    while (capacity < room * 1.7) capacity *= 2;
    this.table = new Int32Array(capacity).fill(-1);
  }

  /** Nodes that fit before the columns grow; callers keep their own columns this long. */
  get room(): number {
    return this.parents.length;
  }

  /** The node of context + word, or −1. */
  child(parent: number, word: number): number {
    const { table, parents, words } = this;
    const mask = table.length - 1;
    let slot = hashPair(parent, word) & mask;
    for (let node = table[slot]!; node >= 0; node = table[slot]!) {
      if (parents[node] === parent && words[node] === word) return node;
      slot = (slot + 1) & mask;
    }
    return -1;
  }

  /** Makes the node of context + word, which must not be there yet. */
  insert(parent: number, word: number): number {
    if (this.nodeCount === this.parents.length) this.grow();
    const length = this.lengths[parent]! + 1;
    assert(length <= this.order, `NgramTrie: an n-gram of length ${length} in a model of order ${this.order}`);
    const node = this.nodeCount++;
    this.parents[node] = parent;
    this.words[node] = word;
    this.lengths[node] = length;
    this.place(node);
    return node;
  }

  /** All nodes of one length after the other, shortest first. */
  byLength(): Int32Array {
    const starts = new Int32Array(this.order + 2);
    for (let node = 1; node < this.nodeCount; node++) starts[this.lengths[node]! + 1]!++;
    for (let length = 1; length < starts.length; length++) starts[length]! += starts[length - 1]!;
    const nodes = new Int32Array(this.nodeCount - 1);
    for (let node = 1; node < this.nodeCount; node++) nodes[starts[this.lengths[node]!]!++] = node;
    return nodes;
  }

  /** For each node the node of its longest proper suffix that is in the trie; the root for words. */
  suffixLinks(): Int32Array<ArrayBuffer> {
    const suffixes = new Int32Array(this.nodeCount);
    for (const node of this.byLength()) {
      let context = this.parents[node]!;
      let found = -1;
      while (context !== ROOT && found < 0) {
        context = suffixes[context]!;
        found = this.child(context, this.words[node]!);
      }
      suffixes[node] = Math.max(found, ROOT);
    }
    return suffixes;
  }

  private place(node: number): void {
    const mask = this.table.length - 1;
    let slot = hashPair(this.parents[node]!, this.words[node]!) & mask;
    while (this.table[slot]! >= 0) slot = (slot + 1) & mask;
    this.table[slot] = node;
  }

  private grow(): void {
    const room = this.parents.length * 2;
    this.lengths = widened(this.lengths, new Uint8Array(room));
    this.parents = widened(this.parents, new Int32Array(room));
    this.words = widened(this.words, new Int32Array(room));
    if (this.table.length >= room * 1.7) return;
    this.table = new Int32Array(this.table.length * 2).fill(-1);
    for (let node = 1; node < this.nodeCount; node++) this.place(node);
  }
}

/** Copies a column into a longer one. */
export function widened<A extends Float32Array | Int32Array | Uint8Array>(from: A, to: A): A {
  to.set(from);
  return to;
}

function hashPair(parent: number, word: number): number {
  let hash = Math.imul(parent, 0x9e3779b1) ^ Math.imul(word + 0x7f4a7c15, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}
