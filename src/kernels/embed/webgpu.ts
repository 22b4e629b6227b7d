/** Rows of a table. What they compute: reference.ts. */
import { matrixInputs, type StoredType, weightsFunction } from '../gemm/stored.webgpu.ts';
import { elementwise, kernel, perChoice, unrolled } from '../wgsl.ts';

/** An invocation unpacks a unit of 32 numbers of a row of the table, where this piece of it has the row. */
export const embed = perChoice((type: StoredType) =>
  kernel({
    name: `embed, ${type}`,
    workgroup: 64,
    parameters: { N: 'u32', I: 'u32', idsAt: 'u32', pieceStart: 'u32', pieceRows: 'u32' },
    inputs: { ...matrixInputs(type), words: 'u32' },
    outputs: { y_NI: 'f32' },
    declarations: weightsFunction(type),
    body: `
  let i = group * 64u + lane;
  let units = (I + 31u) / 32u;
  if (i >= N * units) { return; }
  let n = i / units;
  let unit = i % units;
  let id = words[idsAt + n];
  if (id < pieceStart || id - pieceStart >= pieceRows) { return; }
  let w = weights(id - pieceStart, unit);
${unrolled(8, (v) =>
  unrolled(
    4,
    (c) => `  if (unit * 32u + ${4 * v + c}u < I) { y_NI[n * I + unit * 32u + ${4 * v + c}u] = w[${v}][${c}]; }`,
  ),
)}`,
  }),
);

/** y_n = x_(rows_n) */
export const selectRows = elementwise({
  name: 'selectRows',
  parameters: { D: 'u32', rowsAt: 'u32' },
  inputs: { x_ND: 'f32', words: 'u32' },
  outputs: { y_RD: 'f32' },
  body: '  y_RD[i] = x_ND[words[rowsAt + i / D] * D + i % D];',
});

/** y_(rows_r) = x_r */
export const placeRows = elementwise({
  name: 'placeRows',
  parameters: { D: 'u32', rowsAt: 'u32' },
  inputs: { x_RD: 'f32', words: 'u32' },
  outputs: { y_ND: 'f32' },
  body: '  y_ND[words[rowsAt + i / D] * D + i % D] = x_RD[i];',
});

/**
 * dTable_v += Σ dy_n over the rows n of id v. `words` has, for each id that occurs: the id, and where its rows begin in the list of row
 * numbers sorted by id; behind the last one, the list's end. An invocation sums one column of one id, in the order of the rows.
 */
export const embedBackward = elementwise({
  name: 'embed, backward',
  parameters: { D: 'u32', idsAt: 'u32', startsAt: 'u32', rowsAt: 'u32' },
  inputs: { dy_ND: 'f32', words: 'u32' },
  outputs: { dTable_VD: 'f32' },
  body: `
  let which = i / D;
  let d = i % D;
  var sum = 0.0;
  for (var r = words[startsAt + which]; r < words[startsAt + which + 1u]; r++) { sum += dy_ND[words[rowsAt + r] * D + d]; }
  dTable_VD[words[idsAt + which] * D + d] += sum;`,
});
