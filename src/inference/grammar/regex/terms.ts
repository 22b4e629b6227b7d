/**
 * Regular expressions with "and" and "not", over characters, and their derivatives: what may follow once a character has been read.
 * Equal terms are one object, so that a language reached twice is known to be the same and an automaton is found by taking
 * derivatives until none is new.
 *
 * Source  Brzozowski 1964; Owens, Reppy & Turon 2009, "Regular-expression derivatives re-examined", for the classes of characters.
 */
import { ArgumentError } from '../../../base/errors.ts';
import { anyCharacter, type CharacterSet, characterSet, complement, contains, intersection } from '../characters.ts';

export type Term = {
  readonly id: number;
  /** The empty text is one of its texts. */
  readonly isNullable: boolean;
} & TermKind;

type TermKind =
  | { readonly kind: 'set'; readonly set: CharacterSet }
  | { readonly kind: 'empty' }
  | { readonly kind: 'sequence'; readonly first: Term; readonly rest: Term }
  /** Without parts nothing at all, not even the empty text. */
  | { readonly kind: 'or' | 'and'; readonly parts: readonly Term[] }
  | { readonly kind: 'not'; readonly of: Term }
  | { readonly kind: 'repeat'; readonly of: Term; readonly min: number; readonly max: number }
  /** What is left of some words, sorted, when their first characters have been read. */
  | {
      readonly kind: 'words';
      readonly list: WordList;
      readonly from: number;
      readonly to: number;
      readonly depth: number;
    }
  | { readonly kind: 'machine'; readonly machine: Machine; readonly state: number };

export interface WordList {
  readonly id: number;
  readonly words: readonly (readonly number[])[];
}

/** An automaton that is there already. */
export interface Machine {
  readonly id: number;
  /** −1: no way on. */
  next(state: number, point: number): number;
  isFinal(state: number): boolean;
  /** Characters that it tells apart. */
  readonly alphabet: readonly CharacterSet[];
}

/** Steps that one compilation may take, of all its parts together. */
export class Budget {
  private left: number;
  private readonly most: number;

  constructor(most: number) {
    this.most = most;
    this.left = most;
  }

  /** Throws ArgumentError `grammar.too-large`. */
  spend(steps: number): void {
    this.left -= steps;
    if (this.left >= 0) return;
    throw new ArgumentError(
      'grammar.too-large',
      `grammar: what must hold together needs more than ${this.most} steps to work out. Ask for less of it at once.`,
    );
  }

  /** Lets one part take a share of what is left, and no more. */
  share<Value>(share: number, make: () => Value): Value {
    const before = this.left;
    const allowed = Math.floor(before * share);
    this.left = allowed;
    try {
      return make();
    } finally {
      this.left = before - (allowed - this.left);
    }
  }
}

/** Makes terms. Terms of two makers do not mix. */
export class Terms {
  readonly budget: Budget;
  private readonly known = new Map<string, Term>();
  private readonly sets = new Map<string, CharacterSet>();
  private readonly setIds = new Map<CharacterSet, number>();
  private readonly lists = new Map<string, WordList>();
  private readonly partitions = new Map<string, readonly CharacterSet[]>();
  /** By term and character: those that were asked for. */
  private readonly derivatives: (Map<number, Term> | undefined)[] = [];
  private nextId = 0;
  readonly nothing: Term;
  readonly empty: Term;
  readonly anyOne: Term;
  readonly anything: Term;

  constructor(budget: Budget) {
    this.budget = budget;
    this.nothing = this.make('or', { kind: 'or', parts: [] }, false);
    this.empty = this.make('empty', { kind: 'empty' }, true);
    this.anyOne = this.set(anyCharacter);
    this.anything = this.repeat(this.anyOne, 0, Number.POSITIVE_INFINITY);
  }

  set(given: CharacterSet): Term {
    if (given.length === 0) return this.nothing;
    const known = this.setIds.has(given);
    const key = known ? '' : given.map(([from, to]) => `${from}-${to}`).join();
    let set = known ? given : this.sets.get(key);
    if (!set) {
      set = given;
      this.sets.set(key, set);
      this.setIds.set(set, this.setIds.size);
    }
    return this.make(`set ${this.setIds.get(set)}`, { kind: 'set', set }, false);
  }

  text(value: string): Term {
    const points = Array.from(value, (character) => character.codePointAt(0)!);
    return this.sequence(...points.map((point) => this.set([[point, point]])));
  }

