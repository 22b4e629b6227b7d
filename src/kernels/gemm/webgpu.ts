/**
 * y = x · Wᵀ + b and the two products of its gradient, for weights of every stored type. What they compute: kernels/linear/reference.ts
 * and backward.reference.ts beside it.
 *
 * matvec    few rows of x: lanes stride over the units of a few rows of W, so W is read once, and the lanes' sums are joined.
 * product   many rows: tiles through workgroup memory, which hold 32 terms of the sum; W is unpacked once a tile.
 * Numbers   f32 sums, in an order that depends on the shapes alone.
 */
import { eightTimes, kernel, perChoice, unrolled } from '../wgsl.ts';
import { matrixInputs, type StoredType, weightsFunction } from './stored.webgpu.ts';

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
}

/** Rows of W that a group of lanes takes at once: they share what is read of x. */
const matrixRowsAtOnce = (rows: number): number => (rows >= 4 ? 1 : 2);

/** Rows of W that a workgroup takes. */
export function matvecGroupRows({ rows, lanes }: Pick<MatvecChoice, 'rows' | 'lanes'>): number {
  return (LANES / lanes) * matrixRowsAtOnce(rows);
}

const choiceKey = ({ type, rows, lanes, whole }: MatvecChoice) =>
  `${type} ${rows} ${lanes} ${whole ? 'whole' : 'loose'}`;

/** x4(n, k): four neighbouring numbers of row n of x from column k on; 0 beyond its end. */
function fourOfX(whole: boolean): string {
  if (whole) return 'fn x4(n: u32, k: u32) -> vec4f { return x_NI[(n * parameters.I + k) / 4u]; }';
  return `
fn x1(n: u32, k: u32) -> f32 { if (k < parameters.I) { return x_NI[n * parameters.I + k]; } return 0.0; }
fn x4(n: u32, k: u32) -> vec4f { return vec4f(x1(n, k), x1(n, k + 1u), x1(n, k + 2u), x1(n, k + 3u)); }`;
}

/**
 * y_no for n in [firstRow, firstRow + rows) and the `pieceRows` rows o of this piece of W, which is row `pieceStart` of W and on. N bounds
 * the rows of x, O is the stride of y.
 */
export function matvec(choice: MatvecChoice) {
  return matvecs(choiceKey(choice), choice);
}

const writtenMatvecs = new Map<string, ReturnType<typeof writeMatvec>>();
function matvecs(key: string, choice: MatvecChoice) {
  const found = writtenMatvecs.get(key) ?? writeMatvec(key, choice);
  writtenMatvecs.set(key, found);
  return found;
}

function writeMatvec(key: string, { type, rows, lanes, whole }: MatvecChoice) {
  const R = matrixRowsAtOnce(rows);
  const sums = Array.from({ length: R * rows }, (_, i) => ({ r: Math.floor(i / rows), n: i % rows, i }));
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
    },
    inputs: { x_NI: whole ? 'vec4f' : 'f32', ...matrixInputs(type), bias_O: 'f32' },
    outputs: { y_NO: 'f32' },
    declarations: `
${weightsFunction(type)}
${fourOfX(whole)}
var<workgroup> partial: array<f32, ${LANES * R * rows}>;`,
    body: `
  let own = lane % ${lanes}u;
  let o = group * ${(LANES / lanes) * R}u + (lane / ${lanes}u) * ${R}u;
  let units = (I + 31u) / 32u;
${unrolled(sums.length, (i) => `  var sum${i} = 0.0;`)}
${unrolled(R, (r) => `  let o${r} = min(o + ${r}u, pieceRows - 1u);`)}
${unrolled(rows, (n) => `  let n${n} = min(firstRow + ${n}u, N - 1u);`)}
  for (var unit = own; unit < units; unit += ${lanes}u) {
${unrolled(R, (r) => `    let w${r} = weights(o${r}, unit);`)}
${eightTimes(whole, (v) =>
  unrolled(
    rows,
    (n) => `    {
      let x = x4(n${n}, unit * 32u + 4u * ${v});
${unrolled(R, (r) => `      sum${r * rows + n} += dot(w${r}[${v}], x);`)}
    }`,
  ),
)}
  }
${sums.map(({ i }) => `  partial[${i * LANES}u + lane] = sum${i};`).join('\n')}
  for (var half = ${lanes / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (own < half) {
${sums.map(({ i }) => `      partial[${i * LANES}u + lane] += partial[${i * LANES}u + lane + half];`).join('\n')}
    }
  }
  if (own == 0u) {
${sums
  .map(
    ({ i, r, n }) => `    if (o + ${r}u < pieceRows && firstRow + ${n}u < N) {
      let column = pieceStart + o + ${r}u;
      var bias = 0.0;
      if (hasBias != 0u) { bias = bias_O[column]; }
      y_NO[(firstRow + ${n}u) * O + column] = partial[${i * LANES}u + lane] + bias;
    }`,
  )
  .join('\n')}
  }`,
  });
}

