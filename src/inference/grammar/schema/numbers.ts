/**
 * JSON numbers as texts. Unbounded ones are written as JSON.stringify writes them, or with more digits, never so large that they
 * would read back as Infinity. Numbers with a bound or a divisor are written out, without an exponent, so that comparing digits
 * decides.
 */
import { characterSet } from '../characters.ts';
import {
  chars,
  choice,
  type Expression,
  impossible,
  nothing,
  oneOf,
  optional,
  repeat,
  sequence,
} from '../expression.ts';
import { expressionTerm, termExpression } from '../regex/automaton.ts';
import type { Machine, Term, Terms } from '../regex/terms.ts';

export interface NumberLimits {
  readonly isInteger: boolean;
  readonly min: Bound | null;
  readonly max: Bound | null;
  readonly multiplesOf: readonly number[];
  /** Numbers that it is not. */
  readonly excluded: readonly number[];
  /** No whole number. */
  readonly isFraction: boolean;
}

export interface Bound {
  readonly value: number;
  readonly isExclusive: boolean;
}

/** Digits before the point: all whole numbers that JSON.stringify writes without an exponent. */
const WHOLE_DIGITS = 21;
/** Digits behind it: the most that JSON.stringify writes without an exponent, and a few. */
const FRACTION_DIGITS = 25;
/** The largest divisor, in units of its last decimal: states of the automaton that counts. */
export const MAX_DIVISOR = 1000;

const digit = chars('0-9');
const whole = choice('0', sequence(chars('1-9'), repeat(digit, 0, WHOLE_DIGITS - 1)));
const fraction = sequence('.', repeat(digit, 1, FRACTION_DIGITS));
const minus = optional(sequence('-'));

export const anyInteger = sequence(minus, whole);
export const anyNumber = sequence(
  minus,
  choice(
    sequence(
      whole,
      optional(fraction),
      optional(
        sequence(
          chars('eE'),
          choice(sequence('-', repeat(digit, 1, 3)), sequence(optional(sequence('+')), repeat(digit, 1, 2))),
        ),
      ),
    ),
    // Three-digit exponents that stay below 1.8e308.
    sequence(
      digit,
      optional(fraction),
      chars('eE'),
      optional(sequence('+')),
      choice(sequence(chars('12'), digit, digit), sequence('30', chars('0-7'))),
    ),
    sequence(
      '1',
      optional(
        sequence(
          '.',
          choice(
            sequence(chars('0-6'), repeat(digit, 0, 24)),
            sequence(
              '7',
              choice(
                sequence(chars('0-8'), repeat(digit, 0, 23)),
                sequence(
                  '9',
                  optional(
                    choice(
                      sequence(chars('0-6'), repeat(digit, 0, 22)),
                      sequence('7', optional(sequence(chars('0-5'), repeat(digit, 0, 21)))),
                    ),
                  ),
                ),
              ),
            ),
          ),
        ),
      ),
      chars('eE'),
      optional(sequence('+')),
      '308',
    ),
  ),
);
/** Digits that a double holds exactly: more would not read back as a multiple. */
const EXACT_DIGITS = 15;
const exactNumber = sequence(
  minus,
  choice('0', sequence(chars('1-9'), repeat(digit, 0, EXACT_DIGITS - 7))),
  optional(sequence('.', repeat(digit, 1, 6))),
);
const exactInteger = sequence(minus, choice('0', sequence(chars('1-9'), repeat(digit, 0, EXACT_DIGITS - 1))));

/** Numbers within limits, each digit of which counts. `unheld` is told what cannot be said. */
export function numberExpression(terms: Terms, limits: NumberLimits, unheld: (text: string) => void): Expression {
  const { isInteger, min, max, multiplesOf, excluded, isFraction } = limits;
  const isLimited = min !== null || max !== null || multiplesOf.length + excluded.length > 0 || isFraction;
  if (!isLimited) return isInteger ? anyInteger : anyNumber;
  const termOf = (expression: Expression) => expressionTerm(terms, expression);
  const parts: Term[] = [];
  if (min !== null || max !== null || multiplesOf.length === 0) parts.push(rangeTerm(terms, isInteger, min, max));
  if (multiplesOf.length > 0) parts.push(termOf(isInteger ? exactInteger : exactNumber));
  for (const divisor of multiplesOf) {
    // A multiple of 1000 is any number, then 000.
    const tens = /^[1-9]\d*?(0*)$/.exec(String(divisor))?.[1]?.length ?? 0;
    const machine = multiples(divisor / 10 ** tens, isInteger || tens > 0);
    if (machine !== null) {
      const multiple = terms.sequence(terms.machine(machine), terms.text('0'.repeat(tens)));
      parts.push(tens === 0 ? multiple : terms.or(terms.text('0'), multiple));
    } else unheld(`multipleOf ${divisor} is not held: expected at most ${MAX_DIVISOR} units of its last decimal`);
  }
  for (const value of excluded) {
    const bound = { value, isExclusive: true };
    parts.push(terms.or(rangeTerm(terms, isInteger, null, bound), rangeTerm(terms, isInteger, bound, null)));
  }
  if (isFraction) {
    const wholes = terms.not(termOf(sequence(minus, whole, optional(sequence('.', zeros)))));
    parts.push(termOf(exactNumber), wholes);
  }
  return termExpression(terms, terms.and(...parts), (set) => ({ kind: 'characters', set }));
}

