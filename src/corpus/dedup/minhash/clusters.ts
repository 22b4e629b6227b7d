/**
 * Texts that meet, directly or through others, are a cluster; its first text in the order of the corpus is kept. Union-find over the edges, which come in
 * any order: the outcome is the same. Memory: 4 bytes for each text of all units.
 */
import type { ByteSource } from '../../../tensor/source.ts';

const EDGE_WORDS = 4;
const BLOCK_EDGES = 1 << 14;

export class Clusters {
  private readonly starts: Float64Array;
  private readonly parents: Uint32Array;

  /** `counts`: texts of each unit. */
  constructor(counts: readonly number[]) {
    this.starts = new Float64Array(counts.length + 1);
    for (const [i, count] of counts.entries()) this.starts[i + 1] = this.starts[i]! + count;
    this.parents = Uint32Array.from({ length: this.starts[counts.length]! }, (_, i) => i);
  }

  addEdges(edges: ByteSource): void {
    const block = new Uint32Array(EDGE_WORDS * BLOCK_EDGES);
    for (let at = 0; at < edges.byteLength; at += block.byteLength) {
      const words = block.subarray(0, Math.min(block.length, (edges.byteLength - at) / 4));
      edges.readInto(new Uint8Array(words.buffer, 0, words.byteLength), at);
      for (let i = 0; i < words.length; i += EDGE_WORDS) {
        const a = this.root(this.starts[words[i]!]! + words[i + 1]!);
        const b = this.root(this.starts[words[i + 2]!]! + words[i + 3]!);
        // The smaller number is the earlier text.
        if (a < b) this.parents[b] = a;
        else this.parents[a] = b;
      }
    }
  }

  /** u32 text · unit that is kept · its text, for each text of the unit that another one of its cluster stands for. */
  duplicatesOf(unit: number): Uint32Array {
    const found: number[] = [];
    for (let i = this.starts[unit]!; i < this.starts[unit + 1]!; i++) {
      const kept = this.root(i);
      if (kept === i) continue;
      const keptUnit = this.unitOf(kept);
      found.push(i - this.starts[unit]!, keptUnit, kept - this.starts[keptUnit]!);
    }
    return Uint32Array.from(found);
  }

  private root(text: number): number {
    const { parents } = this;
    let at = text;
    while (parents[at] !== at) at = parents[at] = parents[parents[at]!]!;
    return at;
  }

  private unitOf(text: number): number {
    let low = 0;
    let high = this.starts.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.starts[middle]! <= text) low = middle;
      else high = middle;
    }
    return low;
  }
}
