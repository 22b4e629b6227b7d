import { useEffect, useRef, useState } from 'preact/hooks';
import type { Factory, FactoryNorm, FactoryState } from '../../../explorer/factory.ts';
import { Figure } from '../figures/figure.tsx';
import { Plot } from '../figures/plot.tsx';
import { Count, Made } from '../num.tsx';
import type { Strings } from '../strings.ts';
import type { X } from '../x.ts';

const BINS = 40;
/** So many are taken at once, that there is a curve to look at. */
const FIRST_STEPS = 12;
const [LOW, HIGH] = [-6, 6];

const factoryNorms = ['none', 'batch', 'layer', 'rms'] as const satisfies readonly FactoryNorm[];

type Runs = Readonly<Record<FactoryNorm, readonly FactoryState[]>>;
const empty: Runs = { none: [], batch: [], layer: [], rms: [] };

export function FactoryScene({ x }: { readonly x: X }) {
  const { t, state, set, world } = x;
  const rate = state.factor === 1 ? 0.02 : state.factor;
  const seed = Math.max(0, state.seed);
  const factories = useRef<Readonly<Record<FactoryNorm, Factory>> | null>(null);
  const [runs, setRuns] = useState<Runs>(empty);
  const [running, setRunning] = useState(false);
  const begin = async () => {
    // The tape and its device are fetched where they are used only.
    const { Factory } = await import('../../../explorer/factory.ts');
    factories.current = Object.fromEntries(factoryNorms.map((norm) => [norm, new Factory(norm, seed)])) as Record<
      FactoryNorm,
      Factory
    >;
    setRuns(empty);
  };
  const learn = async (steps: number) => {
    if (!factories.current) return;
    const made = Object.fromEntries(factoryNorms.map((norm) => [norm, [] as FactoryState[]])) as Record<
      FactoryNorm,
      FactoryState[]
    >;
    for (let i = 0; i < steps; i++)
      for (const norm of factoryNorms) made[norm].push(await factories.current![norm].learn(rate));
    setRuns(
      (before) =>
        Object.fromEntries(factoryNorms.map((norm) => [norm, [...before[norm], ...made[norm]]])) as unknown as Runs,
    );
  };
  useEffect(() => {
    void begin().then(() => learn(FIRST_STEPS));
  }, [seed]);
  useEffect(() => {
    if (!running) return;
    return world.after(60, () => void learn(2));
  });
  const count = runs.none.length;
  return (
    <>
      <p class="dials">
        <button type="button" onClick={() => setRunning(!running)}>
          {running ? `⏸ ${t.pause}` : `▶ ${t.run}`}
        </button>
        <button type="button" class="plain" onClick={() => void learn(1)}>
          {t.step}
        </button>
        <button
          type="button"
          class="plain"
          onClick={() => {
            setRunning(false);
            void begin().then(() => learn(FIRST_STEPS));
          }}
        >
          {t.reset}
        </button>
        <label>
          {t.rate} {rate}
          <input
            type="range"
            min={0.005}
            max={0.1}
            step={0.005}
            value={rate}
            onInput={(event) => set({ factor: Number(event.currentTarget.value) })}
          />
        </label>
        <label>
          {t.seed} {seed}
          <input
            type="range"
            min={1}
            max={20}
            value={seed}
            onInput={(event) => set({ seed: Number(event.currentTarget.value) })}
          />
        </label>
        <span>
          {t.step} <Count value={count} />
        </span>
      </p>
      {count > 0 && (
        <>
          <Figure
            x={x}
            title={t.factory}
            values={factoryNorms.map((norm) => [norm === 'none' ? t.none : norm, runs[norm].at(-1)!.received] as const)}
          >
            <Line t={t} isNarrow={world.isNarrow()} />
            <div class="histograms">
              {factoryNorms.map((norm) => (
                <div key={norm}>
                  <h4>{norm === 'none' ? t.none : norm}</h4>
                  <Histogram now={runs[norm].at(-1)!} first={runs[norm][0]!} label={`${norm}: ${t.received}`} />
                  <p class="reading">
                    {t.loss} <Made by={`loss of ${norm} at step ${count}`} value={runs[norm].at(-1)!.loss} />
                    <br />
                    {t.drift}{' '}
                    <Made
                      by={`mean now − mean at step 1, ${norm}`}
                      value={runs[norm].at(-1)!.mean - runs[norm][0]!.mean}
                    />
                  </p>
                </div>
              ))}
            </div>
            <p class="legend">
              <span class="c0 dots">{t.now(count)}</span>
              <span class="c1 dashed">{t.atFirst}</span>
            </p>
          </Figure>
          <Figure x={x} title={t.loss}>
            <Plot
              x={x}
              label={t.loss}
              xLabel={t.step}
              yLabel={`ln ${t.loss}`}
              curves={factoryNorms.map((norm, color) => ({
                label: norm === 'none' ? t.none : norm,
                points: runs[norm].map(({ step, loss }) => [step, Math.log(Math.max(1e-6, loss))] as const),
                color,
                kind: norm === 'none' ? 'dashed' : 'line',
              }))}
            />
          </Figure>
        </>
      )}
    </>
  );
}

