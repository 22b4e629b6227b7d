/** Operands of the f32 products (kernel.ts) are packed into panels: 6 rows of A, 16 columns of B, side by side for each k, for any strides. */
import { pair } from '../lanes.ts';
import { PANEL_GROUP, TILE_COLUMNS, TILE_ROWS } from '../training-tasks.ts';
import { each, functionOf, store, storeVectors, variable, when } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { choose, F32, F32x4, F64x2, I32 } from '../writer/values.ts';

type Width = typeof TILE_ROWS | typeof TILE_COLUMNS;

/** Panels of `width` rows: panel[k][r], zeros below the last row. Strides: bytes from row to row, from k to k, and from panel to panel. Unit = PANEL_GROUP panels. */
function packOf(width: Width) {
  const packPanel = panelOf(width);
  return task(
    `gemmPack${width}`,
    {
      source: 'pointer',
      target: 'pointer',
      rowStride: 'count',
      kStride: 'count',
      rows: 'count',
      K: 'count',
      far: 'count',
    },
    ({ source, target, rowStride, kStride, rows, K, far }, { first, last }) => {
      const from = first.mul(PANEL_GROUP);
      const end = rows
        .add(width - 1)
        .div(width)
        .min(last.mul(PANEL_GROUP));
      const isSideBySide = rowStride.eq(4);
      const whole = choose(isSideBySide, rows.div(width).min(end).max(from), from);
      when(isSideBySide, () => packColumns(width, { source, target, kStride, K, far, first: from, last: whole }));
      each(whole, end, 1, (panel) => {
        const row = panel.mul(width);
        packPanel({
          target: target.add(panel.mul(far)),
          source: source.add(row.mul(rowStride)),
          rowStride,
          kStride,
          rows: rows.sub(row).min(width),
          K,
        });
      });
    },
  );
}

/** Several whole panels of a matrix whose rows lie side by side: every line of memory is read once, from start to end. */
function packColumns(
  width: Width,
  {
    source,
    target,
    kStride,
    K,
    far,
    first,
    last,
  }: Record<'source' | 'target' | 'kStride' | 'K' | 'far' | 'first' | 'last', I32>,
): void {
  const bytes = width * 4;
  each(0, K, 1, (k) => {
    const row = source.add(k.mul(kStride));
    const column = target.add(k.mul(bytes));
    each(first, last, 1, (panel) => {
      const from = row.add(panel.mul(bytes));
      const to = column.add(panel.mul(far));
      const vectors = Array.from({ length: width >> 2 }, (_, i) => F32x4.load(from, 16 * i));
      storeVectors(to, vectors);
      for (let r = width & ~3; r < width; r++) store(to, F32.load(from, 4 * r), 4 * r);
    });
  });
}

/** One panel; `rows` of its `width` rows exist. */
function panelOf(width: Width) {
  return functionOf(
    `packPanel${width}`,
    { target: I32, source: I32, rowStride: I32, kStride: I32, rows: I32, K: I32 },
    null,
    ({ target, source, rowStride, kStride, rows, K }) => {
      const rowAt = (k: I32, r: number) => source.add(k.mul(4)).add(rowStride.mul(r));
      const wholePanel = () => {
        each(0, K.and(~3), 4, (k) => {
          for (let r = 0; r < width; r += 4) {
            const to = target.add(k.mul(width * 4)).add(4 * r);
            if (r + 4 <= width)
              transpose4(
                to,
                [0, 1, 2, 3].map((i) => rowAt(k, r + i)),
              );
            else
              transpose2(
                to,
                [0, 1].map((i) => rowAt(k, r + i)),
              );
          }
        });
        each(K.and(~3), K, 1, (k) => {
          for (let r = 0; r < width; r++) store(target.add(k.mul(width * 4)), F32.load(rowAt(k, r)), 4 * r);
        });
      };
      const edge = () => {
        each(0, K, 1, (k) => {
          each(0, width, 1, (r) => {
            const number = variable(F32.of(0));
            when(r.lt(rows), () => {
              number.value = F32.load(source.add(r.mul(rowStride)).add(k.mul(kStride)));
            });
            store(target.add(k.mul(width).add(r).mul(4)), number.value);
          });
        });
      };
      when(rows.lt(width).or(kStride.ne(4)), edge, wholePanel);
      return undefined;

      function transpose4(to: I32, from: readonly I32[]): void {
        const [a, b, c, d] = from.map((row) => F32x4.load(row)) as [F32x4, F32x4, F32x4, F32x4];
        const low = [a.shuffle(b, 0, 4, 1, 5), c.shuffle(d, 0, 4, 1, 5)] as const;
        const high = [a.shuffle(b, 2, 6, 3, 7), c.shuffle(d, 2, 6, 3, 7)] as const;
        [low, high].forEach(([one, two], i) => {
          store(to, one.shuffle(two, 0, 1, 4, 5), 2 * i * width * 4);
          store(to, one.shuffle(two, 2, 3, 6, 7), (2 * i + 1) * width * 4);
        });
      }
      function transpose2(to: I32, from: readonly I32[]): void {
        const [a, b] = from.map((row) => F32x4.load(row)) as [F32x4, F32x4];
        const halves = pair((half) => a.shuffle(b, ...(half === 0 ? [0, 4, 1, 5] : [2, 6, 3, 7])).as(F64x2));
        for (let k = 0; k < 4; k++) store(to, halves[k >> 1]!.lane(k & 1), k * width * 4);
      }
    },
  );
}

/** By the width of a panel. */
export const gemmPack = { [TILE_ROWS]: packOf(TILE_ROWS), [TILE_COLUMNS]: packOf(TILE_COLUMNS) } as const;

export const packWidePanel = panelOf(TILE_COLUMNS);
