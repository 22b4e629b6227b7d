/** A max-heap of pairs by count; among equals, the one that `goesFirst`. Entries keep the count they were pushed with. */
export class PairHeap {
  private readonly ids: number[] = [];
  private readonly counts: number[] = [];
  private readonly goesFirst: (a: number, b: number) => boolean;

  constructor(goesFirst: (a: number, b: number) => boolean) {
    this.goesFirst = goesFirst;
  }

  push(id: number, count: number): void {
    const { ids, counts } = this;
    let i = ids.length;
    ids.push(id);
    counts.push(count);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.isBefore(id, count, ids[parent]!, counts[parent]!)) break;
      ids[i] = ids[parent]!;
      counts[i] = counts[parent]!;
      i = parent;
    }
    ids[i] = id;
    counts[i] = count;
  }

  pop(): { id: number; count: number } | null {
    const { ids, counts } = this;
    if (ids.length === 0) return null;
    const top = { id: ids[0]!, count: counts[0]! };
    const id = ids.pop()!;
    const count = counts.pop()!;
    const size = ids.length;
    if (size === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= size) break;
      if (child + 1 < size && this.isBefore(ids[child + 1]!, counts[child + 1]!, ids[child]!, counts[child]!)) child++;
      if (!this.isBefore(ids[child]!, counts[child]!, id, count)) break;
      ids[i] = ids[child]!;
      counts[i] = counts[child]!;
      i = child;
    }
    ids[i] = id;
    counts[i] = count;
    return top;
  }

  private isBefore(id: number, count: number, otherId: number, otherCount: number): boolean {
    return count !== otherCount ? count > otherCount : id !== otherId && this.goesFirst(id, otherId);
  }
}
