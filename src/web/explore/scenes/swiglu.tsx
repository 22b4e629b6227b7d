import { lengthOf } from '../../../explorer/numbers.ts';
import { geluExact, geluTanh, silu } from '../../../kernels/activation/reference.ts';
import { linear } from '../../../kernels/linear/reference.ts';
import { isGated } from '../../../model/config.ts';
import { Missing, useAsked } from '../asked.tsx';
import { Bars } from '../figures/bars.tsx';
import { Figure } from '../figures/figure.tsx';
import { largest, Strip } from '../figures/heat.tsx';
import { type Curve, Plot } from '../figures/plot.tsx';
import { Count, Made, Num, rowOf } from '../num.tsx';
import { Traced } from '../traced.tsx';
import { tokenAt, type X } from '../x.ts';

/** The gates of Shazeer 2020, by the functions of the kernels' references. */
const gates: Readonly<Record<string, (x: number) => number>> = {
  swish: silu,
  relu: (x) => Math.max(0, x),
  gelu: geluExact,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
};
const ownGate = { swiglu: silu, geglu: geluExact, 'geglu-tanh': geluTanh } as const;
/** Weights of the last matrix that are fetched for the comparison, at most. */
const MOST_WEIGHTS = 1 << 22;

export function SwigluScene({ x }: { readonly x: X }) {
  const { t, w, block, query, state, set, model } = x;
  const { config } = model.facts;
  const part = (name: string) => `blocks.${block}.feedForward.${name}`;
  // gpt-oss bends both inputs: its numbers are shown, but no curve.
  const gated = isGated(config.activation) && config.swigluLimit === null;
  /** Rows of a token: one for each expert that it goes through; the first of them is shown. */
  const rowsEach = config.experts?.used ?? 1;
  const names = [...(gated ? [part('gate')] : []), part('up'), part('hidden'), part('output')];
  const chosen = Object.hasOwn(gates, state.choice) ? state.choice : 'relu';
  return (
    <Traced x={x} names={names} rows={[query]}>
      {(traces, shown) => {
        const row = shown.query;
        const at = row * rowsEach;
        const up = rowOf(traces.get(part('up')), 0);
        const hidden = rowOf(traces.get(part('hidden')), 0);
        const column = Math.max(0, Math.min(up.length - 1, state.column));
        if (!gated) {
          return (
            <Figure x={x} title={config.activation} traces={traces} slice={{ rows: [row] }}>
              {isUngated(config.activation) && (
                <Plot
                  x={x}
                  label={config.activation}
                  xLabel="up"
                  yLabel={t.passes}
                  mark={[up[column]!, hidden[column]!]}
                  curves={[
                    { label: config.activation, points: curveOf(gates[config.activation]!, up), color: 0 },
                    {
                      label: 'up',
                      points: Array.from(up, (value, i) => [value, hidden[i]!] as const),
                      kind: 'dots',
                      color: 2,
                    },
                  ]}
                />
              )}
              <Strip values={hidden} label={part('hidden')} chosen={column} onChoose={(column) => set({ column })} />
              <p class="reading">
                {w.column} <Count value={column} />:{' '}
                <Num name={part('hidden')} at={[at, column]} value={hidden[column]!} />
              </p>
            </Figure>
          );
        }
        const gate = rowOf(traces.get(part('gate')), 0);
        const own = ownGate[config.activation as keyof typeof ownGate];
        const order = Array.from(hidden.keys()).sort((a, b) => Math.abs(hidden[b]!) - Math.abs(hidden[a]!));
        const curve = (f: (x: number) => number) => curveOf(f, gate);
        return (
          <>
            <Figure
              x={x}
              title={`“${tokenAt(shown, row)}”: ${w.block} ${block}, F = ${up.length}${rowsEach > 1 ? `, ${t.expert} 1 / ${rowsEach}` : ''}`}
              traces={traces}
              slice={{ rows: [row] }}
            >
              <Plot
                x={x}
                label={w.scenes.swiglu.what}
                xLabel={t.gateOf}
                yLabel={t.passes}
                mark={[gate[column]!, own(gate[column]!)]}
                curves={[
                  { label: config.activation === 'swiglu' ? 'swish' : 'gelu', points: curve(own), color: 0 },
                  ...Object.entries(gates)
                    .filter(([, f]) => f !== own)
                    .map(([name, f]) => ({
                      label: name,
                      points: curve(f),
                      kind: name === chosen ? ('dashed' as const) : ('faint' as const),
                      color: name === chosen ? 1 : 3,
                    })),
                  {
                    label: t.gateOf,
                    points: Array.from(gate, (value) => [value, own(value)] as const),
                    kind: 'dots',
                    color: 2,
                  },
                ]}
              />
              <p class="reading big">
                {w.column} <Count value={column} />: f(
                <Num name={part('gate')} at={[at, column]} value={gate[column]!} />) ={' '}
                <Made by={`f(${part('gate')}[${at},${column}])`} value={own(gate[column]!)} /> · up{' '}
                <Num name={part('up')} at={[at, column]} value={up[column]!} /> ={' '}
                <Num name={part('hidden')} at={[at, column]} value={hidden[column]!} />
              </p>
              {(
                [
                  ['gate', gate],
                  ['up', up],
                  ['hidden', hidden],
                ] as const
              ).map(([name, values]) => (
                <div key={name}>
                  <h4>{name}</h4>
                  <Strip
                    values={values}
                    wide={88}
                    most={name === 'hidden' ? largest(hidden) : 3}
                    label={part(name)}
                    chosen={column}
                    onChoose={(column) => set({ column })}
                  />
                </div>
              ))}
            </Figure>
            <Figure x={x} title={t.strongest}>
              <Bars
                label={t.strongest}
                sums
                rows={order.slice(0, 8).map((each) => ({
                  key: String(each),
                  label: `${w.column} ${each}`,
                  share: Math.abs(hidden[each]!) / Math.abs(hidden[order[0]!]!),
                  kind: hidden[each]! < 0 ? 'below' : 'plain',
                  value: (
                    <>
                      <Num name={part('gate')} at={[at, each]} value={gate[each]!} /> ·{' '}
                      <Num name={part('up')} at={[at, each]} value={up[each]!} /> →{' '}
                      <Num name={part('hidden')} at={[at, each]} value={hidden[each]!} />
                    </>
                  ),
                  onClick: () => set({ column: each }),
                }))}
              />
            </Figure>
            <Figure x={x} title={t.swap}>
              <p class="dials">
                <select
                  aria-label={t.swap}
                  value={chosen}
                  onChange={(event) => set({ choice: event.currentTarget.value })}
                >
                  {Object.keys(gates).map((name) => (
                    <option key={name} value={name}>
                      {name}
                    </option>
                  ))}
                </select>
              </p>
              <Swapped
                x={x}
                gate={gate}
                up={up}
                output={rowOf(traces.get(part('output')), 0)}
                own={own}
                other={gates[chosen]!}
                name={chosen}
                row={row}
              />
              <p class="formula-line">
                F / D = <Made by="F / D" value={config.ffnWidth / config.width} />, 8/3 ={' '}
                <Made by="8/3" value={8 / 3} />
              </p>
            </Figure>
          </>
        );
      }}
    </Traced>
  );
}

