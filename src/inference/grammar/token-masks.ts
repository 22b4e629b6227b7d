/**
 * From bytes to tokens: which tokens a position allows, and where each leads.
 *
 * A place's own part of the mask is worked out once, whatever the context: the tokens that stay within its rule, and the trie nodes
 * at which the rule may be done (`exits`), below which the context decides. A position's mask is the union of its places' parts and
 * of what lies below their exits. Within a text of a JSON string or the like, all plain tokens are taken at once.
 */
import { ArgumentError, CriaError } from '../../base/errors.ts';
import type { Automaton, Place, Position } from './automaton.ts';
import type { TokenName } from './expression.ts';
import type { TokenEdge } from './network/builder.ts';
import { type GrammarVocabulary, includeBits, plainRanges, type Trie, wordsOf } from './vocabulary.ts';

/** A set of token ids, as bits or, where they are few, as a list. */
export type TokenSet = { readonly bits: Uint32Array } | { readonly ids: Uint32Array };

interface PlacePart {
  readonly tokens: TokenSet;
  /** Nodes of `vocabulary.all` below which the caller goes on. */
  readonly exits: readonly number[];
}

/** Bytes of masks that are kept. */
const MAX_KEPT_BYTES = 8 << 20;

export class TokenMasks {
  readonly automaton: Automaton;
  private readonly vocabulary: GrammarVocabulary;
  private readonly tokenIds = new Map<TokenName, number>();
  private parts = new WeakMap<Place, PlacePart>();
  private masks = new WeakMap<Position, TokenSet>();
  private keptBytes = 0;
  private readonly scratch: Uint32Array;
  private readonly path: Position[];
  private readonly plainParts = new Map<number, 'one' | 'none' | 'other'>();
  /** The classes of bytes with which plain characters begin. */
  private readonly plainClasses: readonly number[];

  /** Throws ArgumentError `grammar.no-token` for tokens that the vocabulary does not have. */
  constructor(automaton: Automaton, vocabulary: GrammarVocabulary) {
    this.automaton = automaton;
    this.vocabulary = vocabulary;
    this.scratch = new Uint32Array(wordsOf(vocabulary.size));
    this.path = new Array(vocabulary.all.maxDepth + 1);
    const firstBytes = plainSequences.flatMap(([first]) => first!);
    const classes = firstBytes.flatMap(([from, to]) => [...automaton.network.classOf.subarray(from, to + 1)]);
    this.plainClasses = [...new Set(classes)];
    for (const { token } of [...automaton.network.tokenEdges.values()].flat()) {
      const id = typeof token === 'number' ? token : vocabulary.idOf(token);
      if (id === null || id >= vocabulary.size) {
        throw new ArgumentError(
          'grammar.no-token',
          `grammar: expected tokens of this model's vocabulary, found ${typeof token === 'number' ? `<[${token}]>` : token}. ` +
            'Write texts in quotes; between < and > stands the name of one token.',
        );
      }
      this.tokenIds.set(token, id);
    }
  }

  /** The tokens that may come next, ends of generation among them where the text may end. */
  maskOf(position: Position): TokenSet {
    const known = this.masks.get(position);
    if (known) return known;
    this.automaton.renew();
    const bits = this.scratch.fill(0);
    const { all, eogIds } = this.vocabulary;
    const exits: [node: number, after: Position][] = [];
    for (const [frame, place] of position.kernel) {
      const part = this.partOf(place);
      include(bits, part.tokens);
      const after = part.exits.length > 0 ? this.automaton.after(frame) : null;
      if (after) for (const node of part.exits) exits.push([node, after]);
    }
    for (const [node, after] of exits) this.walk(all, node, after, bits, null);
    for (const [place] of position.tops) for (const edge of place.tokenEdges) this.includeEdge(bits, edge);
    if (position.isAccepting) for (const id of eogIds) add(bits, id);
    const mask = this.keep(bits);
    this.masks.set(position, mask);
    return mask;
  }

  /** Where token `id` leads; null when it is not allowed. */
  advance(position: Position, id: number): Position | null {
    this.automaton.renew();
    const { classOf, tokenEdges } = this.automaton.network;
    const bytes = this.vocabulary.bytesOf[id] ?? null;
    let at: Position | null = bytes === null || bytes.length === 0 ? null : position;
    for (let i = 0; at !== null && i < bytes!.length; i++) at = this.automaton.step(at, classOf[bytes![i]!]!);
    if (tokenEdges.size === 0) return at;
    return this.automaton.stepToken(position, (edge) => this.matches(edge, id), at);
  }

