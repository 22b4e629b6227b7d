/**
 * y = x · Wᵀ for few rows of x: lanes stride over the units of a few rows of W, so W is read once, and the lanes' sums are joined. What it
 * computes: kernels/linear/reference.ts.
 *
 * Around the product there may be what a block does before and after it, so that its numbers need not pass through memory: a norm of x,
 * a second matrix that is multiplied with the same x, and the sum with the residual stream or the gate of the two products.
 *
 * Numbers   f32 sums, in an order that depends on the shapes alone. A norm's factor is taken out of the sum: y = r · Σ w · gain · x.
 */
import { type GateForm, gateForms } from '../gated/webgpu.ts';
import { type ElementType, eightTimes, type Kernel, kernel, perChoice, unrolled } from '../wgsl.ts';
import { matrixInputs, type StoredType, secondWeightsFunction, weightsFunction } from './stored.webgpu.ts';

/** Rows of x up to which a product goes by matvec. */
export const MATVEC_ROWS = 4;
const LANES = 64;

export interface MatvecChoice {
  readonly type: StoredType;
  /** Rows of x that one dispatch takes: 1, 2 or 4. */
  readonly rows: number;
  /** Invocations that share a row of W. */
  readonly lanes: 8 | 32;
  /** x is read as vec4f: rows of whole units. */
  readonly whole: boolean;
  /** Sums are joined within subgroups of 4 to 32 lanes; absent: through workgroup memory alone. Only with 32 lanes. */
  readonly subgroups?: true;
  /** x is first divided by its root mean square and multiplied with a gain: kernels/rms-norm. */
  readonly norm?: true;
  /** Of a second matrix of the same shape; neither has a bias then. */
  readonly second?: StoredType;
  /** The product is added to rows of its own shape; or the two are gate and up. Absent: they are the output. */
  readonly end?: 'add' | GateForm;
}

/** Rows of W that a group of lanes takes at once: they share what is read of x. */
const matrixRowsAtOnce = ({ rows, second }: Pick<MatvecChoice, 'rows' | 'second'>): number =>
  rows >= 4 || second ? 1 : 2;

/** Rows of W that a workgroup takes. */
export function matvecGroupRows(choice: Pick<MatvecChoice, 'rows' | 'lanes' | 'second'>): number {
  return (LANES / choice.lanes) * matrixRowsAtOnce(choice);
}

/** x4(n, k): four neighbouring numbers of row n of x from column k on; 0 beyond its end. */
function fourOfX(whole: boolean): string {
  if (whole) return 'fn x4(n: u32, k: u32) -> vec4f { return x_NI[(n * parameters.I + k) / 4u]; }';
  return `
fn x1(n: u32, k: u32) -> f32 { if (k < parameters.I) { return x_NI[n * parameters.I + k]; } return 0.0; }
fn x4(n: u32, k: u32) -> vec4f { return vec4f(x1(n, k), x1(n, k + 1u), x1(n, k + 2u), x1(n, k + 3u)); }`;
}

/** gain4(k), as x4 of one row. */
function fourOfGain(whole: boolean): string {
  if (whole) return 'fn gain4(k: u32) -> vec4f { return gain_I[k / 4u]; }';
  return `
fn gain1(k: u32) -> f32 { if (k < parameters.I) { return gain_I[k]; } return 0.0; }
fn gain4(k: u32) -> vec4f { return vec4f(gain1(k), gain1(k + 1u), gain1(k + 2u), gain1(k + 3u)); }`;
}

type Parameter = 'N' | 'I' | 'O' | 'firstRow' | 'pieceStart' | 'pieceRows' | 'hasBias' | 'eps' | 'limit';
/** Of a plain product. A norm adds gain_I, a sum added_NO; a second matrix has two planes and, without a gate, an output in place of the bias. */
export type Matvec = Kernel<Parameter, 'x_NI' | 'quants' | 'rest' | 'bias_O' | 'y_NO'>;

const written = new Map<string, Matvec>();
const choices = new WeakMap<Kernel, MatvecChoice>();

/**
 * y_no for n in [firstRow, firstRow + rows) and the `pieceRows` rows o of this piece of W, which is row `pieceStart` of W and on. N bounds
 * the rows of x, O is the stride of y. `eps` is the norm's, `limit` the gate's.
 */
