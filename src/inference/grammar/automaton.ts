/**
 * Walking the network byte by byte, all ways at once.
 *
 *   Place   where one rule stands: a set of network states, worked out when first met (a lazy subset construction)
 *   Frame   what follows when the rule is done: places to return to, each with the frame of its own
 *   Position  all (place, frame) pairs at which the text so far may stand
 *
 * Frames are shared like the nodes of a graph-structured stack: one per called rule and position, with all its callers as links, so
 * their number grows with the text and never exponentially. All three are kept once per content, so the same situation is the
 * same object and everything found out about it (next positions, masks) is found out once. A call in last place adds no frame.
 *
 * Source  Tomita 1986 (graph-structured stacks); Scott & Johnstone 2010 (GLL) for calls without left recursion.
 */
import { CriaError } from '../../base/errors.ts';
import type { Lists, TokenEdge } from './network/builder.ts';
import type { Network } from './network/network.ts';

/**
 * What masks and steps may cost, in edges and links looked at: this much at once, some tens of milliseconds, and so much more with each
 * of them. A schema's cost hundreds on average, seldom tens of thousands; others that share the engine are not to wait for more.
 */
const MAX_WORK = 1_500_000;
const WORK_PER_STEP = 15_000;
/** Entries of the tables, their parts counted, at which they are emptied and begin anew. */
const MAX_KEPT = 200_000;

export interface Place {
  readonly id: number;
  readonly states: readonly number[];
  readonly isFinal: boolean;
  /** Nothing can follow within the rule. */
  readonly isLast: boolean;
  /** Return states by called rule; calls: the same as places, once somebody asked. */
  readonly returns: ReadonlyMap<number, readonly number[]>;
  calls: readonly Call[] | undefined;
  readonly tokenEdges: readonly TokenEdge[];
  /** By byte class; undefined: not yet known, null: no way on. */
  readonly next: (Place | null | undefined)[];
}

interface Call {
  readonly rule: number;
  readonly back: Place;
}

export interface Frame {
  readonly id: number;
  readonly links: ReadonlyMap<Frame, Place>;
  /** Where the callers stand when the rule is done; null where nobody goes on. */
  after: Position | null | undefined;
}

export interface Position {
  readonly id: number;
  /** Without the rules that they call. */
  readonly kernel: ReadonlyMap<Frame, Place>;
  readonly tops: readonly (readonly [Place, Frame])[];
  /** The text may end here. */
  readonly isAccepting: boolean;
  /** The rule that an examination began in may be done here; see Automaton.inside(). */
  readonly isOutside: boolean;
  /** By byte class; undefined: not yet known, null: no way on. */
  readonly next: (Position | null | undefined)[];
  /** The one position that every plain character leads to; 'none' when none goes on, 'several' otherwise. See token-masks.ts. */
  afterPlain: Position | 'none' | 'several' | undefined;
}

export class Automaton {
  readonly network: Network;
  /** The whole text's frame: when its rule is done the text may end. */
  private readonly bottom: Frame = { id: 0, links: new Map(), after: null };
  /** Stands for any frame while a rule is examined by itself. */
  private readonly unknown: Frame = { id: 1, links: new Map(), after: null };
  private places = new Map<string, Place>();
  private frames = new Map<string, Frame>();
  private positions = new Map<string, Position>();
  private unions = new Map<Place, Map<Place, Place>>();
  private nextId = 2;
  private workLeft = MAX_WORK;
  private kept = 0;
  private readonly stamp: Uint32Array;
  private stampNow = 0;
  private readonly beginnings: (Place | undefined)[] = [];
  private cachedStart: Position | undefined;

  constructor(network: Network) {
    this.network = network;
    this.stamp = new Uint32Array(network.stateCount);
  }

  get start(): Position {
    return (this.cachedStart ??= this.position(
      new Map([[this.bottom, this.beginning(this.network.root)]]),
      this.network.isNullable[this.network.root] === 1,
    ));
  }

  /** Called before each mask and each step. */
  renew(): void {
    this.workLeft = Math.min(MAX_WORK, this.workLeft + WORK_PER_STEP);
    if (this.kept < MAX_KEPT) return;
    this.kept = 0;
    this.positions = new Map();
    this.frames = new Map();
    this.unions = new Map();
    this.places = new Map();
  }

  /** Where byte class `byteClass` leads; null when nowhere. */
  step(position: Position, byteClass: number): Position | null {
    const known = position.next[byteClass];
    if (known !== undefined) return known;
    const kernel = new Map<Frame, Place>();
    for (const [place, frame] of position.tops) {
      const next = this.nextPlace(place, byteClass);
      if (next) this.enter(kernel, next, frame);
    }
    const found = kernel.size === 0 ? null : this.position(kernel);
    position.next[byteClass] = found;
    return found;
  }

