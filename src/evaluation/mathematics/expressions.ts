/**
 * Whether two LaTeX expressions are the same. Numbers are compared exactly where they are fractions of whole numbers; all else by its
 * value at several points of the complex plane, which differ for different expressions.
 */
import {
  abs,
  add,
  arccos,
  arcosh,
  arcsin,
  arctan,
  arsinh,
  artanh,
  type Complex,
  complex,
  cos,
  cosh,
  divide,
  exp,
  factorial,
  ln,
  multiply,
  negate,
  power,
  sin,
  sinh,
  subtract,
} from './complex.ts';
import { type Expression, NoExpression, parseLatex } from './latex.ts';

const POINTS = 4;
const TOLERANCE = 1e-9;
const LONGEST = 1000;

/** What cannot be read is equal to nothing, not even to itself. */
export function sameExpression(a: string, b: string): boolean {
  if (a.length > LONGEST || b.length > LONGEST) return false;
  let left: Expression;
  let right: Expression;
  try {
    left = parseLatex(a);
    right = parseLatex(b);
  } catch (error) {
    if (error instanceof NoExpression) return false;
    throw error;
  }
  if (!isValue(left) || !isValue(right)) return false;
  if (JSON.stringify(left) === JSON.stringify(right)) return true;
  const [p, q] = [exact(left), exact(right)];
  if (p && q) return p.upper * q.lower === q.upper * p.lower;
  for (let point = 0; point < POINTS; point++) {
    const [x, y] = [valueAt(left, point), valueAt(right, point)];
    const size = abs(x) + abs(y);
    if (!Number.isFinite(size) || !(abs(subtract(x, y)) <= TOLERANCE * size)) return false;
  }
  return true;
}

const isValue = (part: Expression): boolean =>
  part.kind !== 'relation' && part.kind !== 'infinity' && (!('args' in part) || part.args.every(isValue));

interface Fraction {
  readonly upper: bigint;
  readonly lower: bigint;
}

/** Bits of a power's value, beyond which it is not computed exactly. */
const MOST_BITS = 1 << 14;

/** The value as a fraction of whole numbers; null where it is none. */
function exact(part: Expression): Fraction | null {
  if (part.kind === 'number') {
    const [whole = '', decimals = ''] = part.text.split('.');
    return { upper: BigInt(whole + decimals), lower: 10n ** BigInt(decimals.length) };
  }
  if (part.kind !== 'call') return null;
  const args = part.args.map(exact);
  if (args.some((arg) => arg === null)) return null;
  const [a, b] = args as Fraction[];
  switch (part.name) {
    case 'negate':
      return { upper: -a!.upper, lower: a!.lower };
    case 'add':
      return { upper: a!.upper * b!.lower + b!.upper * a!.lower, lower: a!.lower * b!.lower };
    case 'subtract':
      return { upper: a!.upper * b!.lower - b!.upper * a!.lower, lower: a!.lower * b!.lower };
    case 'multiply':
      return { upper: a!.upper * b!.upper, lower: a!.lower * b!.lower };
    case 'divide':
      return b!.upper === 0n ? null : { upper: a!.upper * b!.lower, lower: a!.lower * b!.upper };
    case 'power': {
      if (b!.lower !== 1n) return null;
      const n = b!.upper < 0n ? -b!.upper : b!.upper;
      const [upper, lower] = b!.upper < 0n ? [a!.lower, a!.upper] : [a!.upper, a!.lower];
      if (lower === 0n || n * BigInt(bits(upper) + bits(lower)) > MOST_BITS) return null;
      return { upper: upper ** n, lower: lower ** n };
    }
    default:
      return null;
  }
}

const bits = (value: bigint): number => value.toString(16).length * 4;

const operations: Readonly<Record<string, (...args: Complex[]) => Complex>> = {
  add: (a, b) => add(a!, b!),
  subtract: (a, b) => subtract(a!, b!),
  multiply: (a, b) => multiply(a!, b!),
  divide: (a, b) => divide(a!, b!),
  negate: (a) => negate(a!),
  power: (a, b) => power(a!, b!),
  root: (a, degree) => power(a!, divide(complex(1), degree!)),
  factorial: (a) => factorial(a!),
  binomial: (n, k) => divide(factorial(n!), multiply(factorial(k!), factorial(subtract(n!, k!)))),
  abs: (a) => complex(abs(a!)),
  conjugate: (a) => complex(a!.re, -a!.im),
  floor: (a) => complex(Math.floor(a!.re), Math.floor(a!.im)),
  ceiling: (a) => complex(Math.ceil(a!.re), Math.ceil(a!.im)),
  exp: (a) => exp(a!),
  ln: (a) => ln(a!),
  sin: (a) => sin(a!),
  cos: (a) => cos(a!),
  tan: (a) => divide(sin(a!), cos(a!)),
  csc: (a) => divide(complex(1), sin(a!)),
  sec: (a) => divide(complex(1), cos(a!)),
  cot: (a) => divide(cos(a!), sin(a!)),
  arcsin: (a) => arcsin(a!),
  arccos: (a) => arccos(a!),
  arctan: (a) => arctan(a!),
  arccsc: (a) => arcsin(divide(complex(1), a!)),
  arcsec: (a) => arccos(divide(complex(1), a!)),
  arccot: (a) => arctan(divide(complex(1), a!)),
  sinh: (a) => sinh(a!),
  cosh: (a) => cosh(a!),
  tanh: (a) => divide(sinh(a!), cosh(a!)),
  arsinh: (a) => arsinh(a!),
  arcosh: (a) => arcosh(a!),
  artanh: (a) => artanh(a!),
};

function valueAt(part: Expression, point: number): Complex {
  switch (part.kind) {
    case 'number':
      return complex(Number(part.text));
    case 'symbol':
      return placeOf(part.name, point);
    case 'call': {
      const args = part.args.map((arg) => valueAt(arg, point));
      const operation = operations[part.name];
      // An unknown function: some smooth one that goes by the name.
      return operation
        ? operation(...args)
        : args.reduce((sum, arg) => sin(add(multiply(sum, arg), arg)), placeOf(part.name, 0));
    }
    default:
      return complex(Number.NaN);
  }
}

/** A place in the complex plane for a name, between 0.5 and 2 in size; every other one lies opposite to the one before. */
function placeOf(name: string, point: number): Complex {
  let mixed = 0x811c9dc5 ^ ((point >> 1) * 0x9e3779b1);
  for (const letter of name) mixed = Math.imul(mixed ^ letter.codePointAt(0)!, 0x01000193);
  const part = (shift: number) => ((Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d + shift) >>> 0) % 100_003) / 100_003;
  const size = 0.5 + 1.5 * part(0);
  const angle = 2 * Math.PI * part(0x10001) + (point % 2) * Math.PI;
  return complex(size * Math.cos(angle), size * Math.sin(angle));
}