export function matvec(choice: MatvecChoice): Matvec {
  const { type, rows, lanes, whole, subgroups, norm, second, end } = choice;
  const key = `${type} ${rows} ${lanes}${subgroups ? ' in subgroups' : ''} ${whole ? 'whole' : 'loose'}${norm ? ' norm' : ''}${second ? ` and ${second}` : ''}${end ? ` ${end}` : ''}`;
  const found = written.get(key);
  if (found) return found;
  const made = writeMatvec(key, choice);
  written.set(key, made);
  choices.set(made, choice);
  return made;
}

/** What a kernel was written for; null: it is none of these. */
export const matvecChoiceOf = (kernel: Kernel): MatvecChoice | null => choices.get(kernel) ?? null;

function writeMatvec(key: string, choice: MatvecChoice): Matvec {
  const { type, rows, lanes, whole, subgroups = false, norm, second, end } = choice;
  const R = matrixRowsAtOnce(choice);
  const matrices = second ? ['', 'OfSecond'] : [''];
  const perMatrix = R * rows;
  const products = perMatrix * matrices.length;
  const sums = products + (norm ? rows : 0);
  const all = <T>(count: number, line: (i: number) => T) => Array.from({ length: count }, (_, i) => line(i));
  const isGate = second !== undefined && end !== undefined;

  const total = (sum: string) =>
    subgroups ? `total(${sum}, lane, subgroupSize)` : `partial[(${sum}) * ${LANES}u + lane]`;
  const at = 'n * O + column';
  const result = isGate ? 'gateValue(value, other)' : end ? `value + added_NO[${at}]` : 'value';
  const finish = [
    `      var value = ${total('i')};`,
    second && `      var other = ${total(`i + ${perMatrix}u`)};`,
    norm &&
      `      let factor = 1.0 / sqrt(${total(`${products}u + i % ${rows}u`)} / f32(I) + eps);
      value *= factor;`,
    norm && second && '      other *= factor;',
    !second && '      if (hasBias != 0u) { value += bias_O[column]; }',
    `      y_NO[${at}] = ${result};`,
    second && !end && `      second_NO[${at}] = other;`,
  ];

  const inputs: Record<string, ElementType> = {
    x_NI: whole ? 'vec4f' : 'f32',
    ...(norm && { gain_I: whole ? 'vec4f' : 'f32' }),
    ...matrixInputs(type),
    ...(second
      ? { quantsOfSecond: matrixInputs(second).quants, restOfSecond: matrixInputs(second).rest }
      : { bias_O: 'f32' }),
    ...(end === 'add' && { added_NO: 'f32' }),
  };
  const outputs: Record<string, ElementType> = { y_NO: 'f32', ...(second && !end && { second_NO: 'f32' }) };
  const joinTree = `${unrolled(sums, (i) => `  partial[${i * LANES}u + lane] = sum${i};`)}
  for (var half = ${lanes / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (own < half) {
${unrolled(sums, (i) => `      partial[${i * LANES}u + lane] += partial[${i * LANES}u + lane + half];`)}
    }
  }`;
  const joinSubgroups = `${unrolled(sums, (i) => `  let joined${i} = subgroupAdd(sum${i});`)}
  if (subgroupLane == 0u) {
${unrolled(sums, (i) => `    partial[${i * LANES}u + subgroup] = joined${i};`)}
  }
  workgroupBarrier();`;
  return kernel({
    name: `linear, ${key}`,
    workgroup: LANES,
    parameters: {
      N: 'u32',
      I: 'u32',
      O: 'u32',
      firstRow: 'u32',
      pieceStart: 'u32',
      pieceRows: 'u32',
      hasBias: 'u32',
      eps: 'f32',
      limit: 'f32',
    },
    inputs,
    outputs,
    subgroups,
    declarations: `
${weightsFunction(type)}
${second ? secondWeightsFunction(second) : ''}
${fourOfX(whole)}
${norm ? fourOfGain(whole) : ''}
${isGate ? gateForms[end as GateForm].replaceAll('fn value(', 'fn gateValue(') : ''}
var<workgroup> partial: array<f32, ${LANES * sums}>;
${
  subgroups
    ? `fn total(sum: u32, lane: u32, size: u32) -> f32 {
  var all = 0.0;
  for (var i = lane / size; i < (lane + ${lanes}u) / size; i++) { all += partial[sum * ${LANES}u + i]; }
  return all;
}`
    : ''
}`,
    body: `
  let own = lane % ${lanes}u;
  let o = group * ${(LANES / lanes) * R}u + (lane / ${lanes}u) * ${R}u;
  let units = (I + 31u) / 32u;
${unrolled(sums, (i) => `  var sum${i} = 0.0;`)}
${unrolled(R, (r) => `  let o${r} = min(o + ${r}u, pieceRows - 1u);`)}
${unrolled(rows, (n) => `  let n${n} = min(firstRow + ${n}u, N - 1u);`)}
  for (var unit = own; unit < units; unit += ${lanes}u) {
${matrices.flatMap((which, m) => all(R, (r) => `    let w${m * R + r} = weights${which}(o${r}, unit);`)).join('\n')}
${eightTimes(whole, (v) =>
  unrolled(
    rows,
    (n) => `    {
      ${norm ? 'var' : 'let'} x = x4(n${n}, unit * 32u + 4u * ${v});
${norm ? `      sum${products + n} += dot(x, x);\n      x *= gain4(unit * 32u + 4u * ${v});` : ''}
${all(R * matrices.length, (w) => `      sum${w * rows + n} += dot(w${w}[${v}], x);`).join('\n')}
    }`,
  ),
)}
  }
${subgroups ? joinSubgroups : joinTree}
  if (own == 0u) {
    for (var i = 0u; i < ${perMatrix}u; i++) {
      let n = firstRow + i % ${rows}u;
      let row = o + i / ${rows}u;
      if (row >= pieceRows || n >= N) { continue; }
      let column = pieceStart + row;
${finish.filter(Boolean).join('\n')}
    }
  }`,
  });
}

