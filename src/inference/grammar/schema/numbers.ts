/**
 * JSON numbers as texts. Unbounded ones are written as JSON.stringify writes them, or with more digits, never so large that they
 * would read back as Infinity. Numbers with a bound or a divisor are written out, without an exponent, so that comparing digits
 * decides.
 */
import {
  chars,
  choice,
  type Expression,
  type GraphEdge,
  impossible,
  nothing,
  oneOf,
  optional,
  repeat,
  sequence,
} from '../expression.ts';
import { determinize, intersect, toExpression } from '../regular.ts';

export interface NumberLimits {
  readonly isInteger: boolean;
  readonly min: Bound | null;
  readonly max: Bound | null;
  readonly multiplesOf: readonly number[];
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

/** Numbers within limits, each digit of which counts. `problem` is told what cannot be said. */
export function numberExpression(limits: NumberLimits, problem: (text: string) => void): Expression {
  const { isInteger, min, max, multiplesOf } = limits;
  if (min === null && max === null && multiplesOf.length === 0) return isInteger ? anyInteger : anyNumber;
  const parts: Expression[] = [];
  if (min !== null || max !== null) parts.push(rangeExpression(isInteger, min, max));
  if (multiplesOf.length > 0) parts.push(isInteger ? exactInteger : exactNumber);
  for (const divisor of multiplesOf) {
    const expression = multiples(divisor, isInteger);
    if (expression === null)
      problem(`multipleOf ${divisor} is not supported: expected at most ${MAX_DIVISOR} units of its last decimal`);
    else parts.push(expression);
  }
  if (parts.length === 1) return parts[0]!;
  return toExpression(parts.map(determinize).reduce(intersect));
}

/** A number without its sign, as digits: 12.05 is ['12', '05']. */
type Digits = readonly [whole: string, fraction: string];

function rangeExpression(isInteger: boolean, min: Bound | null, max: Bound | null): Expression {
  const zero = { value: 0, isExclusive: false };
  const options: Expression[] = [];
  // 0 and up, unless the maximum is below.
  if (max === null || max.value >= 0) {
    options.push(magnitudes(isInteger, min !== null && min.value >= 0 ? min : zero, max));
  }
  // Below 0, by what follows the minus.
  if (min === null || min.value < 0) {
    const least = max !== null && max.value < 0 ? negate(max) : { value: 0, isExclusive: true };
    options.push(sequence('-', magnitudes(isInteger, least, min && negate(min))));
  }
  return choice(...options);
}

function negate({ value, isExclusive }: Bound): Bound {
  return { value: Math.abs(value), isExclusive };
}

function magnitudes(isInteger: boolean, min: Bound, max: Bound | null): Expression {
  const parts = [isInteger ? whole : sequence(whole, optional(fraction))];
  if (min.value > 0 || min.isExclusive) parts.push(atLeast(digitsOf(min.value), min.isExclusive));
  if (max !== null) parts.push(atMost(digitsOf(max.value), max.isExclusive));
  return parts.length === 1 ? parts[0]! : toExpression(parts.map(determinize).reduce(intersect));
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
 */
function multiples(divisor: number, isInteger: boolean): Expression | null {
  const [head, tail] = digitsOf(divisor);
  if (tail.length > 6 || head.length > 6) return null;
  const M = Number(head + tail);
  const k = tail.length;
  if (M > MAX_DIVISOR) return null;
  const decimals = isInteger ? 0 : k;
  // States: 0 the beginning, 1 behind a minus, then by decimals read (−1: none, no point), whether only a 0 was read, and remainder.
  const ids = new Map<string, number>();
  const queue: [decimals: number, remainder: number][] = [];
  const idOf = (j: number, remainder: number) => {
    const key = `${j},${remainder}`;
    const known = ids.get(key);
    if (known !== undefined) return known;
    ids.set(key, ids.size + 3);
    queue.push([j, remainder]);
    return ids.size + 2;
  };
  const edges: GraphEdge[] = [
    { from: 0, to: 1, label: sequence('-') },
    { from: 0, to: 1, label: null },
  ];
  const finals: number[] = [2];
  const digitEdge = (from: number, to: number, value: number) =>
    edges.push({ from, to, label: { kind: 'byte', from: 0x30 + value, to: 0x30 + value } });
  // A leading 0 stands alone: state 2.
  digitEdge(1, 2, 0);
  for (let d = 1; d <= 9; d++) digitEdge(1, idOf(-1, d % M), d);
  if (decimals > 0) edges.push({ from: 2, to: idOf(0, 0), label: sequence('.') });
  for (const [j, remainder] of queue) {
    const from = idOf(j, remainder);
    const scale = 10 ** (k - Math.max(j, 0));
    if (j !== 0 && (remainder * scale) % M === 0) finals.push(from);
    if (j === -1 && decimals > 0) edges.push({ from, to: idOf(0, remainder), label: sequence('.') });
    if (j === -1 || j < decimals) {
      for (let d = 0; d <= 9; d++) digitEdge(from, idOf(j === -1 ? -1 : j + 1, (remainder * 10 + d) % M), d);
    }
  }
  return { kind: 'graph', stateCount: ids.size + 3, finals, edges };
}
