/** Complex numbers, as far as answers of school mathematics need them. Branches are the principal ones. */

export interface Complex {
  readonly re: number;
  readonly im: number;
}

export const complex = (re: number, im = 0): Complex => ({ re, im });
export const add = (a: Complex, b: Complex): Complex => complex(a.re + b.re, a.im + b.im);
export const subtract = (a: Complex, b: Complex): Complex => complex(a.re - b.re, a.im - b.im);
export const multiply = (a: Complex, b: Complex): Complex =>
  complex(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re);
export const negate = (a: Complex): Complex => complex(-a.re, -a.im);
export const abs = (a: Complex): number => Math.hypot(a.re, a.im);

export function divide(a: Complex, b: Complex): Complex {
  const size = b.re * b.re + b.im * b.im;
  return complex((a.re * b.re + a.im * b.im) / size, (a.im * b.re - a.re * b.im) / size);
}

export const exp = (a: Complex): Complex => complex(Math.exp(a.re) * Math.cos(a.im), Math.exp(a.re) * Math.sin(a.im));
export const ln = (a: Complex): Complex => complex(Math.log(abs(a)), Math.atan2(a.im, a.re));

export function power(a: Complex, b: Complex): Complex {
  if (a.re === 0 && a.im === 0)
    return b.re > 0 ? complex(0) : b.re === 0 && b.im === 0 ? complex(1) : complex(Number.NaN, Number.NaN);
  if (b.im === 0 && Number.isInteger(b.re) && Math.abs(b.re) <= 1024) return wholePower(a, b.re);
  if (a.im === 0 && b.im === 0 && a.re > 0) return complex(a.re ** b.re);
  return exp(multiply(b, ln(a)));
}

function wholePower(a: Complex, n: number): Complex {
  if (a.im === 0) return complex(a.re ** n);
  let result = complex(1);
  let square = a;
  for (let k = Math.abs(n); k > 0; k = Math.floor(k / 2)) {
    if (k % 2 === 1) result = multiply(result, square);
    square = multiply(square, square);
  }
  return n < 0 ? divide(complex(1), result) : result;
}

const I = complex(0, 1);
export const sinh = (a: Complex): Complex => divide(subtract(exp(a), exp(negate(a))), complex(2));
export const cosh = (a: Complex): Complex => divide(add(exp(a), exp(negate(a))), complex(2));
export const sin = (a: Complex): Complex => divide(sinh(multiply(I, a)), I);
export const cos = (a: Complex): Complex => cosh(multiply(I, a));
export const sqrt = (a: Complex): Complex => power(a, complex(0.5));
const one = complex(1);
/** ln(z + √(z² + 1)) */
export const arsinh = (a: Complex): Complex => ln(add(a, sqrt(add(multiply(a, a), one))));
export const arcosh = (a: Complex): Complex => ln(add(a, multiply(sqrt(add(a, one)), sqrt(subtract(a, one)))));
export const artanh = (a: Complex): Complex => divide(subtract(ln(add(one, a)), ln(subtract(one, a))), complex(2));
export const arcsin = (a: Complex): Complex => divide(arsinh(multiply(I, a)), I);
export const arccos = (a: Complex): Complex => subtract(complex(Math.PI / 2), arcsin(a));
export const arctan = (a: Complex): Complex => divide(artanh(multiply(I, a)), I);

/** Lanczos' approximation (g = 7, nine terms). */
const lanczos = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

export function factorial(a: Complex): Complex {
  if (a.im === 0 && Number.isInteger(a.re) && a.re >= 0 && a.re <= 170) {
    let product = 1;
    for (let n = 2; n <= a.re; n++) product *= n;
    return complex(product);
  }
  if (a.re < -0.5) {
    const z = add(a, one);
    const reflected = multiply(sin(multiply(complex(Math.PI), z)), factorial(negate(z)));
    return divide(complex(Math.PI), reflected);
  }
  let sum = complex(lanczos[0]!);
  for (let i = 1; i < lanczos.length; i++) sum = add(sum, divide(complex(lanczos[i]!), add(a, complex(i))));
  const t = add(a, complex(7.5));
  return multiply(
    multiply(complex(Math.sqrt(2 * Math.PI)), power(t, add(a, complex(0.5)))),
    multiply(exp(negate(t)), sum),
  );
}
