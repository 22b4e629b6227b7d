/** y = gain · x / √(mean x² + eps), a workgroup a row. What it computes: reference.ts, backward.reference.ts. */
import { kernel, sumGroup } from '../wgsl.ts';

const WORKGROUP = 128;

export const rmsNorm = kernel({
  name: 'rmsNorm',
  workgroup: WORKGROUP,
  parameters: { D: 'u32', eps: 'f32' },
  inputs: { x_ND: 'f32', gain_D: 'f32' },
  outputs: { y_ND: 'f32' },
  declarations: sumGroup(WORKGROUP),
  body: `
  let row = group * D;
  var squares = 0.0;
  for (var d = lane; d < D; d += ${WORKGROUP}u) { squares += x_ND[row + d] * x_ND[row + d]; }
  let r = 1.0 / sqrt(sumGroup(squares, lane) / f32(D) + eps);
  for (var d = lane; d < D; d += ${WORKGROUP}u) { y_ND[row + d] = gain_D[d] * x_ND[row + d] * r; }`,
});

/** dx of a row, and dy · x · r, whose column sums are dGain. */
export const rmsNormBackward = kernel({
  name: 'rmsNorm, backward',
  workgroup: WORKGROUP,
  parameters: { D: 'u32', eps: 'f32', adds: 'u32' },
  inputs: { dy_ND: 'f32', x_ND: 'f32', gain_D: 'f32' },
  outputs: { dx_ND: 'f32', gainTerms_ND: 'f32' },
  declarations: sumGroup(WORKGROUP),
  body: `
  let row = group * D;
  var squares = 0.0;
  var inner = 0.0;
  for (var d = lane; d < D; d += ${WORKGROUP}u) {
    let x = x_ND[row + d];
    squares += x * x;
    inner += dy_ND[row + d] * gain_D[d] * x;
  }
  let r = 1.0 / sqrt(sumGroup(squares, lane) / f32(D) + eps);
  let c = r * r * r * sumGroup(inner, lane) / f32(D);
  for (var d = lane; d < D; d += ${WORKGROUP}u) {
    let x = x_ND[row + d];
    let dy = dy_ND[row + d];
    dx_ND[row + d] = select(0.0, dx_ND[row + d], adds != 0u) + r * gain_D[d] * dy - c * x;
    gainTerms_ND[row + d] = dy * x * r;
  }`,
});
