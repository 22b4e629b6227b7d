/** Curves and dots in a frame with axes, as SVG, and their points as a table. */
import type { X } from '../x.ts';
import { ValueTable } from './value-table.tsx';

export interface Curve {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly kind?: 'line' | 'dashed' | 'dots' | 'faint';
  /** Which of the palette's colours: 0 … 3. */
  readonly color?: number;
}

const [HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [260, 52, 14, 26, 40];
/** Of the picture, and about how many numbers stand at an axis. */
const [WIDTH, NARROW_WIDTH, TICKS] = [640, 330, 5];

export function Plot({
  x,
  curves,
  label,
  xLabel,
  yLabel,
  mark,
}: {
  readonly x: X;
  readonly curves: readonly Curve[];
  readonly label: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly mark?: readonly [number, number] | null;
}) {
  const all = curves.flatMap(({ points }) => points).filter((point) => point.every(Number.isFinite));
  if (all.length === 0) return <p class="waiting">…</p>;
  const [xTicks, yTicks] = [ticksOf(all.map(([x]) => x)), ticksOf(all.map(([, y]) => y))];
  const [x0, x1] = range(all.map(([x]) => x));
  const [y0, y1] = [yTicks[0]!, yTicks.at(-1)!];
  const width = x.world.isNarrow() ? NARROW_WIDTH : WIDTH;
  const px = (at: number) => LEFT + ((at - x0) / (x1 - x0)) * (width - LEFT - RIGHT);
  const py = (y: number) => HEIGHT - BOTTOM - ((y - y0) / (y1 - y0)) * (HEIGHT - TOP - BOTTOM);
  return (
    <>
      <svg viewBox={`0 0 ${width} ${HEIGHT}`} class="plot" role="img" aria-label={label}>
        <g class="axis">
          {xTicks
            .filter((x) => x >= x0 && x <= x1)
            .map((x) => (
              <g key={x}>
                <line x1={px(x)} x2={px(x)} y1={HEIGHT - BOTTOM} y2={HEIGHT - BOTTOM + 4} />
                <text x={px(x)} y={HEIGHT - BOTTOM + 17} text-anchor="middle">
                  {tick(x)}
                </text>
              </g>
            ))}
          {yTicks.map((y) => (
            <g key={y}>
              <line x1={LEFT} x2={width - RIGHT} y1={py(y)} y2={py(y)} />
              <text x={LEFT - 6} y={py(y) + 4} text-anchor="end">
                {tick(y)}
              </text>
            </g>
          ))}
          {y0 < 0 && y1 > 0 && <line class="zero" x1={LEFT} x2={width - RIGHT} y1={py(0)} y2={py(0)} />}
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
              points={points
                .filter((point) => point.every(Number.isFinite))
                .map(([x, y]) => `${px(x).toFixed(1)},${py(y).toFixed(1)}`)
                .join(' ')}
            />
          ),
        )}
        {mark && <circle class="mark" cx={px(mark[0])} cy={py(mark[1])} r={6} />}
        <text class="axis-name" x={(LEFT + width - RIGHT) / 2} y={HEIGHT - 6} text-anchor="middle">
          {xLabel}
        </text>
        <text class="axis-name" x={4} y={12}>
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
      <ValueTable
        t={x.t}
        title={x.t.points}
        columns={curves.flatMap(({ label, points }) => [
          [`${label}: ${xLabel}`, points.map(([x]) => x)] as const,
          [`${label}: ${yLabel}`, points.map(([, y]) => y)] as const,
        ])}
      />
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

/** Round numbers (1, 2 or 5 times a power of ten apart) from at or below the least value to at or above the largest. */
function ticksOf(values: readonly number[]): number[] {
  const [low, high] = range(values);
  const rough = (high - low) / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((each) => each * power >= rough) ?? 10);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}
