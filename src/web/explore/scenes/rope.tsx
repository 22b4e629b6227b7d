import type { RopeFrequencies } from '../../../kernels/ops.ts';
import { rope, rotation } from '../../../kernels/rope/reference.ts';
import { ropeFrequencies } from '../../../model/rope-frequencies.ts';
import { Figure } from '../figures/figure.tsx';
import { Heat } from '../figures/heat.tsx';
import { Plot } from '../figures/plot.tsx';
import { Count, Made, Num, rowOf } from '../num.tsx';
import { Traced } from '../traced.tsx';
import { tokenAt, type X } from '../x.ts';

export function RopeScene({ x }: { readonly x: X }) {
  const { t, w, block, head, query, state, set, model } = x;
  const { config } = model.facts;
  if (config.positions !== 'rope') return <p>{t.notRotated(config.positions)}</p>;
  const E = config.headSize;
  const frequencies = ropeFrequencies(config, model.facts.contextLength);
  const key = state.key < 0 ? Math.max(0, query - 3) : Math.min(state.key, query);
  const pair = Math.max(0, Math.min(E / 2 - 1, state.pair));
  const group = Math.floor((head * config.kvHeadCount) / config.headCount);
  const part = (name: string) => `blocks.${block}.attention.${name}`;
  const rows = [query, key];
  const shift = Math.max(1, state.shift || 5);
  return (
    <>
      <p class="dials">
        <label>
          {w.head}
          <input
            type="number"
            min={0}
            max={config.headCount - 1}
            value={head}
            onInput={(event) => set({ head: Number(event.currentTarget.value) || 0 })}
          />
        </label>
        <label>
          {w.pair} {pair}
          <input
            type="range"
            min={0}
            max={E / 2 - 1}
            value={pair}
            onInput={(event) => set({ pair: Number(event.currentTarget.value) })}
          />
        </label>
        <label>
          {w.key}
          <select value={String(key)} onChange={(event) => set({ key: Number(event.currentTarget.value) })}>
            {x.ids.slice(0, query + 1).map((_, place) => (
              <option key={place} value={String(place)}>
                {place} {tokenAt(x, place)}
              </option>
            ))}
          </select>
        </label>
        <label>
          {t.shiftBy} <strong>{shift}</strong>
          <input
            type="range"
            min={1}
            max={64}
            value={shift}
            onInput={(event) => set({ shift: Number(event.currentTarget.value) })}
          />
        </label>
      </p>
      <Traced
        x={x}
        names={[part('queriesPlain'), part('keysPlain'), part('queries'), part('keys'), part('scores')]}
        rows={rows}
        slice={{ heads: [head] }}
      >
        {(traces, shown) => {
          const q_E = rowOf(traces.get(part('queriesPlain')), 0).slice(head * E, (head + 1) * E);
          const k_E = rowOf(traces.get(part('keysPlain')), 1).slice(group * E, (group + 1) * E);
          const [qTurned, kTurned] = [turned(q_E, query, frequencies, E), turned(k_E, key, frequencies, E)];
          const [qShifted, kShifted] = [
            turned(q_E, query + shift, frequencies, E),
            turned(k_E, key + shift, frequencies, E),
          ];
          const scale = config.attentionScale ?? 1 / Math.sqrt(E);
          const dot = (a: Float64Array, b: Float64Array) => scale * a.reduce((sum, value, i) => sum + value * b[i]!, 0);
          const at = (values: ArrayLike<number>): [number, number] => [values[2 * pair]!, values[2 * pair + 1]!];
          const column = head * E + 2 * pair;
          const omega = frequencies.inverse[pair]!;
          return (
            <Figure
              x={x}
              title={`${w.pair} ${pair}: “${tokenAt(shown, query)}” (${w.query}, ${query}) · “${tokenAt(shown, key)}” (${w.key}, ${key})`}
              traces={traces}
              slice={{ rows, heads: [head] }}
            >
              <div class="planes">
                <Plane
                  label={t.before}
                  arrows={[
                    [at(q_E), w.query, 0],
                    [at(k_E), w.key, 1],
                  ]}
                />
                <Plane
                  label={`${t.after}: ${query} · ω, ${key} · ω`}
                  arrows={[
                    [at(qTurned), w.query, 0],
                    [at(kTurned), w.key, 1],
                  ]}
                  ghosts={[at(q_E), at(k_E)]}
                  arc
                />
                <Plane
                  label={`${t.bothBy(shift)}: ${query + shift} · ω, ${key + shift} · ω`}
                  arrows={[
                    [at(qShifted), w.query, 0],
                    [at(kShifted), w.key, 1],
                  ]}
                  ghosts={[at(qTurned), at(kTurned)]}
                  arc
                />
              </div>
              <p class="reading big">
                {t.between}: {t.after}{' '}
                <Made by="angle(q, k) after rotation" value={angleBetween(at(qTurned), at(kTurned))} />
                °, {t.bothBy(shift)}:{' '}
                <Made
                  by={`angle(q, k) after rotation by ${shift} more`}
                  value={angleBetween(at(qShifted), at(kShifted))}
                />
                °. {t.score}:{' '}
                <Num name={part('scores')} at={[head, query, key]} value={traces.get(part('scores')).data[key]!} /> →{' '}
                <Made
                  by={`rope(q, ${query}+${shift}) · rope(k, ${key}+${shift}) / √E`}
                  value={dot(qShifted, kShifted)}
                />
              </p>
              <div class="wide">
                <table>
                  <tbody>
                    <tr>
                      <th scope="row">{w.query}</th>
                      <td>
                        {t.before} <Num name={part('queriesPlain')} at={[query, column]} value={q_E[2 * pair]!} />,{' '}
                        <Num name={part('queriesPlain')} at={[query, column + 1]} value={q_E[2 * pair + 1]!} />
                      </td>
                      <td>
                        {t.after}{' '}
                        <Num
                          name={part('queries')}
                          at={[query, column]}
                          value={rowOf(traces.get(part('queries')), 0)[column]!}
                        />
                        ,{' '}
                        <Num
                          name={part('queries')}
                          at={[query, column + 1]}
                          value={rowOf(traces.get(part('queries')), 0)[column + 1]!}
                        />
                      </td>
                      <td>
                        {t.angle} = <Count value={query} /> · ω ={' '}
                        <Made by={`position · ω[${pair}]`} value={query * omega} /> rad
                      </td>
                    </tr>
                  </tbody>
                </table>
              </div>
            </Figure>
          );
        }}
      </Traced>
      <Figure
        x={x}
        title={`${t.clocks}: “${tokenAt(x, query)}”, ${t.position} ${query}`}
        values={[
          ['ω', frequencies.inverse],
          [`${t.angle} = ${query} · ω`, frequencies.inverse.map((omega) => query * omega)],
        ]}
      >
        <Clocks
          position={query}
          frequencies={frequencies}
          chosen={pair}
          onChoose={(pair) => set({ pair })}
          label={t.clocks}
          name={w.pair}
          isNarrow={x.world.isNarrow()}
        />
      </Figure>
      <Traced x={x} names={[part('scores')]} slice={{ heads: [head] }}>
        {(traces, shown) => {
          const means = byDistance(traces.get(part('scores')).data, shown.ids.length);
          const bounds = suBound(frequencies, means.length);
          const factor = Math.max(...means.filter(Number.isFinite).map(Math.abs)) / (bounds[0] || 1);
          return (
            <Figure x={x} title={t.meanScore} traces={traces} slice={{ heads: [head] }}>
              <Plot
                x={x}
                label={t.meanScore}
                xLabel={t.distance}
                yLabel={t.score}
                curves={[
                  { label: t.meanScore, points: means.map((mean, d) => [d, mean] as const), color: 0 },
                  {
                    label: t.bound,
                    points: bounds.map((bound, d) => [d, bound * factor] as const),
                    kind: 'dashed',
                    color: 1,
                  },
                ]}
              />
            </Figure>
          );
        }}
      </Traced>
      <Traced x={x} names={['rotation']} rows={[query]}>
        {(traces) => (
          <Figure x={x} title={t.rotationMatrix} traces={traces} slice={{ rows: [query] }}>
            <div class="rotation">
              <div>
                <Heat
                  rows={E}
                  columns={E}
                  values={rotationMatrix(traces.get('rotation').data, E)}
                  most={1}
                  square
                  cell={5}
                  label={t.rotationMatrix}
                />
              </div>
              <div>
                <h4>
                  {w.pair} {pair}: cos −sin / sin cos, {query} · ω
                </h4>
                <table>
                  <tbody>
                    <tr>
                      <td>
                        <Num name="rotation" at={[query, 2 * pair]} value={traces.get('rotation').data[2 * pair]!} />
                      </td>
                      <td>
                        <Made
                          by={`−rotation[${query}, ${2 * pair + 1}]`}
                          value={-traces.get('rotation').data[2 * pair + 1]!}
                        />
                      </td>
                    </tr>
                    <tr>
                      <td>
                        <Num
                          name="rotation"
                          at={[query, 2 * pair + 1]}
                          value={traces.get('rotation').data[2 * pair + 1]!}
                        />
                      </td>
                      <td>
                        <Num name="rotation" at={[query, 2 * pair]} value={traces.get('rotation').data[2 * pair]!} />
                      </td>
                    </tr>
                  </tbody>
                </table>
              </div>
            </div>
            <p>{t.valuesStay}</p>
          </Figure>
        )}
      </Traced>
    </>
  );
}

