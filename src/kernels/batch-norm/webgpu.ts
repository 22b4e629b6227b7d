/** The lab's batch norm, an invocation a channel. What it computes: reference.ts, backward.reference.ts. */
import { elementwise } from '../wgsl.ts';

const STATISTICS = `
  let D = count;
  var mean = mean_D[i];
  var variance = variance_D[i];
  if (training != 0u) {
    var sum = 0.0;
    for (var n = 0u; n < N; n++) { sum += x_ND[n * D + i]; }
    mean = sum / f32(N);
    var squares = 0.0;
    for (var n = 0u; n < N; n++) { squares += (x_ND[n * D + i] - mean) * (x_ND[n * D + i] - mean); }
    variance = squares / f32(N);
  }
  let r = 1.0 / sqrt(variance + eps);`;

/** With given statistics, which are only read: shift and mean may then be one tensor, as DoRA's zeros are. */
export const batchNorm = elementwise({
  name: 'batchNorm',
  parameters: { N: 'u32', eps: 'f32' },
  inputs: { x_ND: 'f32', gain_D: 'f32', shift_D: 'f32', mean_D: 'f32', variance_D: 'f32' },
  outputs: { y_ND: 'f32' },
  body: `
  let D = count;
  let r = 1.0 / sqrt(variance_D[i] + eps);
  for (var n = 0u; n < N; n++) { y_ND[n * D + i] = gain_D[i] * (x_ND[n * D + i] - mean_D[i]) * r + shift_D[i]; }`,
});

/** With those of the batch, by which the running ones move. */
export const batchNormOfBatch = elementwise({
  name: 'batchNorm, statistics of the batch',
  parameters: { N: 'u32', eps: 'f32', momentum: 'f32' },
  inputs: { x_ND: 'f32', gain_D: 'f32', shift_D: 'f32' },
  outputs: { mean_D: 'f32', variance_D: 'f32', y_ND: 'f32' },
  body: `
  let training = 1u;${STATISTICS}
  mean_D[i] = (1.0 - momentum) * mean_D[i] + momentum * mean;
  variance_D[i] = (1.0 - momentum) * variance_D[i] + momentum * (variance * f32(N) / f32(max(1u, N - 1u)));
  for (var n = 0u; n < N; n++) { y_ND[n * D + i] = gain_D[i] * (x_ND[n * D + i] - mean) * r + shift_D[i]; }`,
});

export const batchNormBackward = elementwise({
  name: 'batchNorm, backward',
  parameters: { N: 'u32', eps: 'f32', training: 'u32', addsX: 'u32', addsGain: 'u32', addsShift: 'u32' },
  inputs: { dy_ND: 'f32', x_ND: 'f32', gain_D: 'f32', mean_D: 'f32', variance_D: 'f32' },
  outputs: { dx_ND: 'f32', dGain_D: 'f32', dShift_D: 'f32' },
  body: `${STATISTICS}
  var sumDy = 0.0;
  var sumDyZ = 0.0;
  for (var n = 0u; n < N; n++) {
    sumDy += dy_ND[n * D + i];
    sumDyZ += dy_ND[n * D + i] * (x_ND[n * D + i] - mean) * r;
  }
  dGain_D[i] = select(0.0, dGain_D[i], addsGain != 0u) + sumDyZ;
  dShift_D[i] = select(0.0, dShift_D[i], addsShift != 0u) + sumDy;
  for (var n = 0u; n < N; n++) {
    let z = (x_ND[n * D + i] - mean) * r;
    let both = select(0.0, (sumDy + z * sumDyZ) / f32(N), training != 0u);
    dx_ND[n * D + i] = select(0.0, dx_ND[n * D + i], addsX != 0u) + r * gain_D[i] * (dy_ND[n * D + i] - both);
  }`,
});
