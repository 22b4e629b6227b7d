/** The shortest decimal that rounds to the same f32: a file's 9.999999747378752e-6 was somebody's 1e-5. */
export function shortestF32(value: number): number {
  if (Math.fround(value) !== value) return value;
  for (let digits = 1; digits < 9; digits++) {
    const candidate = Number(value.toPrecision(digits));
    if (Math.fround(candidate) === value) return candidate;
  }
  return value;
}
