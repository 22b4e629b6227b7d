/** The choice of experts and the mixing of their results; their products: gemm/webgpu.ts. Source: reference.ts, backward.reference.ts. */
import { matrixInputs, type StoredType, weightsFunction } from '../gemm/stored.webgpu.ts';
import type { RouteWeights } from '../ops.ts';
import { elementwise, kernel, LOWEST, perChoice, unrolled } from '../wgsl.ts';

/** What the kernels are told of RouteOptions.weights. */
export const routeWeights = { all: 0, chosen: 1, sigmoid: 2 } as const satisfies Record<RouteWeights, number>;

/** An invocation a row: the largest score that is not chosen yet, `used` times; of equal ones the earlier. */
export const route = elementwise({
  name: 'route',
  parameters: { X: 'u32', U: 'u32', weights: 'u32' },
  inputs: { scores_NX: 'f32' },
  outputs: { chosen_NU: 'f32', weights_NU: 'f32' },
  body: `
  var largest = 0.0;
  var sum = 0.0;
  for (var u = 0u; u < U; u++) {
    var best = X;
    var score = ${LOWEST};
    for (var x = 0u; x < X; x++) {
      var isChosen = false;
      for (var v = 0u; v < u; v++) { if (u32(chosen_NU[i * U + v]) == x) { isChosen = true; } }
      if (!isChosen && (best == X || scores_NX[i * X + x] > score)) {
        best = x;
        score = scores_NX[i * X + x];
      }
    }
    if (u == 0u) { largest = score; }
    chosen_NU[i * U + u] = f32(best);
    weights_NU[i * U + u] = select(exp(score - largest), 1.0 / (1.0 + exp(-score)), weights == ${routeWeights.sigmoid}u);
    sum += weights_NU[i * U + u];
  }
  if (weights == ${routeWeights.sigmoid}u) { return; }
  if (weights == ${routeWeights.all}u) {
    sum = 0.0;
    for (var x = 0u; x < X; x++) { sum += exp(scores_NX[i * X + x] - largest); }
  }
  for (var u = 0u; u < U; u++) { weights_NU[i * U + u] /= sum; }`,
});

/** y_nd = or += Σ_u weight_nu · x_(n·U+u)d; the gradient of spreadRoutes, too. */
export const mixRoutes = elementwise({
  name: 'mixRoutes',
  parameters: { D: 'u32', U: 'u32', adds: 'u32' },
  inputs: { x_MD: 'f32', weights_NU: 'f32' },
  outputs: { y_ND: 'f32' },
  body: `
  let n = i / D;
  var sum = 0.0;
  for (var u = 0u; u < U; u++) { sum += weights_NU[n * U + u] * x_MD[(n * U + u) * D + i % D]; }
  y_ND[i] = select(0.0, y_ND[i], adds != 0u) + sum;`,
});

export const routeBackward = elementwise({
  name: 'route, backward',
  parameters: { X: 'u32', U: 'u32', weights: 'u32', adds: 'u32' },
  inputs: { dWeights_NU: 'f32', scores_NX: 'f32', chosen_NU: 'f32', weights_NU: 'f32' },
  outputs: { dScores_NX: 'f32' },
  body: `
  var inner = 0.0;
  for (var u = 0u; u < U; u++) { inner += weights_NU[i * U + u] * dWeights_NU[i * U + u]; }
  let largest = scores_NX[i * X + u32(chosen_NU[i * U])];
  var sum = 0.0;
  for (var x = 0u; x < X; x++) { sum += exp(scores_NX[i * X + x] - largest); }
  for (var x = 0u; x < X; x++) {
    var d = select(0.0, dScores_NX[i * X + x], adds != 0u);
    if (weights == ${routeWeights.all}u) { d -= inner * exp(scores_NX[i * X + x] - largest) / sum; }
    for (var u = 0u; u < U; u++) {
      if (u32(chosen_NU[i * U + u]) == x) {
        let own = weights_NU[i * U + u] * dWeights_NU[i * U + u];
        var others = 0.0;
        if (weights == ${routeWeights.chosen}u) { others = weights_NU[i * U + u] * inner; }
        if (weights == ${routeWeights.sigmoid}u) { others = weights_NU[i * U + u] * own; }
        d += own - others;
      }
    }
    dScores_NX[i * X + x] = d;
  }`,
});

