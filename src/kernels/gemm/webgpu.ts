/**
 * y = x · Wᵀ + b for many rows of x, and the two products of its gradient, for weights of every stored type: tiles through workgroup
 * memory, which hold 32 terms of the sum; W is unpacked once a tile. What they compute: kernels/linear/reference.ts and
 * backward.reference.ts beside it. Few rows: matvec.webgpu.ts.
 *
 * Numbers   f32 sums, in an order that depends on the shapes alone.
 */
import { eightTimes, kernel, unrolled } from '../wgsl.ts';
import { matrixInputs, type StoredType, weightsFunction } from './stored.webgpu.ts';

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

/** Four columns of a row of f32 numbers; 0 behind the last row and the last column. */
const B4 = `
fn b4(row: u32, rows: u32, four: u32) -> vec4f {
  if (row < rows && four < parameters.I / 4u) { return quants[row * (parameters.I / 4u) + four]; }
  return vec4f();
}`;

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

  // Where a tile is copied as it lies, neighbouring invocations read neighbouring numbers: element `at` of the tile, counted along its rows.
  const at = (v: string) => `(${v}) * ${T}u + row`;
  const alongRows = (v: string) => ({ r: `((${at(v)}) / 8u)`, v: `((${at(v)}) % 8u)` });
  const acrossTerms = (v: string) => ({ term: `((${at(v)}) / ${T / 4}u)`, four: `((${at(v)}) % ${T / 4}u)` });

  const loadA = eights((v) => {
    if (aAlong) {
      const { r, v: four } = alongRows(v);
      return `      aTile[${turned(r, four)}] = a4(tileM * ${T}u + ${r}, k0 + 4u * ${four});`;
    }
    const { term, four } = acrossTerms(v);
    return `      aTile[${at(v)}] = a4(k0 + ${term}, tileM * ${T}u + 4u * ${four});`;
  });
  const loadFloats = eights((v) => {
    if (bAlong) {
      const { r, v: four } = alongRows(v);
      return `      bTile[${turned(r, four)}] = b4(tileC * ${T}u + ${r}, C, k0 / 4u + ${four});`;
    }
    const { term, four } = acrossTerms(v);
    return `      bTile[${at(v)}] = b4(bRow + k0 + ${term}, bRow + K, tileC * ${T / 4}u + ${four});`;
  });
  const loadUnits = bAlong
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
  const loadB = type === 'f32' ? loadFloats : loadUnits;

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
${type === 'f32' ? B4 : weightsFunction(type)}
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
  // A loop, as a text that is written out takes drivers long to compile; it runs once.
  var sums = array<vec4f, ${rowsDown}>(${down.map((i) => `sum${i}`).join(', ')});
  for (var i = 0u; i < ${rowsDown}u; i++) {
    let m = tileM * ${T}u + ${aAlong ? `y + i * ${T / rowsDown}u` : `y * ${rowsDown}u + i`};
    if (m >= M) { continue; }
    for (var j = 0u; j < ${ACROSS}u; j++) {
      let c = tileC * ${T}u + ${bAlong ? `x + j * ${groupsAcross}u` : 'x * 4u + j'};
      if (c >= C) { continue; }
      let at = yOffset + m * stride + yStart + c;
      var value = sums[i][j];
      if (hasBias != 0u) { value += bias[yStart + c]; }
      if (kept != 0.0) { value += kept * y_MC[at]; }
      y_MC[at] = value;
    }
  }`,
  });
}