  /** Where a token edge of token `id` leads, together with `other`; null when nowhere. */
  stepToken(position: Position, matches: (edge: TokenEdge) => boolean, other: Position | null): Position | null {
    const kernel = new Map<Frame, Place>(other?.kernel ?? []);
    for (const [place, frame] of position.tops) {
      const targets = place.tokenEdges.filter(matches).map(({ to }) => to);
      if (targets.length > 0) this.enter(kernel, this.place(targets), frame);
    }
    return kernel.size === 0 ? null : this.position(kernel);
  }

  /** A rule's place by itself, whoever called it: positions in it say isOutside where the caller would have to go on. */
  inside(place: Place): Position {
    return this.position(new Map([[this.unknown, place]]));
  }

  /** A rule by itself. */
  insideRule(rule: number): Position {
    return this.inside(this.beginning(rule));
  }

  /** The place itself, without the rules that it calls, reads a byte of this class. */
  reads(place: Place, byteClass: number): boolean {
    return this.nextPlace(place, byteClass) !== null;
  }

  /** Where the kernel's calls of those rules lead when the rules have been read; null when there are none. */
  afterRules(position: Position, isRead: (rule: number) => boolean): Position | null {
    const kernel = new Map<Frame, Place>();
    for (const [frame, place] of position.kernel) {
      for (const { rule, back } of this.callsOf(place)) if (isRead(rule)) this.enter(kernel, back, frame);
    }
    return kernel.size === 0 ? null : this.position(kernel);
  }

  /** Where a frame's callers stand when its rule is done; null where the text ends with it. */
  after(frame: Frame): Position | null {
    if (frame.after !== undefined) return frame.after;
    const kernel = new Map<Frame, Place>();
    for (const [parent, back] of frame.links) this.enter(kernel, back, parent);
    frame.after = this.position(kernel);
    return frame.after;
  }

  /** Nothing can follow. */
  isOver(position: Position): boolean {
    return position.isAccepting && position.kernel.size === 1 && position.kernel.get(this.bottom)?.isLast === true;
  }