  private matches({ token, negated }: TokenEdge, id: number): boolean {
    const isNamed = this.tokenIds.get(token) === id;
    return negated ? !isNamed && this.vocabulary.bytesOf[id] != null : isNamed;
  }

  private includeEdge(bits: Uint32Array, edge: TokenEdge): void {
    const named = this.tokenIds.get(edge.token)!;
    if (!edge.negated) {
      add(bits, named);
      return;
    }
    for (const id of this.vocabulary.all.ids) if (id !== named) add(bits, id);
  }

  private partOf(place: Place): PlacePart {
    const known = this.parts.get(place);
    if (known) return known;
    const bits = new Uint32Array(this.scratch.length);
    const exits: number[] = [];
    const { all, notPlain, plainUpTo } = this.vocabulary;
    const start = this.automaton.inside(place);
    const plain = this.plainRun(start, plainUpTo.length - 1);
    // The exits are nodes of the trie of all tokens, so a rule that may be done within plain text is walked the long way.
    const short = plain === null ? null : this.walkNotPlain(notPlain, start, bits);
    if (short) {
      includeBits(bits, plainUpTo[plain!]!);
      exits.push(...short);
    } else {
      bits.fill(0);
      this.walk(all, -1, start, bits, exits);
    }
    const part = { tokens: this.keep(bits), exits };
    this.parts.set(place, part);
    return part;
  }

  /** Walks the tokens that are not plain; the exits, found again among all tokens. */
  private walkNotPlain(notPlain: Trie, start: Position, bits: Uint32Array): number[] {
    const found: number[] = [];
    this.walk(notPlain, -1, start, bits, found);
    return found.map((node) => this.nodeOfAll(notPlain, node));
  }

  private nodeOfAll(trie: Trie, node: number): number {
    return (this.toAll ??= correspondence(trie, this.vocabulary.all))[node]!;
  }
  private toAll: Uint32Array | undefined;

  /**
   * How many plain characters may follow, `most` at most, when every plain text of that length is allowed, none longer, and none
   * ends the rule; null when it is not so simple.
   */
  private plainRun(start: Position, most: number): number | null {
    let at = start;
    for (let count = 0; count < most; count++) {
      const next = this.afterPlain(at);
      if (next === 'none') return count;
      if (next === 'several' || next.isOutside) return null;
      if (next === at) return most;
      at = next;
    }
    return most;
  }

  private afterPlain(position: Position): Position | 'none' | 'several' {
    return (position.afterPlain ??= this.afterPlainRules(position) ?? this.findAfterPlain(position));
  }

  /** The short way: all plain characters are read by rules that read one character. A counted text is a long chain of that. */
  private afterPlainRules(position: Position): Position | 'none' | null {
    for (const place of position.kernel.values()) {
      if (this.plainClasses.some((byteClass) => this.automaton.reads(place, byteClass))) return null;
      for (const rule of place.returns.keys()) if (this.plainPartOf(rule) === 'other') return null;
    }
    return this.automaton.afterRules(position, (rule) => this.plainPartOf(rule) === 'one') ?? 'none';
  }

  /** What plain characters a rule reads: any one and then it is done, none, or something else. */
  private plainPartOf(rule: number): 'one' | 'none' | 'other' {
    const known = this.plainParts.get(rule);
    if (known) return known;
    const after = this.findAfterPlain(this.automaton.insideRule(rule));
    const isDone =
      typeof after === 'object' && after.isOutside && [...after.kernel.values()].every(({ isLast }) => isLast);
    const part = after === 'none' ? 'none' : isDone ? 'one' : 'other';
    this.plainParts.set(rule, part);
    return part;
  }

  private findAfterPlain(position: Position): Position | 'none' | 'several' {
    const ends = new Set<Position | null>();
    const follow = (at: Position | null, ranges: readonly (readonly (readonly [number, number])[])[]): void => {
      if (at === null || ranges.length === 0) {
        ends.add(at);
        return;
      }
      const seen = new Set<number>();
      for (const [from, to] of ranges[0]!) {
        for (let byte = from; byte <= to; byte++) {
          const byteClass = this.automaton.network.classOf[byte]!;
          if (seen.has(byteClass)) continue;
          seen.add(byteClass);
          const next = this.automaton.step(at, byteClass);
          if (next?.isOutside && ranges.length > 1) ends.add(null).add(position);
          follow(next, ranges.slice(1));
          if (ends.size > 1) return;
        }
      }
    };
    for (const sequence of plainSequences) if (ends.size <= 1) follow(position, sequence);
    if (ends.size > 1) return 'several';
    return [...ends][0] ?? 'none';
  }

