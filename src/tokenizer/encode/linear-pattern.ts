/**
 * Finds all matches of a pattern in time proportional to the text, whatever the pattern: for splitting patterns of files that nobody here has
 * seen, where a backtracking engine may take for ever.
 *
 * Which text a backtracking engine would match from a place on depends on the pattern's rest and on the place alone. So the places are visited
 * from the end of the text to its beginning, and at each every node of the pattern learns where the match that it begins ends (−1: there is
 * none), from what the nodes behind it learnt at this place or the next. The first choice that matches wins, as in Perl. That is
 * nodes × characters steps, always; look-ahead comes for free.
 */
import { assert } from '../../base/assert.ts';
import { type CharacterSet, type Pattern, parsePattern } from './pattern-syntax.ts';

/** Calls `onMatch` with the matches of `text` from left to right, none of which overlap. */
export type FindMatches = (text: string, onMatch: (begin: number, end: number) => void) => void;

const MAX_NODES = 4000;
const NONE = -1;

type Node =
  | { readonly kind: 'accept' }
  | { readonly kind: 'set'; readonly set: number; next: number }
  | { readonly kind: 'choice'; first: number; second: number }
  | { readonly kind: 'atomic'; readonly inner: number; readonly next: number; readonly slot: number }
  | { readonly kind: 'ahead'; readonly inner: number; readonly negated: boolean; readonly next: number }
  | { readonly kind: 'behind'; readonly set: number; readonly negated: boolean; readonly next: number }
  | { readonly kind: 'start' | 'end' | 'word-border' | 'no-word-border'; readonly next: number };

/** Throws an Error with the problem in words. */
export function linearPattern(source: string): FindMatches {
  const program = new Program();
  const start = program.add(parsePattern(source), program.push({ kind: 'accept' }));
  const order = program.order();
  const { nodes, sets, slots } = program;
  const classify = classifier(sets);
  return (text, onMatch) => {
    const { classes, offsets } = classify(text);
    const ends = matchEnds(nodes, order, start, slots, classes);
    const { length } = classes;
    for (let at = 0; at <= length; ) {
      const end = ends[at]!;
      if (end > at) onMatch(offsets[at]!, offsets[end]!);
      else if (end === at) onMatch(offsets[at]!, offsets[at]!);
      at = end > at ? end : at + 1;
    }
  };
}

class Program {
  readonly nodes: Node[] = [];
  readonly sets: CharacterSet[] = [];
  slots = 0;
  private readonly setIds = new Map<string, number>();

  push(node: Node): number {
    if (this.nodes.length >= MAX_NODES) throw new Error(`expected a pattern of at most ${MAX_NODES} steps, found more`);
    return this.nodes.push(node) - 1;
  }

  /** Adds the pattern in front of `next`; returns where it begins. */
  add(pattern: Pattern, next: number): number {
    switch (pattern.kind) {
      case 'set':
        return this.push({ kind: 'set', set: this.setOf(pattern.set), next });
      case 'sequence':
        return pattern.parts.reduceRight((after, part) => this.add(part, after), next);
      case 'choice': {
        const begins = pattern.parts.map((part) => this.add(part, next));
        return begins.reduceRight((second, first) => this.push({ kind: 'choice', first, second }));
      }
      case 'repeat':
        return this.addRepeat(pattern, next);
      case 'atomic':
        return this.push({
          kind: 'atomic',
          inner: this.add(pattern.part, this.push({ kind: 'accept' })),
          next,
          slot: this.slots++,
        });
      case 'ahead':
        return this.push({
          kind: 'ahead',
          inner: this.add(pattern.part, this.push({ kind: 'accept' })),
          negated: pattern.negated,
          next,
        });
      case 'behind':
        return this.push({ kind: 'behind', set: this.setOf(pattern.set), negated: pattern.negated, next });
      default:
        return this.push({ kind: pattern.kind, next });
    }
  }

  private addRepeat({ part, min, max, lazy }: Extract<Pattern, { kind: 'repeat' }>, next: number): number {
    // Engines differ in what an empty round means.
    if (max > min && mayBeEmpty(part)) throw new Error('expected no repeated group that may match nothing, found one');
    let after = next;
    const choice = (body: number, rest: number) =>
      lazy
        ? { kind: 'choice' as const, first: rest, second: body }
        : { kind: 'choice' as const, first: body, second: rest };
    if (max === Infinity) {
      const loop: Extract<Node, { kind: 'choice' }> = choice(NONE, after);
      const at = this.push(loop);
      const body = this.add(part, at);
      if (lazy) loop.second = body;
      else loop.first = body;
      after = at;
    } else {
      for (let i = min; i < max; i++) after = this.push(choice(this.add(part, after), next));
    }
    for (let i = 0; i < min; i++) after = this.add(part, after);
    return after;
  }

  private setOf(set: CharacterSet): number {
    const key = `${set.ignoreCase ? 'i' : ''}${set.source}`;
    let id = this.setIds.get(key);
    if (id === undefined) this.setIds.set(key, (id = this.sets.push(set) - 1));
    return id;
  }