const isUngated = (activation: string) => activation === 'relu' || activation === 'gelu';

/** A function as far as these numbers reach. */
function curveOf(f: (x: number) => number, values: Float32Array): Curve['points'] {
  const reach = Math.max(3, ...Array.from(values, Math.abs));
  return Array.from({ length: 81 }, (_, i) => [((i - 40) / 40) * reach, f(((i - 40) / 40) * reach)] as const);
}

function Swapped({
  x,
  gate,
  up,
  output,
  own,
  other,
  name,
  row,
}: {
  x: X;
  gate: Float32Array;
  up: Float32Array;
  output: Float32Array;
  own: (x: number) => number;
  other: (x: number) => number;
  name: string;
  row: number;
}) {
  const { width: D, ffnWidth: F, feedForwardBias } = x.model.facts.config;
  const name_DF = `blocks.${x.block}.wDown_DF`;
  const isAsked = Object.hasOwn(x.model.facts.dtypeOf, name_DF) && D * F <= MOST_WEIGHTS && !feedForwardBias;
  const down = useAsked(isAsked ? `${x.serial} ${x.block}` : null, () => x.model.parameterRows(name_DF, 0, D));
  const hidden = (f: (x: number) => number) => Float64Array.from(gate, (value, i) => f(value) * up[i]!);
  const [a, b] = [hidden(own), hidden(other)];
  const far = (from: ArrayLike<number>, to: ArrayLike<number>) =>
    lengthOf(Array.from(from, (value, i) => to[i]! - value)) / (lengthOf(from) || 1);
  if (isAsked && down.value === null) return <Missing asked={down} />;
  const w_DF = down.value;
  if (w_DF === null)
    return (
      <p>
        |hidden′ − hidden| / |hidden| = <Made by={`hidden with ${name}`} value={far(a, b)} form="share" />
      </p>
    );
  const project = (hidden_F: Float64Array) => {
    const y_D = new Float64Array(D);
    linear(y_D, hidden_F, w_DF, null, F);
    return y_D;
  };
  return (
    <p class="reading">
      {x.t.movesBy}{' '}
      <Made
        by={`|output[${row}] with ${name} − output[${row}]| / |output[${row}]|`}
        value={far(project(a), project(b))}
        form="share"
      />{' '}
      ({x.w.length} <Made by="|output|, computed here without rounding" value={lengthOf(project(a))} /> →{' '}
      <Made by={`|output| with ${name}`} value={lengthOf(project(b))} />; {x.t.printed}:{' '}
      <Made by="|feedForward.output|" value={lengthOf(output)} />)
    </p>
  );
}
