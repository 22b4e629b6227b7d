/** A matrix as colours: one pixel a cell on a canvas, scaled up. Orange is above zero, blue below; the paler, the nearer to zero. */
import { useEffect, useMemo, useRef } from 'preact/hooks';

export interface HeatProps {
  readonly rows: number;
  readonly columns: number;
  /** Row by row. −∞ and NaN stay empty. */
  readonly values: ArrayLike<number>;
  /** What is drawn in full colour; absent: the largest size that occurs. */
  readonly most?: number;
  /** A sentence made of the numbers, for who cannot see it. */
  readonly label: string;
  /** Width of a cell in pixels; absent: as wide as there is room. */
  readonly cell?: number;
  /** Cells are square. */
  readonly square?: boolean;
  readonly chosen?: { readonly row: number; readonly column: number } | null;
  readonly onChoose?: (row: number, column: number) => void;
  /** Cells that nobody may choose, drawn hatched: above the diagonal. */
  readonly causal?: boolean;
}

const ABOVE = [214, 106, 40];
const BELOW = [48, 118, 190];

export function Heat({ rows, columns, values, most, label, cell, square, chosen, onChoose, causal }: HeatProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context || rows === 0 || columns === 0) return;
    const image = context.createImageData(columns, rows);
    const { data } = image;
    const limit = most ?? largest(values);
    for (let i = 0; i < rows * columns; i++) {
      const value = values[i]!;
      if (!Number.isFinite(value) || value === 0) continue;
      const colour = value > 0 ? ABOVE : BELOW;
      const share = limit === 0 ? 0 : Math.min(1, Math.abs(value) / limit);
      data[i * 4] = colour[0]!;
      data[i * 4 + 1] = colour[1]!;
      data[i * 4 + 2] = colour[2]!;
      data[i * 4 + 3] = Math.round(255 * share ** 0.6);
    }
    context.putImageData(image, 0, 0);
  }, [values, rows, columns, most]);
  /** Where the choice is, before it has been drawn. */
  const place = useRef({ row: 0, column: 0 });
  if (chosen) place.current = chosen;
  const choose = (row: number, column: number) => {
    if (!onChoose) return;
    const r = Math.max(0, Math.min(rows - 1, row));
    const c = Math.max(0, Math.min(causal ? r : columns - 1, column));
    place.current = { row: r, column: c };
    onChoose(r, c);
  };
  const onKey = (event: KeyboardEvent) => {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!by || !onChoose) return;
    event.preventDefault();
    event.stopPropagation();
    choose(place.current.row + by[0]!, place.current.column + by[1]!);
  };
  const onClick = (event: MouseEvent) => {
    const box = canvas.current!.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    choose(Math.floor(y * rows), Math.floor(x * columns));
  };
  const size = cell === undefined ? { width: '100%' } : { width: `${cell * columns}px`, maxWidth: '100%' };
  return (
    <div
      class={`heat${onChoose ? ' live' : ''}${causal ? ' causal' : ''}`}
      role="img"
      aria-label={label}
      tabIndex={onChoose ? 0 : undefined}
      style={{
        '--step': `${100 / Math.max(1, columns)}%`,
        ...size,
        ...(square ? { aspectRatio: `${columns} / ${rows}` } : { height: `${rows * (cell ?? 14)}px` }),
      }}
      onKeyDown={onKey}
      onClick={onClick}
    >
      <canvas ref={canvas} width={columns} height={rows} />
      {chosen && (
        <span
          class="cell"
          style={{
            left: `${(100 * chosen.column) / columns}%`,
            top: `${(100 * chosen.row) / rows}%`,
            width: `${100 / columns}%`,
            height: `${100 / rows}%`,
          }}
        />
      )}
    </div>
  );
}

export function largest(values: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]!);
    if (size > most && Number.isFinite(size)) most = size;
  }
  return most;
}

/** One row as a block of cells, `wide` to a line; the last line is filled with nothing. */
export function Strip({
  values,
  wide = 64,
  label,
  most,
  chosen,
  onChoose,
  names,
}: {
  readonly values: Float32Array;
  readonly wide?: number;
  readonly label: string;
  readonly most?: number;
  readonly chosen?: number | null;
  readonly onChoose?: (column: number) => void;
  /** Before each line: the head that it is. */
  readonly names?: readonly string[];
}) {
  const rows = Math.ceil(values.length / wide);
  const padded = useMemo(() => {
    const cells = new Float32Array(rows * wide);
    cells.set(values);
    return cells;
  }, [values, wide]);
  const place =
    chosen === undefined || chosen === null ? null : { row: Math.floor(chosen / wide), column: chosen % wide };
  const choose =
    onChoose && ((row: number, column: number) => onChoose(Math.min(values.length - 1, row * wide + column)));
  const strip = (
    <Heat
      rows={rows}
      columns={Math.min(wide, Math.max(1, values.length))}
      values={values.length < wide ? values : padded}
      label={label}
      chosen={place}
      {...(most !== undefined && { most })}
      {...(choose && { onChoose: choose })}
    />
  );
  if (!names) return strip;
  return (
    <div class="labelled">
      <div class="row-labels" aria-hidden="true">
        {names.map((name) => (
          <span key={name}>{name}</span>
        ))}
      </div>
      {strip}
    </div>
  );
}