export interface ProductChoice {
  /**
   * forward  y_mc  = Σ_k a_mk · W_ck (+ bias)      m rows of x, c rows of W, k columns of W
   * input    dx_mc = Σ_k a_mk · W_kc               m rows of dy, c columns of W, k rows of W
   * weight   dw_mc = Σ_k a_km · b_kc               m columns of dy, c columns of x, k rows of both
   */
  readonly form: 'forward' | 'input' | 'weight';
  readonly type: StoredType;
  readonly tile: 32 | 64;
  /** Rows of both sides fill vec4s. */
  readonly whole: boolean;
}

/** Terms of the sum that a tile holds. */
const DEPTH = 32;
/** Outputs that an invocation computes in the direction of c. */
const ACROSS = 4;

/**
 * One product for the three forms: y (M rows of `stride`, C columns) = kept · y + the sum over `K` terms. `I`: columns of W or x; `A`: columns
 * of a, which begins at number `aStart`; `bRow`: the first row of W or x that counts; `yStart` and `yOffset`: the first column and number
 * of y. So a piece of W, or some rows of a side, are a product of their own.
 */
export const product = (choice: ProductChoice) =>
  products(`${choice.form} ${choice.type} ${choice.tile} ${choice.whole ? 'whole' : 'loose'}`, choice);

const writtenProducts = new Map<string, ReturnType<typeof writeProduct>>();
function products(key: string, choice: ProductChoice) {
  const found = writtenProducts.get(key) ?? writeProduct(key, choice);
  writtenProducts.set(key, found);
  return found;
}