/** y_md = or += weight_m · x_nd; the gradient of mixRoutes, too. */
export const spreadRoutes = elementwise({
  name: 'spreadRoutes',
  parameters: { D: 'u32', U: 'u32', adds: 'u32' },
  inputs: { x_ND: 'f32', weights_M: 'f32' },
  outputs: { y_MD: 'f32' },
  body: `
  let m = i / D;
  y_MD[i] = select(0.0, y_MD[i], adds != 0u) + weights_M[m] * x_ND[(m / U) * D + i % D];`,
});

/** Of spreadRoutes and of mixRoutes: dWeight_m = or += Σ_d row_nd · route_md, of which one is an input and the other a gradient. */
export const routeWeightsBackward = elementwise({
  name: 'spreadRoutes, mixRoutes, backward, weights',
  parameters: { D: 'u32', U: 'u32', adds: 'u32' },
  inputs: { row_ND: 'f32', route_MD: 'f32' },
  outputs: { dWeights_M: 'f32' },
  body: `
  var sum = 0.0;
  for (var d = 0u; d < D; d++) { sum += row_ND[(i / U) * D + d] * route_MD[i * D + d]; }
  dWeights_M[i] = select(0.0, dWeights_M[i], adds != 0u) + sum;`,
});

/** Of routedLinear. dw_coi += Σ dy_mo · x_mi over the rows m of expert c, in their order; an invocation a number of w. */
export const routedWeightBackward = elementwise({
  name: 'routedLinear, backward, weights',
  parameters: { M: 'u32', O: 'u32', I: 'u32', sharers: 'u32', adds: 'u32' },
  inputs: { dy_MO: 'f32', x: 'f32', chosen_M: 'f32' },
  outputs: { dw_XOI: 'f32' },
  body: `
  let expert = i / (O * I);
  let o = (i / I) % O;
  var sum = 0.0;
  for (var m = 0u; m < M; m++) {
    if (u32(chosen_M[m]) == expert) { sum += dy_MO[m * O + o] * x[(m / sharers) * I + i % I]; }
  }
  dw_XOI[i] = select(0.0, dw_XOI[i], adds != 0u) + sum;`,
});

/** dBias_co += Σ dy_mo over the rows m of expert c. */
export const routedBiasBackward = elementwise({
  name: 'routedLinear, backward, bias',
  parameters: { M: 'u32', O: 'u32', adds: 'u32' },
  inputs: { dy_MO: 'f32', chosen_M: 'f32' },
  outputs: { dBias_XO: 'f32' },
  body: `
  var sum = 0.0;
  for (var m = 0u; m < M; m++) { if (u32(chosen_M[m]) == i / O) { sum += dy_MO[m * O + i % O]; } }
  dBias_XO[i] = select(0.0, dBias_XO[i], adds != 0u) + sum;`,
});

/** dx_n += Σ dy_mo · w_coi over the rows m of n, c the expert of m; an invocation a unit of 32 columns, over this piece of w. */
export const routedInputBackward = perChoice((type: StoredType) =>
  kernel({
    name: `routedLinear, backward, input, ${type}`,
    workgroup: 64,
    parameters: {
      N: 'u32',
      O: 'u32',
      I: 'u32',
      sharers: 'u32',
      pieceStart: 'u32',
      pieceRows: 'u32',
      adds: 'u32',
    },
    inputs: { dy_MO: 'f32', ...matrixInputs(type), chosen_M: 'f32' },
    outputs: { dx_NI: 'f32' },
    declarations: weightsFunction(type),
    body: `
  let units = (I + 31u) / 32u;
  let i = group * 64u + lane;
  if (i >= N * units) { return; }
  let n = i / units;
  let unit = i % units;
${unrolled(8, (v) => `  var sum${v} = vec4f();`)}
  for (var m = n * sharers; m < (n + 1u) * sharers; m++) {
    for (var o = 0u; o < O; o++) {
      let row = u32(chosen_M[m]) * O + o;
      if (row >= pieceStart && row - pieceStart < pieceRows) {
        let w = weights(row - pieceStart, unit);
        let dy = dy_MO[m * O + o];
${unrolled(8, (v) => `        sum${v} += dy * w[${v}];`)}
      }
    }
  }
${unrolled(8, (v) =>
  unrolled(
    4,
    (c) => `  if (unit * 32u + ${4 * v + c}u < I) {
    let at = n * I + unit * 32u + ${4 * v + c}u;
    dx_NI[at] = select(0.0, dx_NI[at], adds != 0u) + sum${v}[${c}];
  }`,
  ),
)}`,
  }),
);
