/** y = gain · (x − μ) / σ + shift, a workgroup a row. What it computes: reference.ts, backward.reference.ts. */
import { kernel, sumGroup } from '../wgsl.ts';

const WORKGROUP = 128;

/** mean and r = 1/σ of the row. */
const STATISTICS = `
  let row = group * D;
  var sum = 0.0;
  for (var d = lane; d < D; d += ${WORKGROUP}u) { sum += x_ND[row + d]; }
  let mean = sumGroup(sum, lane) / f32(D);
  var squares = 0.0;
  for (var d = lane; d < D; d += ${WORKGROUP}u) { squares += (x_ND[row + d] - mean) * (x_ND[row + d] - mean); }
  let r = 1.0 / sqrt(sumGroup(squares, lane) / f32(D) + eps);`;

export const layerNorm = kernel({
  name: 'layerNorm',
  workgroup: WORKGROUP,
  parameters: { D: 'u32', eps: 'f32' },
  inputs: { x_ND: 'f32', gain_D: 'f32', shift_D: 'f32' },
  outputs: { y_ND: 'f32' },
  declarations: sumGroup(WORKGROUP),
  body: `${STATISTICS}
  for (var d = lane; d < D; d += ${WORKGROUP}u) { y_ND[row + d] = gain_D[d] * (x_ND[row + d] - mean) * r + shift_D[d]; }`,
});

/** dx of a row, and dy · z, whose column sums are dGain. */
export const layerNormBackward = kernel({
  name: 'layerNorm, backward',
  workgroup: WORKGROUP,
  parameters: { D: 'u32', eps: 'f32', adds: 'u32' },
  inputs: { dy_ND: 'f32', x_ND: 'f32', gain_D: 'f32' },
  outputs: { dx_ND: 'f32', gainTerms_ND: 'f32' },
  declarations: sumGroup(WORKGROUP),
  body: `${STATISTICS}
  var sumG = 0.0;
  var sumGz = 0.0;
  for (var d = lane; d < D; d += ${WORKGROUP}u) {
    let g = dy_ND[row + d] * gain_D[d];
    sumG += g;
    sumGz += g * (x_ND[row + d] - mean) * r;
  }
  let meanG = sumGroup(sumG, lane) / f32(D);
  let meanGz = sumGroup(sumGz, lane) / f32(D);
  for (var d = lane; d < D; d += ${WORKGROUP}u) {
    let dy = dy_ND[row + d];
    let z = (x_ND[row + d] - mean) * r;
    dx_ND[row + d] = select(0.0, dx_ND[row + d], adds != 0u) + r * (dy * gain_D[d] - meanG - z * meanGz);
    gainTerms_ND[row + d] = dy * z;
  }`,
});
