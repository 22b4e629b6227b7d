/** The register tile of f32 products: C[6 × 16] (+)= A · B over `count` steps of k. Every element adds its products in the order of k. */
import { pair, times, zeros } from '../lanes.ts';
import { CONTROL_WIDE, TILE_COLUMNS, TILE_ROWS } from '../training-tasks.ts';
import { each, functionOf, type Signature, storeVectors, type Values, variable, when } from '../writer/statements.ts';
import { F32x4, I32 } from '../writer/values.ts';

/** cRow: bytes from row to row of C; add: 0 overwrites C. */
const operands = { c: I32, cRow: I32, a: I32, b: I32, count: I32, add: I32 };

/** Bytes from row to row and from step to step of A, and from step to step of B. */
interface Steps {
  readonly aRow: I32 | number;
  readonly aStep: I32 | number;
  readonly bStep: I32 | number;
}

/** Sums: as many as registers hold, of 256 bits where an engine joins pairs. */
function columnsOf<S extends typeof operands>(
  name: string,
  takes: S,
  stepsOf: (values: Values<S>) => Steps,
  columns: number,
) {
  return functionOf(`${name}${columns}`, takes, null, (values) => {
    const { c, cRow, a, b, count, add } = values as Values<typeof operands>;
    const { aRow, aStep, bStep } = stepsOf(values);
    const rowsAt = times(TILE_ROWS, (r) => I32.of(aRow).mul(r));
    const zero = zeros(F32x4);
    const acc = times(TILE_ROWS, () => times(columns / 8, () => pair(() => variable(zero))));
    const from = variable(b);
    each(a, a.add(count.mul(aStep)), aStep, (at) => {
      const row = from.value;
      const bs = times(columns / 8, (i) => pair((half) => F32x4.load(row, 32 * i + 16 * half)));
      acc.forEach((ofRow, r) => {
        const s = F32x4.loadSplat(at.add(rowsAt[r]!));
        ofRow.forEach((sum, i) => {
          sum.forEach((it, half) => {
            it.value = s.mulAdd(bs[i]![half]!, it.value);
          });
        });
      });
      from.value = row.add(bStep);
    });
    acc.forEach((ofRow, r) => {
      const to = c.add(cRow.mul(r));
      when(add, () => {
        ofRow.flat().forEach((sum, i) => {
          sum.value = sum.value.add(F32x4.load(to, 16 * i));
        });
      });
      const sums = ofRow.flat().map((it) => it.value);
      storeVectors(to, sums);
    });
    return undefined;
  });
}

/** An engine that does not join pairs has as many registers of 128 bits, and gets the tile in two halves. */
function tileOf<S extends typeof operands & Signature>(name: string, takes: S, stepsOf: (values: Values<S>) => Steps) {
  const wide = columnsOf(name, takes, stepsOf, TILE_COLUMNS);
  const narrow = columnsOf(name, takes, stepsOf, TILE_COLUMNS / 2);
  return functionOf(name, takes, null, (values) => {
    when(
      I32.load(I32.of(CONTROL_WIDE)),
      () => wide(values),
      () => {
        const { c, b } = values as Values<typeof operands>;
        narrow(values);
        narrow({ ...values, c: c.add(32), b: b.add(32) });
      },
    );
    return undefined;
  });
}

/** A and B in panels: 6 rows of A, 16 columns of B, side by side for each k. */
export const panelTile = tileOf('panelTile', operands, () => ({
  aRow: 4,
  aStep: 4 * TILE_ROWS,
  bStep: 4 * TILE_COLUMNS,
}));

/** A and B anywhere. */
export const tile = tileOf('tile', { ...operands, aRow: I32, aStep: I32, bStep: I32 }, (steps) => steps);