/** A number without its sign, as digits: 12.05 is ['12', '05']. */
type Digits = readonly [whole: string, fraction: string];

function rangeTerm(terms: Terms, isInteger: boolean, low: Bound | null, high: Bound | null): Term {
  const min = low && closest(isInteger, low, 1);
  const max = high && closest(isInteger, high, -1);
  const zero = { value: 0, isExclusive: false };
  const options: Term[] = [];
  // 0 and up, unless the maximum is below.
  if (max === null || max.value >= 0) {
    options.push(magnitudes(terms, isInteger, min !== null && min.value >= 0 ? min : zero, max));
  }
  // Below 0, by what follows the minus.
  if (min === null || min.value < 0) {
    const least = max !== null && max.value < 0 ? negate(max) : { value: 0, isExclusive: true };
    options.push(terms.sequence(terms.text('-'), magnitudes(terms, isInteger, least, min && negate(min))));
  }
  return terms.or(...options);
}

/**
 * Digits too small to count would carry a number that is written above a bound back to it: the double beside it is the first that
 * may be.
 */
function closest(isInteger: boolean, bound: Bound, sign: 1 | -1): Bound {
  const { value, isExclusive } = bound;
  // Beside 0 there is room for all digits that are written.
  if (!isExclusive || value === 0 || (isInteger && Number.isSafeInteger(value))) return bound;
  return { value: neighbour(value, sign), isExclusive: false };
}

/** The next double above (1) or below (−1). */
function neighbour(value: number, sign: 1 | -1): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  view.setBigInt64(0, view.getBigInt64(0) + BigInt(sign * Math.sign(value)));
  return view.getFloat64(0);
}

function negate({ value, isExclusive }: Bound): Bound {
  return { value: Math.abs(value), isExclusive };
}

function magnitudes(terms: Terms, isInteger: boolean, min: Bound, max: Bound | null): Term {
  const parts = [isInteger ? whole : sequence(whole, optional(fraction))];
  if (min.value > 0 || min.isExclusive) parts.push(atLeast(digitsOf(min.value), min.isExclusive));
  if (max !== null) parts.push(atMost(digitsOf(max.value), max.isExclusive));
  return terms.and(...parts.map((part) => expressionTerm(terms, part)));
}

/** Exact: JavaScript's shortest decimal of the value, written out. */
function digitsOf(value: number): Digits {
  const [mantissa, exponent = '0'] = String(value).split('e') as [string, string?];
  const [head, tail = ''] = mantissa.split('.') as [string, string?];
  const shift = Number(exponent);
  const all = head + tail;
  const point = head.length + shift;
  const padded = point <= 0 ? '0'.repeat(1 - point) + all : all.padEnd(point, '0');
  const at = Math.max(point, 1);
  return [padded.slice(0, at).replace(/^0+(?=\d)/, ''), padded.slice(at).replace(/0+$/, '')];
}

const anyDigits = repeat(digit, 0, null);
const zeros = repeat(sequence('0'), 0, null);
const anyFraction = optional(sequence('.', repeat(digit, 1, null)));

function atLeast([head, tail]: Digits, isExclusive: boolean): Expression {
  const larger = tail
    .split('')
    .reduceRight<Expression>(
      (rest, d) => choice(...above(d).map((range) => sequence(range, anyDigits)), sequence(d, rest)),
      isExclusive ? sequence(zeros, chars('1-9'), anyDigits) : anyDigits,
    );
  const equalHead = tail === '' && !isExclusive ? anyFraction : sequence('.', larger);
  return choice(sequence(wholeAbove(head), anyFraction), sequence(head, equalHead));
}