/** One head's vector at another position, by the reference kernels. */
function turned(plain_E: Float32Array, position: number, frequencies: RopeFrequencies, E: number): Float64Array {
  const [turns_E, y_E] = [new Float64Array(E), new Float64Array(E)];
  rotation(turns_E, Uint32Array.of(position), frequencies);
  rope(y_E, plain_E, turns_E, 1, E);
  return y_E;
}

type Arrow = readonly [to: readonly [number, number], name: string, color: number];

function Plane({
  label,
  arrows,
  ghosts = [],
  arc = false,
}: {
  readonly label: string;
  readonly arrows: readonly Arrow[];
  readonly ghosts?: readonly (readonly [number, number])[];
  /** The angle between the two is drawn. */
  readonly arc?: boolean;
}) {
  const most = Math.max(...arrows.map(([[a, b]]) => Math.hypot(a, b)), 1e-9);
  const to = ([a, b]: readonly [number, number]) => [110 + (a / most) * 92, 110 - (b / most) * 92] as const;
  return (
    <svg
      viewBox="-36 -6 292 256"
      class="plane"
      role="img"
      aria-label={`${label}: ${arrows.map(([[a, b], name]) => `${name} (${a.toFixed(2)}, ${b.toFixed(2)})`).join(', ')}`}
    >
      <line class="zero" x1={8} x2={212} y1={110} y2={110} />
      <line class="zero" x1={110} x2={110} y1={8} y2={212} />
      {arrows.map(([[a, b], name, color]) => (
        <circle key={name} class={`orbit c${color}`} cx={110} cy={110} r={(Math.hypot(a, b) / most) * 92} />
      ))}
      {arc && (
        <>
          <path class="arc" d={arcOf(arrows[0]![0], arrows[1]![0])} />
          <text
            class="degrees"
            {...besideArc(arrows[0]![0], arrows[1]![0])}
            text-anchor="middle"
            data-made="angle(q, k)"
          >
            {formatDegrees(angleBetween(arrows[0]![0], arrows[1]![0]))}
          </text>
        </>
      )}
      {ghosts.map((ghost, i) => {
        const [px, py] = to(ghost);
        return <line key={i === 0 ? 'q' : 'k'} class={`ghost c${i}`} x1={110} y1={110} x2={px} y2={py} />;
      })}
      {arrows.map(([point, name, color]) => {
        const [px, py] = to(point);
        return (
          <g key={name} class={`ray c${color}`}>
            <line x1={110} y1={110} x2={px} y2={py} />
            <circle cx={px} cy={py} r={4} />
            <text
              x={110 + (px - 110) * 1.04}
              y={110 + (py - 110) * 1.04 + nameShift(arrows, color)}
              text-anchor={px > 110 ? 'start' : 'end'}
              dx={px > 110 ? 6 : -6}
            >
              {name}
            </text>
          </g>
        );
      })}
      <text class="axis-name" x={110} y={240} text-anchor="middle">
        {label}
      </text>
    </svg>
  );
}