function writeProduct(key: string, { form, type, tile: T, whole }: ProductChoice) {
  const rowsDown = T / ((2 * T) / (T / ACROSS));
  const groupsAcross = T / ACROSS;
  const invocations = 2 * T;
  const down = Array.from({ length: rowsDown }, (_, i) => i);
  const across = [0, 1, 2, 3];
  const eights = (line: (v: string) => string) => eightTimes(whole && type !== 'loose', line);
  // In a tile whose rows lie along the sum, neighbouring invocations would meet in one bank of memory: the columns are turned.
  const turned = (row: string, v: string) => `${row} * 8u + ((${v}) ^ (${row} & 7u))`;
  const aAlong = form !== 'weight';
  const bAlong = form === 'forward';

  const loadA = aAlong
    ? `      let m = tileM * ${T}u + row;
${eights((v) => `      aTile[${turned('row', v)}] = a4(m, k0 + 4u * ${v});`)}`
    : // row: which of the 32 terms, and which 32-wide part of the tile
      `      let term = row % ${DEPTH}u;
      let part = row / ${DEPTH}u;
${eights((v) => `      aTile[term * ${T / 4}u + part * 8u + ${v}] = a4(k0 + term, tileM * ${T}u + part * 32u + 4u * ${v});`)}`;
  const loadB = bAlong
    ? `      let c = tileC * ${T}u + row;
      if (c < C) {
        let w = weights(c, k0 / 32u);
${eights((v) => `        bTile[${turned('row', v)}] = w[${v}];`)}
      } else {
${eights((v) => `        bTile[${turned('row', v)}] = vec4f();`)}
      }`
    : `      let term = row % ${DEPTH}u;
      let part = row / ${DEPTH}u;
      if (k0 + term < K) {
        let w = weights(bRow + k0 + term, tileC * ${T / 32}u + part);
${eights((v) => `        bTile[term * ${T / 4}u + part * 8u + ${v}] = w[${v}];`)}
      } else {
${eights((v) => `        bTile[term * ${T / 4}u + part * 8u + ${v}] = vec4f();`)}
      }`;

  const column = (j: number) => (bAlong ? `x + ${j * groupsAcross}u` : `x * 4u + ${j}u`);
  const rowOf = (i: number) => (aAlong ? `y + ${i * (T / rowsDown)}u` : `y * ${rowsDown}u + ${i}u`);
  let inner: string;
  if (bAlong) {
    inner = `    for (var v = 0u; v < 8u; v++) {
${down.map((i) => `      let a${i} = aTile[${turned(`(${rowOf(i)})`, 'v')}];`).join('\n')}
${across.map((j) => `      let b${j} = bTile[${turned(`(${column(j)})`, 'v')}];`).join('\n')}
${down.map((i) => `      sum${i} += vec4f(${across.map((j) => `dot(a${i}, b${j})`).join(', ')});`).join('\n')}
    }`;
  } else if (aAlong) {
    inner = `    for (var v = 0u; v < 8u; v++) {
${down.map((i) => `      let a${i} = aTile[${turned(`(${rowOf(i)})`, 'v')}];`).join('\n')}
${across
  .map(
    (k) => `      let b${k} = bTile[(v * 4u + ${k}u) * ${T / 4}u + x];
${down.map((i) => `      sum${i} += a${i}[${k}] * b${k};`).join('\n')}`,
  )
  .join('\n')}
    }`;
  } else {
    inner = `    for (var k = 0u; k < ${DEPTH}u; k++) {
      let b = bTile[k * ${T / 4}u + x];
${unrolled(rowsDown / 4, (q) => `      let a${q} = aTile[k * ${T / 4}u + y * ${rowsDown / 4}u + ${q}u];`)}
${down.map((i) => `      sum${i} += a${i >> 2}[${i & 3}] * b;`).join('\n')}
    }`;
  }
  const a4 = whole
    ? `fn a4(row: u32, column: u32) -> vec4f {
  if (row < parameters.aRows && column < parameters.A) { return a[(row * parameters.aStride + parameters.aStart + column) / 4u]; }
  return vec4f();
}`
    : `fn a1(row: u32, column: u32) -> f32 {
  if (row < parameters.aRows && column < parameters.A) { return a[row * parameters.aStride + parameters.aStart + column]; }
  return 0.0;
}
fn a4(row: u32, column: u32) -> vec4f {
  return vec4f(a1(row, column), a1(row, column + 1u), a1(row, column + 2u), a1(row, column + 3u));
}`;
  return kernel({
    name: `product, ${key}`,
    workgroup: invocations,
    parameters: {
      M: 'u32',
      C: 'u32',
      K: 'u32',
      I: 'u32',
      aRows: 'u32',
      A: 'u32',
      aStart: 'u32',
      aStride: 'u32',
      stride: 'u32',
      yStart: 'u32',
      yOffset: 'u32',
      bRow: 'u32',
      tilesM: 'u32',
      hasBias: 'u32',
      kept: 'f32',
    },
    inputs: { a: whole ? 'vec4f' : 'f32', ...matrixInputs(type), bias: 'f32' },
    outputs: { y_MC: 'f32' },
    declarations: `
${weightsFunction(type)}
${a4}
var<workgroup> aTile: array<vec4f, ${T * 8}>;
var<workgroup> bTile: array<vec4f, ${T * 8}>;`,
    body: `
  let tileM = group % tilesM;
  let tileC = group / tilesM;
  let x = lane % ${groupsAcross}u;
  let y = lane / ${groupsAcross}u;
${down.map((i) => `  var sum${i} = vec4f();`).join('\n')}
  for (var k0 = 0u; k0 < K; k0 += ${DEPTH}u) {
    let row = lane % ${T}u;
    if (lane < ${T}u) {
${loadB}
    } else {
${loadA}
    }
    workgroupBarrier();
${inner}
    workgroupBarrier();
  }
${down
  .map(
    (i) => `  {
    let m = tileM * ${T}u + ${rowOf(i)};
    if (m < M) {
${across
  .map(
    (j) => `      {
        let c = tileC * ${T}u + ${column(j)};
        if (c < C) {
          let at = yOffset + m * stride + yStart + c;
          var value = sum${i}[${j}];
          if (hasBias != 0u) { value += bias[yStart + c]; }
          if (kept != 0.0) { value += kept * y_MC[at]; }
          y_MC[at] = value;
        }
      }`,
  )
  .join('\n')}
    }
  }`,
  )
  .join('\n')}`,
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