function atMost([head, tail]: Digits, isExclusive: boolean): Expression {
  // Having read a beginning of the limit's digits one may stop: what is left out are zeros.
  const smaller = (at: number): Expression => {
    const d = tail[at];
    if (d === undefined) return isExclusive ? impossible : zeros;
    return choice(nothing, ...below(d).map((range) => sequence(range, anyDigits)), sequence(d, smaller(at + 1)));
  };
  const nonEmpty = sequence(
    '.',
    choice(...below(tail[0] ?? '0').map((range) => sequence(range, anyDigits)), sequence(tail[0] ?? '0', smaller(1))),
  );
  const equalHead =
    tail === '' ? (isExclusive ? impossible : choice(nothing, sequence('.', '0', zeros))) : choice(nothing, nonEmpty);
  return choice(sequence(wholeBelow(head), anyFraction), sequence(head, equalHead));
}

/** Whole numbers above one, of any length. */
function wholeAbove(head: string): Expression {
  const longer = sequence(chars('1-9'), repeat(digit, head.length, null));
  const sameLength = [...head].map((d, i) => {
    const rest = repeat(digit, head.length - i - 1);
    return choice(...above(d).map((range) => sequence(head.slice(0, i), range, rest)));
  });
  return choice(longer, ...sameLength);
}

/** Whole numbers below one. */
function wholeBelow(head: string): Expression {
  const options: Expression[] =
    head.length > 1 ? [sequence('0'), sequence(chars('1-9'), repeat(digit, 0, head.length - 2))] : [];
  for (const [i, d] of [...head].entries()) {
    const lowest = i === 0 && head.length > 1 ? 1 : 0;
    const rest = repeat(digit, head.length - i - 1);
    options.push(...below(d, lowest).map((range) => sequence(head.slice(0, i), range, rest)));
  }
  return choice(...options, impossible);
}

function above(d: string): Expression[] {
  return d === '9' ? [] : [oneOf([d.charCodeAt(0) + 1, 0x39])];
}

function below(d: string, lowest = 0): Expression[] {
  return d.charCodeAt(0) - 0x30 <= lowest ? [] : [oneOf([0x30 + lowest, d.charCodeAt(0) - 1])];
}

/**
 * Multiples of a decimal m = M / 10^k: a number with j ≤ k decimals and digits d is one when d · 10^(k−j) ≡ 0 mod M, and the remainder of
 * d is kept digit by digit. null when M is too large.
 *
 * States  0 the beginning, 1 behind a minus, 2 a leading 0, which stands alone; then by decimals read (first: no point) and remainder.
 */
function multiples(divisor: number, isInteger: boolean): Omit<Machine, 'id'> | null {
  const [head, tail] = digitsOf(divisor);
  if (tail.length > 6 || head.length > 6) return null;
  const M = Number(head + tail);
  const k = tail.length;
  if (M > MAX_DIVISOR) return null;
  const decimals = isInteger ? 0 : k;
  /** j: −1 before the point. */
  const stateOf = (j: number, remainder: number) => 3 + (j + 1) * M + remainder;
  return {
    alphabet: [...'0123456789-.'].map((character) =>
      characterSet([[character.charCodeAt(0), character.charCodeAt(0)]]),
    ),
    next(state, point) {
      const digitRead = point >= 0x30 && point <= 0x39 ? point - 0x30 : -1;
      if (state === 0 && point === 0x2d) return 1;
      if (state <= 1) return digitRead < 0 ? -1 : digitRead === 0 ? 2 : stateOf(-1, digitRead % M);
      const [j, remainder] = state === 2 ? [-1, 0] : [Math.floor((state - 3) / M) - 1, (state - 3) % M];
      if (point === 0x2e) return j === -1 && decimals > 0 ? stateOf(0, remainder) : -1;
      if (digitRead < 0 || (state === 2 && j === -1)) return -1;
      const next = (remainder * 10 + digitRead) % M;
      if (j === -1) return stateOf(-1, next);
      return j < decimals ? stateOf(j + 1, next) : -1;
    },
    isFinal(state) {
      if (state <= 2) return state === 2;
      const [j, remainder] = [Math.floor((state - 3) / M) - 1, (state - 3) % M];
      return j !== 0 && (remainder * 10 ** (k - Math.max(j, 0))) % M === 0;
    },
  };
}
