/**
 * Reads the keys of a configuration one by one and collects every problem. Keys that nobody asked for are sorted by the rule of
 * unknown-keys.ts: those that may change the mathematics are problems, the others are noted.
 */
import { ConfigError } from '../../base/errors.ts';
import { type Json, type JsonObject, show } from '../json.ts';
import { mayChangeMathematics, saysNothing, unknownKeyProblem } from './unknown-keys.ts';

export class Facts {
  readonly where: string;
  readonly problems: string[] = [];
  /** Keys that nobody asked for and that change nothing. */
  readonly unused: string[] = [];
  private readonly values: JsonObject;
  private readonly unread: Set<string>;
  private readonly prefix: string;

  constructor(where: string, values: JsonObject, prefix = '') {
    this.where = where;
    this.values = values;
    this.prefix = prefix;
    this.unread = new Set(Object.keys(values));
  }

  /** The key is there, if only with null. */
  given(key: string): boolean {
    return Object.hasOwn(this.values, key);
  }

  has(key: string): boolean {
    return this.given(key) && this.values[key] !== null;
  }

  /** The raw value, left unread. */
  peek(key: string): Json {
    return Object.hasOwn(this.values, key) ? (this.values[key] ?? null) : null;
  }

  /** The raw value; null where it is absent or null. */
  take(key: string): Json {
    this.unread.delete(key);
    return this.peek(key);
  }

  /** A number, or `otherwise` where the key is absent; without `otherwise` its absence is a problem. */
  number(key: string, otherwise?: number): number {
    const value = this.take(key);
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    if (value === null && otherwise !== undefined) return otherwise;
    this.problem(key, value === null ? 'is missing; expected a number' : `is ${show(value)}, expected a number`);
    return otherwise ?? 1;
  }

  /** A whole number of at least `least`. */
  count(key: string, otherwise?: number, least = 1): number {
    const before = this.problems.length;
    const value = this.number(key, otherwise);
    const sound = Number.isSafeInteger(value) && value >= least;
    if (!sound && this.problems.length === before)
      this.problem(key, `is ${value}, expected a whole number from ${least}`);
    return sound ? value : Math.max(1, least);
  }

  numberOrNull(key: string): number | null {
    if (this.has(key)) return this.number(key);
    this.unread.delete(key);
    return null;
  }

  countOrNull(key: string): number | null {
    if (this.has(key)) return this.count(key);
    this.unread.delete(key);
    return null;
  }

  flag(key: string, otherwise: boolean): boolean {
    const value = this.take(key);
    if (value === null) return otherwise;
    if (typeof value === 'boolean') return value;
    this.problem(key, `is ${show(value)}, expected true or false`);
    return otherwise;
  }

  /** A key whose only acceptable values are these; absent is acceptable too, and so is an empty list or object. */
  only(key: string, accepted: readonly unknown[], why: string): void {
    const value = this.take(key);
    const isEmpty = typeof value === 'object' && saysNothing(value);
    if (!isEmpty && !accepted.some((one) => show(one) === show(value))) {
      this.problem(key, `is ${show(value)}, expected ${accepted.map(show).join(' or ')}: ${why}`);
    }
  }

  /** The same, where nobody has read the key. */
  onlyIfUnread(key: string, accepted: readonly unknown[], why: string): void {
    if (this.unread.has(key)) this.only(key, accepted, why);
  }

  /** Keys that say nothing about the mathematics. */
  ignore(keys: readonly string[]): void {
    for (const key of keys) this.unread.delete(key);
  }

  problem(key: string, what: string): void {
    this.problems.push(`${this.prefix}${key} ${what}`);
  }

  /** Sorts the keys that were neither read nor ignored into problems and `unused`. */
  sortUnread(): void {
    for (const key of this.unread) {
      const value = this.values[key];
      const name = this.prefix + key;
      if (mayChangeMathematics(name, value)) this.problem(key, unknownKeyProblem(name, value));
      else this.unused.push(name);
    }
    this.unread.clear();
  }

  /** Takes over what the keys of an inner object said. */
  include(inner: Facts): void {
    inner.sortUnread();
    this.problems.push(...inner.problems);
    this.unused.push(...inner.unused);
  }

  /** Throws ConfigError if anything was wrong. */
  finish(): void {
    this.sortUnread();
    if (this.problems.length > 0) throw new ConfigError(this.where, this.problems);
  }
}
