import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CachedSequence, KvCache } from './kv-cache.ts';

const BLOCK = 4;

/** A store whose "keys" name the whole past of their position, so that a wrongly shared or overwritten block shows. */
class Naive {
  readonly slots: string[];
  readonly cache: KvCache;
  readonly live: { sequence: CachedSequence; ids: number[] }[] = [];
  copies = 0;

  constructor(blockCount: number) {
    this.slots = new Array(blockCount * BLOCK).fill('empty');
    this.cache = new KvCache({
      blockCount,
      blockTokens: BLOCK,
      copyBlock: (from, to) => {
        this.copies++;
        for (let i = 0; i < BLOCK; i++) this.slots[to * BLOCK + i] = this.slots[from * BLOCK + i]!;
      },
    });
  }

  /** Starts a sequence on a prompt; returns how many positions the cache gave. */
  start(prompt: number[]): number {
    const sequence = this.cache.createSequence(prompt);
    this.live.push({ sequence, ids: prompt.slice(0, sequence.length) });
    const { length } = sequence;
    this.extend(this.live.length - 1, prompt.slice(length));
    return length;
  }

  /** Reserves, writes as a model would, advances. False when the cache is full. */
  extend(index: number, tokens: number[]): boolean {
    const { sequence, ids } = this.live[index]!;
    if (!sequence.reserve(tokens.length)) return false;
    for (const [i, token] of tokens.entries()) {
      const position = sequence.length + i;
      ids.push(token);
      this.slots[sequence.blocks[Math.floor(position / BLOCK)]! * BLOCK + (position % BLOCK)] = ids.join(',');
    }
    sequence.advance(tokens);
    return true;
  }

  check(): void {
    for (const { sequence, ids } of this.live) {
      strictEqual(sequence.length, ids.length);
      const found = ids.map((_, s) => this.slots[sequence.blocks[Math.floor(s / BLOCK)]! * BLOCK + (s % BLOCK)]);
      deepStrictEqual(
        found,
        ids.map((_, s) => ids.slice(0, s + 1).join(',')),
      );
    }
    const used = new Set(this.live.flatMap(({ sequence }) => [...sequence.blocks]));
    strictEqual(this.cache.usedBlocks, used.size);
    strictEqual(this.cache.availableBlocks, this.cache.blockCount - used.size);
  }
}

const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => i + from);

test('a prompt seen before is reused in whole blocks, but for its last token', () => {
  const naive = new Naive(16);
  strictEqual(naive.start(range(10)), 0);
  strictEqual(naive.start(range(10)), 8);
  strictEqual(naive.start(range(8)), 4, 'the last token must be computed');
  strictEqual(naive.start([0, 1, 2, 9, 4, 5, 6, 7, 8]), 0, 'another beginning');
  naive.check();
});

test('generated tokens are reused too, also after release', () => {
  const naive = new Naive(16);
  naive.start([1, 2, 3]);
  naive.extend(0, [4]);
  naive.extend(0, [5]);
  naive.live[0]!.sequence.release();
  naive.live.pop();
  strictEqual(naive.start([1, 2, 3, 4, 5, 6]), 4);
  naive.check();
});

test('sequences that computed the same blocks at the same time end up sharing them', () => {
  const naive = new Naive(16);
  const a = naive.cache.createSequence();
  const b = naive.cache.createSequence();
  for (const sequence of [a, b]) ok(sequence.reserve(4));
  strictEqual(naive.cache.usedBlocks, 2);
  for (const sequence of [a, b]) sequence.advance([1, 2, 3, 4]);
  strictEqual(naive.cache.usedBlocks, 1);
  deepStrictEqual(a.blocks, b.blocks);
});

test('a fork shares blocks until one of the two writes', () => {
  const naive = new Naive(16);
  naive.start(range(6));
  const { sequence, ids } = naive.live[0]!;
  naive.live.push({ sequence: sequence.fork(), ids: [...ids] });
  strictEqual(naive.cache.usedBlocks, 2);
  naive.extend(1, [77]);
  strictEqual(naive.copies, 1);
  naive.extend(0, [88]);
  strictEqual(naive.copies, 1, 'the other is alone with the old block');
  naive.check();
});

test('writing into a truncated block leaves what others may still find', () => {
  const naive = new Naive(16);
  naive.start(range(9));
  const first = naive.live[0]!;
  first.sequence.truncate(6);
  first.ids.length = 6;
  naive.extend(0, [50, 51]);
  strictEqual(naive.start(range(9)), 8);
  naive.check();
});

