/**
 * Reads the keys of a configuration one by one and collects every problem, the keys that nobody asked for included:
 * an unknown key may change the mathematics, and then the model would speak fluent nonsense.
 */
import { ConfigError } from '../../base/errors.ts';
import { type Json, type JsonObject, show } from '../json.ts';

export class Facts {
  readonly where: string;
  readonly problems: string[] = [];
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

  /** The raw value; null where it is absent or null. */
  take(key: string): Json {
    this.unread.delete(key);
    return Object.hasOwn(this.values, key) ? (this.values[key] ?? null) : null;
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

  /** A key whose only acceptable values are these; absent is acceptable too. */
  only(key: string, accepted: readonly unknown[], why: string): void {
    const value = this.take(key);
    if (value !== null && !accepted.some((one) => show(one) === show(value))) {
      this.problem(key, `is ${show(value)}, expected ${accepted.map(show).join(' or ')}: ${why}`);
    }
  }

  /** Keys that say nothing about the mathematics. */
  ignore(keys: readonly string[]): void {
    for (const key of keys) this.unread.delete(key);
  }

  problem(key: string, what: string): void {
    this.problems.push(`${this.prefix}${key} ${what}`);
  }

  /** Every key that was neither read nor ignored becomes a problem. */
  rejectUnread(): void {
    for (const key of this.unread) {
      this.problem(
        key,
        `is ${show(this.values[key])}, a key that this reader does not know; it may change the mathematics`,
      );
    }
  }

  /** Throws ConfigError if anything was wrong. */
  finish(): void {
    this.rejectUnread();
    if (this.problems.length > 0) throw new ConfigError(this.where, this.problems);
  }
}