  /** Adds a place, and where its callers go on when it is done. */
  private enter(kernel: Map<Frame, Place>, firstPlace: Place, firstFrame: Frame): void {
    // With a stack of our own: frames may be as deep as the text is long.
    const stack: [Place, Frame][] = [[firstPlace, firstFrame]];
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      const [place, frame] = top;
      this.spend(1);
      const existing = kernel.get(frame);
      const joined = existing && existing !== place ? this.union(existing, place) : place;
      if (joined === existing) continue;
      const isBase = frame === this.bottom || frame === this.unknown;
      if (isBase || !joined.isLast) kernel.set(frame, joined);
      if (!joined.isFinal || existing?.isFinal) continue;
      for (const [parent, back] of frame.links) stack.push([back, parent]);
    }
  }

  private position(kernel: Map<Frame, Place>, mayBeEmpty = false): Position {
    const sorted = [...kernel].sort((a, b) => a[0].id - b[0].id);
    const key = (mayBeEmpty ? '!' : '') + sorted.map(([frame, place]) => `${frame.id},${place.id}`).join(' ');
    const known = this.positions.get(key);
    if (known) return known;
    const position: Position = {
      id: this.nextId++,
      kernel: new Map(sorted),
      tops: this.expand(sorted),
      isAccepting: mayBeEmpty || kernel.get(this.bottom)?.isFinal === true,
      isOutside: kernel.get(this.unknown)?.isFinal === true,
      next: new Array(this.network.classCount),
      afterPlain: undefined,
    };
    this.positions.set(key, position);
    this.kept += 8 + sorted.length + position.tops.length;
    return position;
  }

  /** Adds the beginnings of all rules that are called here; callers come before the called, so a frame's links are complete. */
  private expand(kernel: readonly (readonly [Frame, Place])[]): (readonly [Place, Frame])[] {
    const tops: (readonly [Place, Frame])[] = [];
    const pending = new Map<number, Map<Frame, Place>>();
    const add = (place: Place, frame: Frame) => {
      tops.push([place, frame]);
      for (const { rule, back } of this.callsOf(place)) {
        let links = pending.get(rule);
        if (!links) pending.set(rule, (links = new Map()));
        if (back.isLast && frame.links.size > 0)
          for (const [parent, place] of frame.links) this.link(links, parent, place);
        else this.link(links, frame, back);
      }
    };
    for (const [frame, place] of kernel) add(place, frame);
    const { ranks } = this.network;
    while (pending.size > 0) {
      let rule = -1;
      for (const other of pending.keys()) if (rule < 0 || ranks[other]! < ranks[rule]!) rule = other;
      this.spend(pending.size);
      const frame = this.frame(pending.get(rule)!);
      pending.delete(rule);
      add(this.beginning(rule), frame);
    }
    return tops;
  }

  private link(links: Map<Frame, Place>, frame: Frame, back: Place): void {
    this.spend(1);
    const existing = links.get(frame);
    links.set(frame, existing ? this.union(existing, back) : back);
  }

  private frame(links: Map<Frame, Place>): Frame {
    const sorted = [...links].sort((a, b) => a[0].id - b[0].id);
    const key = sorted.map(([frame, place]) => `${frame.id},${place.id}`).join(' ');
    let frame = this.frames.get(key);
    if (!frame) {
      frame = { id: this.nextId++, links: new Map(sorted), after: undefined };
      this.frames.set(key, frame);
      this.kept += 8 + sorted.length;
    }
    return frame;
  }

  private beginning(rule: number): Place {
    return (this.beginnings[rule] ??= this.place([this.network.starts[rule]!]));
  }

  private union(a: Place, b: Place): Place {
    const row = this.unions.get(a);
    const known = row?.get(b);
    if (known) return known;
    const joined = this.place([...a.states, ...b.states]);
    if (row) row.set(b, joined);
    else this.unions.set(a, new Map([[b, joined]]));
    return joined;
  }

  private nextPlace(place: Place, byteClass: number): Place | null {
    const known = place.next[byteClass];
    if (known !== undefined) {
      this.spend(1);
      return known;
    }
    const { byteEdges } = this.network;
    const byte = this.byteOfClass(byteClass);
    const targets: number[] = [];
    const { offsets, values } = byteEdges;
    for (const state of place.states) {
      const end = offsets[state + 1]!;
      this.spend(1 + (end - offsets[state]!) / 3);
      for (let i = offsets[state]!; i < end; i += 3) {
        if (byte >= values[i]! && byte <= values[i + 1]!) targets.push(values[i + 2]!);
      }
    }
    const found = targets.length === 0 ? null : this.place(targets);
    place.next[byteClass] = found && found.states.length > 0 ? found : null;
    return place.next[byteClass];
  }

  /** The place of these states and all that free edges lead to, without those that have no edges of their own or no way to the end. */
  private place(from: readonly number[]): Place {
    const { free, byteEdges, calls, tokenEdges, isAlive, isFinal, isStart, starts } = this.network;
    const now = ++this.stampNow;
    const stack = [...from];
    const kept: number[] = [];
    let ends = false;
    let begins = false;
    for (let state = stack.pop(); state !== undefined; state = stack.pop()) {
      if (this.stamp[state] === now || !isAlive[state]) continue;
      this.stamp[state] = now;
      const [first, end] = [free.offsets[state]!, free.offsets[state + 1]!];
      this.spend(1 + end - first);
      for (let i = first; i < end; i++) stack.push(free.values[i]!);
      if (isFinal[state]) ends = true;
      if (isStart[state]) begins = true;
      if (
        isFinal[state] ||
        isStart[state] ||
        hasAny(byteEdges, state) ||
        hasAny(calls, state) ||
        tokenEdges.has(state)
      ) {
        kept.push(state);
      }
    }
    this.spend(4 * kept.length);
    kept.sort((a, b) => a - b);
    const key = kept.join(',');
    const known = this.places.get(key);
    if (known) return known;
    const backs = new Map<number, number[]>();
    let hasEdges = false;
    for (const state of kept) {
      hasEdges ||= hasAny(byteEdges, state) || tokenEdges.has(state);
      for (let i = calls.offsets[state]!; i < calls.offsets[state + 1]!; i += 2) {
        const [rule, back] = [calls.values[i]!, calls.values[i + 1]!];
        if (!isAlive[starts[rule]!] || !isAlive[back]) continue;
        const list = backs.get(rule);
        if (list) list.push(back);
        else backs.set(rule, [back]);
      }
    }
    const place: Place = {
      id: this.nextId++,
      states: kept,
      isFinal: ends && !begins, // a rule that may be empty is stepped over, not ended at its beginning
      isLast: !hasEdges && backs.size === 0,
      returns: backs,
      calls: undefined,
      tokenEdges: kept.flatMap((state) => tokenEdges.get(state) ?? []),
      next: new Array(this.network.classCount),
    };
    this.places.set(key, place);
    this.kept += 8 + 2 * kept.length;
    return place;
  }

  /** Places to return to are made when they are needed: a long repetition is a long chain of them. */
  private callsOf(place: Place): readonly Call[] {
    return (place.calls ??= [...place.returns].map(([rule, targets]) => ({ rule, back: this.place(targets) })));
  }

  private byteOfClass(byteClass: number): number {
    return (this.representatives ??= representatives(this.network))[byteClass]!;
  }
  private representatives: Uint8Array | undefined;

  private spend(amount: number): void {
    this.workLeft -= amount;
    if (this.workLeft >= 0) return;
    throw new CriaError(
      'grammar.too-ambiguous',
      `grammar: the text can be read in too many ways at once, expected fewer than ${WORK_PER_STEP} steps for a token in the long run. ` +
        'Make the rules say more exactly where each part begins and ends.',
    );
  }
}

function hasAny({ offsets }: Lists, state: number): boolean {
  return offsets[state + 1]! > offsets[state]!;
}

/** One byte of each class. */
function representatives({ classOf, classCount }: Network): Uint8Array {
  const bytes = new Uint8Array(classCount);
  for (let byte = 255; byte >= 0; byte--) bytes[classOf[byte]!] = byte;
  return bytes;
}