/** Names of arrows that point nearly the same way stand above and below each other. */
function nameShift(arrows: readonly Arrow[], color: number): number {
  const [[a], [b]] = arrows as [Arrow, Arrow];
  const apart = angleBetween(a, b);
  if (apart > 20 && apart < 340) return 4;
  const isLower = (color === 0 ? a : b)[1] < (color === 0 ? b : a)[1];
  return isLower ? 14 : -6;
}

/** 159.3° */
function formatDegrees(degrees: number): string {
  return `${degrees.toFixed(1)}°`;
}

function angleBetween([a, b]: readonly [number, number], [c, d]: readonly [number, number]): number {
  const turn = ((Math.atan2(b, a) - Math.atan2(d, c)) * 180) / Math.PI;
  return ((turn % 360) + 360) % 360;
}

/** From the key to the query, against the clock, around the middle of the plane. */
function arcOf(query: readonly [number, number], key: readonly [number, number]): string {
  const from = Math.atan2(key[1], key[0]);
  const turn = (angleBetween(query, key) * Math.PI) / 180;
  const at = (angle: number) => `${110 + 26 * Math.cos(angle)} ${110 - 26 * Math.sin(angle)}`;
  return `M${at(from)}A26 26 0 ${turn > Math.PI ? 1 : 0} 0 ${at(from + turn)}`;
}