  sequence(...parts: readonly Term[]): Term {
    return parts.reduceRight((rest, part) => this.before(part, rest), this.empty);
  }

  private before(first: Term, rest: Term): Term {
    if (rest === this.nothing || first === this.nothing) return this.nothing;
    if (first === this.empty) return rest;
    if (rest === this.empty) return first;
    if (first === this.anything && rest === this.anything) return rest;
    if (first.kind !== 'sequence') {
      const key = `${first.id} ${rest.id}`;
      return this.make(key, { kind: 'sequence', first, rest }, first.isNullable && rest.isNullable);
    }
    const spine: Term[] = [];
    let at: Term = first;
    for (; at.kind === 'sequence'; at = at.rest) spine.push(at.first);
    spine.push(at);
    return spine.reduceRight((tail, part) => this.before(part, tail), rest);
  }

  or(...parts: readonly Term[]): Term {
    const flat = new Set<Term>();
    for (const part of parts) {
      if (part.kind === 'or') for (const inner of part.parts) flat.add(inner);
      else flat.add(part);
    }
    if (flat.has(this.anything)) return this.anything;
    const sets = [...flat].filter((part) => part.kind === 'set');
    if (sets.length > 1) {
      for (const part of sets) flat.delete(part);
      flat.add(this.set(characterSet(sets.flatMap(({ set }) => set))));
    }
    return this.list('or', flat);
  }

  and(...parts: readonly Term[]): Term {
    const flat = new Set<Term>();
    for (const part of parts) {
      if (part.kind === 'and') for (const inner of part.parts) flat.add(inner);
      else flat.add(part);
    }
    flat.delete(this.anything);
    if (flat.size === 0) return this.anything;
    if (flat.has(this.nothing)) return this.nothing;
    if (flat.has(this.empty)) return [...flat].every(({ isNullable }) => isNullable) ? this.empty : this.nothing;
    return this.list('and', flat);
  }

  private list(kind: 'or' | 'and', set: ReadonlySet<Term>): Term {
    const parts = [...set].sort((a, b) => a.id - b.id);
    this.budget.spend(1 + (parts.length >> 3));
    if (parts.length === 1) return parts[0]!;
    if (parts.length === 0) return this.nothing;
    const isNullable = kind === 'or' ? parts.some((part) => part.isNullable) : parts.every((part) => part.isNullable);
    return this.make(`${kind} ${parts.map(({ id }) => id).join()}`, { kind, parts }, isNullable);
  }

  not(of: Term): Term {
    if (of.kind === 'not') return of.of;
    if (of === this.nothing) return this.anything;
    if (of === this.anything) return this.nothing;
    return this.make(`not ${of.id}`, { kind: 'not', of }, !of.isNullable);
  }

  repeat(of: Term, given: number, max: number): Term {
    const min = of.isNullable ? 0 : given;
    if (max === 0 || of === this.empty) return this.empty;
    if (of === this.nothing) return min === 0 ? this.empty : this.nothing;
    if (min === 1 && max === 1) return of;
    if (of.kind === 'repeat' && of.min === 0 && of.max === Number.POSITIVE_INFINITY) return of;
    return this.make(`${of.id}{${min},${max}}`, { kind: 'repeat', of, min, max }, min === 0 || of.isNullable);
  }

  /** One of these texts. */
  words(texts: Iterable<string>): Term {
    const unique = [...new Set(texts)].sort();
    const key = JSON.stringify(unique);
    let list = this.lists.get(key);
    if (!list) {
      const words = unique.map((word) => Array.from(word, (character) => character.codePointAt(0)!)).sort(compareWords);
      list = { id: this.nextId++, words };
      this.lists.set(key, list);
    }
    this.budget.spend(unique.length);
    return this.wordsOf(list, 0, list.words.length, 0);
  }

  private wordsOf(list: WordList, from: number, to: number, depth: number): Term {
    if (from >= to) return this.nothing;
    if (to - from === 1 && list.words[from]!.length === depth) return this.empty;
    const isNullable = list.words[from]!.length === depth;
    return this.make(`words ${list.id} ${from} ${to} ${depth}`, { kind: 'words', list, from, to, depth }, isNullable);
  }

  machine(machine: Omit<Machine, 'id'>, state = 0): Term {
    const { next, isFinal, alphabet } = machine;
    return this.machineAt({ id: this.nextId++, next, isFinal, alphabet }, state);
  }