/** The factory: what goes from whom to whom, and where the norm stands; on a phone from above to below. */
function Line({ t, isNarrow }: { readonly t: Strings; readonly isNarrow: boolean }) {
  const stations = [t.stations.input, t.stations.hardware, t.stations.norm, t.stations.software, t.stations.boss];
  const [wide, high, gap] = isNarrow ? [150, 46, 22] : [118, 48, 26];
  const [left, top] = isNarrow ? [90, 1] : [1, 6];
  const at = (i: number) =>
    (isNarrow ? [left, top + i * (high + gap)] : [left + i * (wide + gap), top]) as [number, number];
  const [end, bottom] = at(stations.length - 1);
  const [receiverX, receiverY] = at(3);
  return (
    <div class="wide">
      <svg
        viewBox={isNarrow ? `0 0 330 ${bottom + high + 1}` : `0 0 ${end + wide + 1} 78`}
        class="factory-line"
        role="img"
        aria-label={stations.join(' → ')}
      >
        <defs>
          <marker id="belt" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
            <path d="M0 0L8 4L0 8z" />
          </marker>
        </defs>
        {stations.map((station, i) => {
          const [title, what] = station.split(': ') as [string, string];
          const [x, y] = at(i);
          const middle = x + wide / 2;
          const belt = isNarrow ? `M${middle} ${y - gap + 3}V${y - 3}` : `M${x - gap + 2} 30H${x - 4}`;
          return (
            <g key={station} class={i === 2 ? 'norm' : ''}>
              <rect x={x} y={y} width={wide} height={high} rx={8} />
              <text x={middle} y={y + 21} text-anchor="middle">
                {title}
              </text>
              <text class="small" x={middle} y={y + 37} text-anchor="middle">
                {what}
              </text>
              {i > 0 && <path d={belt} marker-end="url(#belt)" />}
            </g>
          );
        })}
        {isNarrow ? (
          <text class="small" x={receiverX + wide / 2 + 12} y={receiverY - gap / 2 + 4}>
            ← {t.received}
          </text>
        ) : (
          <text class="small" x={receiverX - gap / 2} y={72} text-anchor="middle">
            ↑ {t.received}
          </text>
        )}
      </svg>
    </div>
  );
}

function Histogram({
  now,
  first,
  label,
}: {
  readonly now: FactoryState;
  readonly first: FactoryState;
  readonly label: string;
}) {
  const [a, b] = [now, first].map(({ received }) => {
    const bins = new Array<number>(BINS).fill(0);
    for (const value of received)
      bins[Math.max(0, Math.min(BINS - 1, Math.floor(((value - LOW) / (HIGH - LOW)) * BINS)))]!++;
    return bins;
  }) as [number[], number[]];
  const most = Math.max(...a, ...b);
  const points = b
    .map((value, i) => `${i * 6},${100 - (value / most) * 96} ${(i + 1) * 6},${100 - (value / most) * 96}`)
    .join(' ');
  return (
    <svg viewBox={`0 0 ${BINS * 6} 112`} class="histogram" role="img" aria-label={label}>
      {a.map((value, i) => (
        <rect key={i} class="c0" x={i * 6 + 0.5} width={5} y={100 - (value / most) * 96} height={(value / most) * 96} />
      ))}
      <polyline class="curve dashed c1" points={points} />
      <text x={0} y={111}>
        {LOW}
      </text>
      <text x={BINS * 3} y={111} text-anchor="middle">
        0
      </text>
      <text x={BINS * 6} y={111} text-anchor="end">
        {HIGH}
      </text>
    </svg>
  );
}