/** Where the number of the angle stands: in the middle of the arc, outside of it. */
function besideArc(query: readonly [number, number], key: readonly [number, number]): { x: number; y: number } {
  const middle = Math.atan2(key[1], key[0]) + (angleBetween(query, key) * Math.PI) / 360;
  return { x: 110 + 52 * Math.cos(middle), y: 114 - 44 * Math.sin(middle) };
}

function Clocks({
  position,
  frequencies,
  chosen,
  onChoose,
  label,
  name,
  isNarrow,
}: {
  isNarrow: boolean;
  name: string;
  position: number;
  frequencies: RopeFrequencies;
  chosen: number;
  onChoose: (pair: number) => void;
  label: string;
}) {
  const { inverse } = frequencies;
  const across = Math.min(isNarrow ? 8 : 16, inverse.length);
  const down = Math.ceil(inverse.length / across);
  return (
    // biome-ignore lint/a11y/useSemanticElements: there are no fieldsets inside of a picture
    <svg viewBox={`0 0 ${across * 40} ${down * 52}`} class="clocks" role="group" aria-label={label}>
      {Array.from(inverse, (omega, pair) => {
        const [cx, cy] = [(pair % across) * 40 + 20, Math.floor(pair / across) * 52 + 20];
        const angle = position * omega;
        return (
          // biome-ignore lint/a11y/useSemanticElements: there are no buttons inside of a picture
          <g
            key={pair}
            class={`clock${pair === chosen ? ' current' : ''}`}
            role="button"
            tabIndex={pair === chosen ? 0 : -1}
            aria-pressed={pair === chosen}
            aria-label={`${name} ${pair}: ${angle.toFixed(2)} rad`}
            onClick={() => onChoose(pair)}
            onKeyDown={(event) => {
              const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
              if (by === undefined) return;
              event.preventDefault();
              const next = Math.max(0, Math.min(inverse.length - 1, pair + by));
              (event.currentTarget.parentNode!.children[next] as SVGElement).focus();
              onChoose(next);
            }}
          >
            <circle cx={cx} cy={cy} r={16} />
            <line x1={cx} y1={cy} x2={cx + 14 * Math.cos(angle)} y2={cy - 14 * Math.sin(angle)} />
            <text x={cx} y={cy + 28} text-anchor="middle">
              {pair}
            </text>
          </g>
        );
      })}
    </svg>
  );
}

/** Mean of the scores of all pairs of tokens so far apart; −∞ beyond a window. */
function byDistance(scores_NN: Float32Array, N: number): number[] {
  return Array.from({ length: N }, (_, distance) => {
    let sum = 0;
    for (let n = distance; n < N; n++) sum += scores_NN[n * N + n - distance]!;
    return sum / (N - distance);
  });
}

/** mean_j |Σ_{i<j} e^{i·d·ω}|: Su et al. 2021 §3.4.3. */
function suBound({ inverse }: RopeFrequencies, count: number): number[] {
  return Array.from({ length: count }, (_, distance) => {
    let [real, imaginary, sum] = [0, 0, 0];
    for (const omega of inverse) {
      real += Math.cos(distance * omega);
      imaginary += Math.sin(distance * omega);
      sum += Math.hypot(real, imaginary);
    }
    return sum / inverse.length;
  });
}

function rotationMatrix(rotation_E: Float32Array, E: number): Float32Array {
  const matrix = new Float32Array(E * E);
  for (let e = 0; e < E; e += 2) {
    const [cos, sin] = [rotation_E[e]!, rotation_E[e + 1]!];
    matrix[e * E + e] = cos;
    matrix[e * E + e + 1] = -sin;
    matrix[(e + 1) * E + e] = sin;
    matrix[(e + 1) * E + e + 1] = cos;
  }
  return matrix;
}