  /** The nodes so that each comes after those that it asks at the same place. No loop goes round without a character. */
  order(): Int32Array {
    const order: number[] = [];
    const state = new Uint8Array(this.nodes.length); // 1: on the way, 2: done
    const visit = (root: number) => {
      const stack = [root];
      while (stack.length > 0) {
        const at = stack.at(-1)!;
        const asked = state[at] === 2 ? [] : askedBy(this.nodes[at]!).filter((node) => state[node] !== 2);
        if (asked.length === 0) {
          if (state[at] !== 2) order.push(at);
          state[at] = 2;
          stack.pop();
          continue;
        }
        state[at] = 1;
        assert(
          asked.every((node) => state[node] === 0),
          'linearPattern: a loop that may go round without a character',
        );
        stack.push(...asked);
      }
    };
    for (let node = 0; node < this.nodes.length; node++) visit(node);
    return Int32Array.from(order);
  }
}

function mayBeEmpty(pattern: Pattern): boolean {
  switch (pattern.kind) {
    case 'set':
      return false;
    case 'sequence':
      return pattern.parts.every(mayBeEmpty);
    case 'choice':
      return pattern.parts.some(mayBeEmpty);
    case 'repeat':
      return pattern.min === 0 || mayBeEmpty(pattern.part);
    case 'atomic':
      return mayBeEmpty(pattern.part);
    default:
      return true;
  }
}

function askedBy(node: Node): number[] {
  switch (node.kind) {
    case 'accept':
    case 'set':
      return [];
    case 'choice':
      return [node.first, node.second];
    case 'atomic':
    case 'ahead':
      return [node.inner, node.next];
    default:
      return [node.next];
  }
}

/** For every place, where the match that begins there ends, or −1. `classes`: at every place, which sets hold its character. */
function matchEnds(
  nodes: readonly Node[],
  order: Int32Array,
  start: number,
  slots: number,
  classes: readonly CharacterClass[],
): Int32Array {
  const { length } = classes;
  const ends = new Int32Array(length + 1);
  const continuations = Array.from({ length: slots }, () => new Int32Array(length + 1));
  let here = new Int32Array(nodes.length);
  let behind = new Int32Array(nodes.length).fill(NONE);
  for (let at = length; at >= 0; at--) {
    const character = classes[at];
    const before = classes[at - 1];
    for (let i = 0; i < order.length; i++) {
      const id = order[i]!;
      const node = nodes[id]!;
      let end = NONE;
      switch (node.kind) {
        case 'accept':
          end = at;
          break;
        case 'set':
          if (character !== undefined && character.holds[node.set] === 1) end = behind[node.next]!;
          break;
        case 'choice':
          end = here[node.first]!;
          if (end === NONE) end = here[node.second]!;
          break;
        case 'atomic': {
          const continuation = continuations[node.slot]!;
          continuation[at] = here[node.next]!;
          const inner = here[node.inner]!;
          if (inner !== NONE) end = continuation[inner]!;
          break;
        }
        case 'ahead':
          if ((here[node.inner] !== NONE) !== node.negated) end = here[node.next]!;
          break;
        case 'behind':
          if ((before !== undefined && before.holds[node.set] === 1) !== node.negated) end = here[node.next]!;
          break;
        case 'start':
          if (at === 0) end = here[node.next]!;
          break;
        case 'end':
          if (at === length) end = here[node.next]!;
          break;
        default: {
          const isBorder = (before?.isWord ?? false) !== (character?.isWord ?? false);
          if (isBorder === (node.kind === 'word-border')) end = here[node.next]!;
        }
      }
      here[id] = end;
    }
    ends[at] = here[start]!;
    [here, behind] = [behind, here];
  }
  return ends;
}

interface CharacterClass {
  /** 1 for each set that holds the character. */
  readonly holds: Uint8Array;
  readonly isWord: boolean;
}

/** Looks characters up in the sets, each distinct one once. */
function classifier(sets: readonly CharacterSet[]) {
  const tests = sets.map(({ source, ignoreCase }) => new RegExp(`^${source}$`, ignoreCase ? 'iu' : 'u'));
  const known = new Map<number, CharacterClass>();
  const shared = new Map<string, CharacterClass>();
  const classOf = (point: number): CharacterClass => {
    const character = String.fromCodePoint(point);
    const holds = Uint8Array.from(tests, (test) => (test.test(character) ? 1 : 0));
    const isWord = /^[\p{L}\p{M}\p{N}\p{Pc}]$/u.test(character);
    const key = `${holds.join('')}${isWord}`;
    const found = shared.get(key) ?? { holds, isWord };
    shared.set(key, found);
    return found;
  };
  return (text: string): { readonly classes: CharacterClass[]; readonly offsets: number[] } => {
    const classes: CharacterClass[] = [];
    const offsets: number[] = [];
    for (let i = 0; i < text.length; ) {
      const point = text.codePointAt(i)!;
      let found = known.get(point);
      if (found === undefined) known.set(point, (found = classOf(point)));
      classes.push(found);
      offsets.push(i);
      i += point > 0xffff ? 2 : 1;
    }
    offsets.push(text.length);
    return { classes, offsets };
  };
}