/**
 * y_m = x_(m / sharers) · w_cᵀ + bias_c for the expert c of each m. W is a stack of experts of O rows each, of which this piece has
 * `pieceRows` from `pieceStart` on; an expert that no row has chosen is not read.
 */
export const routedMatvec = perChoice((key: `${StoredType} ${'whole' | 'loose'}`) => {
  const [type, fill] = key.split(' ') as [StoredType, string];
  const lanes = 32;
  return kernel({
    name: `routedLinear, ${key}`,
    workgroup: LANES,
    parameters: {
      M: 'u32',
      I: 'u32',
      O: 'u32',
      sharers: 'u32',
      pieceStart: 'u32',
      pieceRows: 'u32',
      groupsPerRow: 'u32',
      hasBias: 'u32',
    },
    inputs: { x_NI: fill === 'whole' ? 'vec4f' : 'f32', ...matrixInputs(type), chosen_M: 'f32', bias_XO: 'f32' },
    outputs: { y_MO: 'f32' },
    declarations: `
${weightsFunction(type)}
${fourOfX(fill === 'whole')}
var<workgroup> partial: array<f32, ${LANES}>;`,
    body: `
  let own = lane % ${lanes}u;
  let m = group / groupsPerRow;
  let o = (group % groupsPerRow) * ${LANES / lanes}u + lane / ${lanes}u;
  let row = u32(chosen_M[m]) * O + min(o, O - 1u);
  let isHere = row >= pieceStart && row - pieceStart < pieceRows;
  var sum = 0.0;
  if (isHere) {
    for (var unit = own; unit < (I + 31u) / 32u; unit += ${lanes}u) {
      let w = weights(row - pieceStart, unit);
${eightTimes(fill === 'whole', (v) => `      sum += dot(w[${v}], x4(m / sharers, unit * 32u + 4u * ${v}));`)}
    }
  }
  partial[lane] = sum;
  for (var half = ${lanes / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (own < half) { partial[lane] += partial[lane + half]; }
  }
  if (own == 0u && o < O && isHere) {
    var bias = 0.0;
    if (hasBias != 0u) { bias = bias_XO[row]; }
    y_MO[m * O + o] = partial[lane] + bias;
  }`,
  });
});
