/** Curves and dots in a frame with axes, as SVG. */

export interface Curve {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly kind?: 'line' | 'dashed' | 'dots' | 'faint';
  /** Which of the palette's colours: 0 … 3. */
  readonly color?: number;
}

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [560, 240, 48, 12, 10, 30];

export function Plot({
  curves,
  label,
  xLabel,
  yLabel,
  mark,
}: {
  readonly curves: readonly Curve[];
  readonly label: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly mark?: readonly [number, number] | null;
}) {
  const all = curves.flatMap(({ points }) => points).filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));
  if (all.length === 0) return <p class="waiting">…</p>;
  const [x0, x1] = range(all.map(([x]) => x));
  const [y0, y1] = range(all.map(([, y]) => y));
  const px = (x: number) => LEFT + ((x - x0) / (x1 - x0)) * (WIDTH - LEFT - RIGHT);
  const py = (y: number) => HEIGHT - BOTTOM - ((y - y0) / (y1 - y0)) * (HEIGHT - TOP - BOTTOM);
  const ticks = (low: number, high: number) => [low, (low + high) / 2, high];
  return (
    <>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} class="plot" role="img" aria-label={label}>
        <g class="axis">
          {ticks(x0, x1).map((x, i) => (
            <text key={x} x={px(x)} y={HEIGHT - 10} text-anchor={i === 2 ? 'end' : 'middle'}>
              {tick(x)}
            </text>
          ))}
          {ticks(y0, y1).map((y) => (
            <g key={y}>
              <line x1={LEFT} x2={WIDTH - RIGHT} y1={py(y)} y2={py(y)} />
              <text x={LEFT - 6} y={py(y) + 4} text-anchor="end">
                {tick(y)}
              </text>
            </g>
          ))}
          {y0 < 0 && y1 > 0 && <line class="zero" x1={LEFT} x2={WIDTH - RIGHT} y1={py(0)} y2={py(0)} />}
          {x0 < 0 && x1 > 0 && <line class="zero" y1={TOP} y2={HEIGHT - BOTTOM} x1={px(0)} x2={px(0)} />}
        </g>
        {curves.map(({ label, points, kind = 'line', color = 0 }) =>
          kind === 'dots' ? (
            <g key={label} class={`dots c${color}`}>
              {points.map(([x, y], i) => (
                <circle key={`${i} ${x}`} cx={px(x)} cy={py(y)} r={2.5} />
              ))}
            </g>
          ) : (
            <polyline
              key={label}
              class={`curve ${kind} c${color}`}
              points={points.map(([x, y]) => `${px(x).toFixed(1)},${py(y).toFixed(1)}`).join(' ')}
            />
          ),
        )}
        {mark && <circle class="mark" cx={px(mark[0])} cy={py(mark[1])} r={6} />}
        <text class="axis-name" x={WIDTH - RIGHT} y={HEIGHT - 22} text-anchor="end">
          {xLabel}
        </text>
        <text class="axis-name" x={LEFT + 4} y={TOP + 10}>
          {yLabel}
        </text>
      </svg>
      {curves.length > 1 && (
        <p class="legend">
          {curves.map(({ label, kind = 'line', color = 0 }) => (
            <span key={label} class={`c${color} ${kind}`}>
              {label}
            </span>
          ))}
        </p>
      )}
    </>
  );
}

/** Three digits, as short as they can be written. */
function tick(value: number): string {
  return String(Number(value.toPrecision(3))).replace('-', '−');
}

function range(values: readonly number[]): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low === high ? [low - 1, high + 1] : [low, high];
}