  /** Adds the tokens below `node` (−1: all) that can be read from `start`; nodes after which the rule may be done go to `exits`. */
  private walk(trie: Trie, node: number, start: Position, bits: Uint32Array, exits: number[] | null): void {
    const { automaton, path } = this;
    const { classOf } = automaton.network;
    const { bytes, ends, depths, firstId, ids } = trie;
    const base = node < 0 ? 0 : depths[node]!;
    const end = node < 0 ? trie.nodeCount : ends[node]!;
    path[0] = start;
    for (let i = node + 1; i < end; ) {
      const depth = depths[i]! - base;
      const from = path[depth - 1]!;
      const byteClass = classOf[bytes[i]!]!;
      const known = from.next[byteClass];
      const next = known === undefined ? automaton.step(from, byteClass) : known;
      if (next === null) {
        i = ends[i]!;
        continue;
      }
      path[depth] = next;
      for (let t = firstId[i]!; t < firstId[i + 1]!; t++) add(bits, ids[t]!);
      if (exits !== null && next.isOutside && ends[i]! > i + 1) exits.push(i);
      i++;
    }
  }

  /** A copy of the bits to be kept. */
  private keep(bits: Uint32Array): TokenSet {
    const count = countBits(bits);
    const set = count < bits.length / 2 ? { ids: idsOf(bits, count) } : { bits: bits.slice() };
    this.keptBytes += ('ids' in set ? set.ids : set.bits).byteLength;
    if (this.keptBytes > MAX_KEPT_BYTES) {
      this.keptBytes = 0;
      this.parts = new WeakMap();
      this.masks = new WeakMap();
    }
    return set;
  }
}

const continuation = [[[0x80, 0xbf]]] as const;
/** Every plain character in UTF-8, byte by byte. */
const plainSequences: readonly (readonly (readonly (readonly [number, number])[])[])[] = [
  [plainRanges],
  [[[0xc2, 0xdf]], ...continuation],
  [[[0xe0, 0xe0]], [[0xa0, 0xbf]], ...continuation],
  [
    [
      [0xe1, 0xec],
      [0xee, 0xef],
    ],
    ...continuation,
    ...continuation,
  ],
  [[[0xed, 0xed]], [[0x80, 0x9f]], ...continuation],
  [[[0xf0, 0xf0]], [[0x90, 0xbf]], ...continuation, ...continuation],
  [[[0xf1, 0xf3]], ...continuation, ...continuation, ...continuation],
  [[[0xf4, 0xf4]], [[0x80, 0x8f]], ...continuation, ...continuation],
];

/** For each node of a trie the node of a larger one with the same bytes before it. */
function correspondence(small: Trie, large: Trie): Uint32Array {
  const out = new Uint32Array(small.nodeCount);
  const path: number[] = [-1];
  for (let node = 0; node < small.nodeCount; node++) {
    const depth = small.depths[node]!;
    const parent = path[depth - 1]!;
    let found = parent + 1;
    while (large.bytes[found] !== small.bytes[node]) found = large.ends[found]!;
    out[node] = path[depth] = found;
  }
  return out;
}

export function noTokenLeft(): CriaError {
  return new CriaError(
    'grammar.no-token-left',
    'grammar: expected a token that the grammar allows here, found none in this vocabulary. Does it lack single bytes?',
  );
}

function add(bits: Uint32Array, id: number): void {
  bits[id >> 5]! |= 1 << (id & 31);
}

function include(bits: Uint32Array, set: TokenSet): void {
  if ('ids' in set) for (const id of set.ids) add(bits, id);
  else includeBits(bits, set.bits);
}

function countBits(bits: Uint32Array): number {
  let count = 0;
  for (let word of bits) {
    word -= (word >>> 1) & 0x55555555;
    word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
    count += (((word + (word >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
  }
  return count;
}

function idsOf(bits: Uint32Array, count: number): Uint32Array {
  const ids = new Uint32Array(count);
  let next = 0;
  for (let w = 0; w < bits.length; w++) {
    for (let rest = bits[w]!; rest !== 0; rest &= rest - 1) ids[next++] = 32 * w + 31 - Math.clz32(rest & -rest);
  }
  return ids;
}
