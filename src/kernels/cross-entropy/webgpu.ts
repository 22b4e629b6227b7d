/** The loss of rows of logits, and in their place its gradient. What it computes: reference.ts. The products: gemm/webgpu.ts. */
import { softcapFunction } from '../activation/webgpu.ts';
import { kernel, LOWEST, maxGroup, sumGroup } from '../wgsl.ts';

const WORKGROUP = 256;

/** A workgroup a row, three passes over it. A negative label: loss and gradient 0. `cap` and `zLoss` 0: none; with zLoss the penalties lie at `penaltiesAt`. */
export const crossEntropy = kernel({
  name: 'crossEntropy',
  workgroup: WORKGROUP,
  parameters: {
    V: 'u32',
    firstRow: 'u32',
    labelsAt: 'u32',
    weightsAt: 'u32',
    cap: 'f32',
    zLoss: 'f32',
    penaltiesAt: 'u32',
  },
  inputs: { words: 'u32' },
  outputs: { z_RV: 'f32', losses_N: 'f32' },
  declarations: `${softcapFunction}${maxGroup(WORKGROUP)}${sumGroup(WORKGROUP)}`,
  body: `
  let row = group * V;
  let label = bitcast<i32>(words[labelsAt + group]);
  let weight = bitcast<f32>(words[weightsAt + group]);
  var largest = ${LOWEST};
  for (var v = lane; v < V; v += ${WORKGROUP}u) {
    var z = z_RV[row + v];
    if (cap > 0.0) {
      z = softcap(z, cap);
      z_RV[row + v] = z;
    }
    largest = max(largest, z);
  }
  let top = maxGroup(largest, lane);
  var sum = 0.0;
  for (var v = lane; v < V; v += ${WORKGROUP}u) { sum += exp(z_RV[row + v] - top); }
  let logSum = top + log(sumGroup(sum, lane));
  if (lane == 0u) {
    var loss = 0.0;
    if (label >= 0) { loss = logSum - z_RV[row + u32(max(label, 0))]; }
    losses_N[firstRow + group] = loss;
    if (zLoss > 0.0) { losses_N[penaltiesAt + group] = select(zLoss * logSum * logSum, 0.0, label < 0); }
  }
  storageBarrier();
  for (var v = lane; v < V; v += ${WORKGROUP}u) {
    let z = z_RV[row + v];
    var dz = exp(z - logSum) * (1.0 + 2.0 * zLoss * logSum);
    if (i32(v) == label) { dz -= 1.0; }
    if (cap > 0.0) { dz *= 1.0 - (z / cap) * (z / cap); }
    z_RV[row + v] = select(weight * dz, 0.0, label < 0);
  }`,
});