  private machineAt(machine: Machine, state: number): Term {
    if (state < 0) return this.nothing;
    return this.make(`machine ${machine.id} ${state}`, { kind: 'machine', machine, state }, machine.isFinal(state));
  }

  /** What may follow `point`. */
  derivative(term: Term, point: number): Term {
    const derivatives = (this.derivatives[term.id] ??= new Map());
    const known = derivatives.get(point);
    if (known) return known;
    this.budget.spend(1);
    const found = this.findDerivative(term, point);
    derivatives.set(point, found);
    return found;
  }

  private findDerivative(term: Term, point: number): Term {
    switch (term.kind) {
      case 'empty':
        return this.nothing;
      case 'set':
        return contains(term.set, point) ? this.empty : this.nothing;
      case 'sequence': {
        const options: Term[] = [];
        let at: Term = term;
        for (; at.kind === 'sequence'; at = at.rest) {
          options.push(this.before(this.derivative(at.first, point), at.rest));
          if (!at.first.isNullable) return this.or(...options);
        }
        return this.or(...options, this.derivative(at, point));
      }
      case 'or':
        return this.or(...term.parts.map((part) => this.derivative(part, point)));
      case 'and':
        return this.and(...term.parts.map((part) => this.derivative(part, point)));
      case 'not':
        return this.not(this.derivative(term.of, point));
      case 'repeat': {
        const rest = this.repeat(term.of, Math.max(0, term.min - 1), term.max - 1);
        return this.before(this.derivative(term.of, point), rest);
      }
      case 'words':
        return this.afterLetter(term, point);
      case 'machine':
        return this.machineAt(term.machine, term.machine.next(term.state, point));
      default:
        return term satisfies never;
    }
  }

  private afterLetter({ list, from, to, depth }: Extract<Term, { kind: 'words' }>, point: number): Term {
    const { words } = list;
    const firstWith = (least: number) => {
      let [low, high] = [from, to];
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((words[middle]![depth] ?? -1) < least) low = middle + 1;
        else high = middle;
      }
      return low;
    };
    return this.wordsOf(list, firstWith(point), firstWith(point + 1), depth + 1);
  }

  /** Sets of characters that cover all and whose members the term does not tell apart as its next. */
  classes(term: Term): readonly CharacterSet[] {
    const sets = new Set<CharacterSet>();
    this.collect(term, sets);
    const ids = [...sets].map((set) => this.setIds.get(set)!).sort((a, b) => a - b);
    const key = ids.join();
    const known = this.partitions.get(key);
    if (known) return known;
    let blocks: CharacterSet[] = [anyCharacter];
    for (const set of sets) {
      blocks = blocks.flatMap((block) => {
        this.budget.spend(block.length + set.length);
        return [intersection(block, set), intersection(block, complement(set))].filter(({ length }) => length > 0);
      });
    }
    this.partitions.set(key, blocks);
    return blocks;
  }

  private collect(term: Term, sets: Set<CharacterSet>): void {
    this.budget.spend(1);
    const addSet = (set: CharacterSet) => {
      const made = this.set(set);
      if (made.kind === 'set') sets.add(made.set);
    };
    switch (term.kind) {
      case 'set':
        sets.add(term.set);
        return;
      case 'sequence': {
        let at: Term = term;
        for (; at.kind === 'sequence'; at = at.rest) {
          this.collect(at.first, sets);
          if (!at.first.isNullable) return;
        }
        this.collect(at, sets);
        return;
      }
      case 'or':
      case 'and':
        for (const part of term.parts) this.collect(part, sets);
        return;
      case 'not':
      case 'repeat':
        this.collect(term.of, sets);
        return;
      case 'words': {
        const { list, from, to, depth } = term;
        let before = -1;
        for (let i = from; i < to; i++) {
          const point = list.words[i]![depth];
          if (point !== undefined && point !== before) addSet([[point, point]]);
          before = point ?? -1;
        }
        this.budget.spend(to - from);
        return;
      }
      case 'machine':
        for (const set of term.machine.alphabet) addSet(set);
        return;
      default:
    }
  }

  private make(key: string, kind: TermKind, isNullable: boolean): Term {
    const known = this.known.get(key);
    if (known) return known;
    this.budget.spend(1);
    const term = { id: this.nextId++, isNullable, ...kind };
    this.known.set(key, term);
    return term;
  }
}

function compareWords(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}