test('the block unused for longest makes room, ends before beginnings', () => {
  const naive = new Naive(4);
  naive.start(range(8));
  naive.live.pop()!.sequence.release();
  naive.start(range(8, 100));
  naive.live.pop()!.sequence.release();
  naive.start(range(4, 200)); // needs one block: the end of the first sequence
  naive.live.pop()!.sequence.release();
  strictEqual(naive.start(range(9, 100)), 8);
  naive.live.pop()!.sequence.release();
  strictEqual(naive.cache.createSequence(range(9)).length, 0, 'of the first, nothing is left after 9 more tokens');
});

test('reserve refuses when blocks run out, and changes nothing', () => {
  const naive = new Naive(2);
  naive.start(range(5));
  strictEqual(naive.extend(0, range(4)), false);
  naive.check();
  strictEqual(naive.extend(0, range(3)), true);
  naive.check();
});

test('any history of starts, extensions, forks, truncations and releases keeps every past intact', () => {
  const token = fc.integer({ min: 0, max: 2 }); // few, so that prefixes meet often
  const command = fc.oneof(
    fc.record({ do: fc.constant('start' as const), tokens: fc.array(token, { minLength: 1, maxLength: 14 }) }),
    fc.record({
      do: fc.constant('extend' as const),
      at: fc.nat(7),
      tokens: fc.array(token, { minLength: 1, maxLength: 6 }),
    }),
    fc.record({ do: fc.constant('fork' as const), at: fc.nat(7) }),
    fc.record({ do: fc.constant('truncate' as const), at: fc.nat(7), by: fc.nat(6) }),
    fc.record({ do: fc.constant('release' as const), at: fc.nat(7) }),
  );
  fc.assert(
    fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
      const naive = new Naive(12);
      for (const command of commands) {
        if (command.do === 'start') {
          const before = naive.live.length;
          naive.start(command.tokens);
          if (naive.live[before]!.ids.length < command.tokens.length)
            naive.live.splice(before, 1)[0]!.sequence.release();
        } else if (naive.live.length > 0) {
          const index = command.at % naive.live.length;
          const { sequence, ids } = naive.live[index]!;
          if (command.do === 'extend') {
            const needed = sequence.blocksNeeded(command.tokens.length);
            strictEqual(needed <= naive.cache.availableBlocks, naive.extend(index, command.tokens));
          } else if (command.do === 'fork') naive.live.push({ sequence: sequence.fork(), ids: [...ids] });
          else if (command.do === 'truncate') {
            ids.length = Math.max(0, ids.length - command.by);
            sequence.truncate(ids.length);
          } else naive.live.splice(index, 1)[0]!.sequence.release();
        }
        naive.check();
      }
      for (const { sequence } of naive.live.splice(0)) sequence.release();
      strictEqual(naive.cache.availableBlocks, 12, 'nothing leaks');
      naive.cache.clear();
      strictEqual(naive.cache.createSequence([0, 1, 2, 0, 1]).length, 0);
    }),
    { numRuns: 300 },
  );
});

test('sequences of another kind share no beginning, whatever their tokens; those of one kind do', () => {
  const cache = new KvCache({ blockCount: 8, blockTokens: 4, copyBlock() {} });
  const fill = (kind: string) => {
    const sequence = cache.createSequence(range(9), kind);
    const found = sequence.length;
    strictEqual(sequence.reserve(9 - found), true);
    sequence.advance(range(9).slice(found));
    const fork = sequence.fork();
    sequence.release();
    fork.release();
    return found;
  };
  strictEqual(fill(''), 0);
  strictEqual(fill('pirate 1'), 0);
  strictEqual(fill(''), 8);
  strictEqual(fill('pirate 1'), 8);
  for (let i = 0; i < 300; i++) strictEqual(cache.createSequence(range(9), `other ${i}`).length, 0);
  strictEqual(cache.createSequence(range(9), 'pirate 1').length, 0, 'forgotten');
  strictEqual(cache.createSequence(range(9)).length, 8);
});

test('with a window a sequence gives up what no query will see; forks share the rest, and all is given back', () => {
  const cache = new KvCache({ blockCount: 6, blockTokens: BLOCK, window: 5, copyBlock: () => {} });
  const sequence = cache.createSequence();
  const ids = Array.from({ length: 40 }, (_, i) => i);
  for (const id of ids) {
    ok(sequence.reserve(1), `position ${id}`);
    sequence.advance([id]);
  }
  // The next query, at 40, sees 36 to 40: block 9, which is full, and the one that is to come.
  strictEqual(cache.usedBlocks, 1);
  const fork = sequence.fork();
  for (const one of [sequence, fork]) {
    ok(one.reserve(1));
    one.advance([7]);
  }
  strictEqual(cache.usedBlocks, 3);
  sequence.release();
  fork.release();
  strictEqual(cache.availableBlocks, 6);
  // Known again as far as blocks are still there: from the beginning, which went first.
  strictEqual(cache.createSequence(ids).length, 0);
});
