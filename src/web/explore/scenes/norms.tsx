import { lengthOf } from '../../../explorer/numbers.ts';
import { batchNorm } from '../../../kernels/batch-norm/reference.ts';
import { layerNorm } from '../../../kernels/layer-norm/reference.ts';
import { rmsNorm } from '../../../kernels/rms-norm/reference.ts';
import type { LlamaConfig } from '../../../model/config.ts';
import { type Asked, Missing, useAsked } from '../asked.tsx';
import { Bars } from '../figures/bars.tsx';
import { Figure } from '../figures/figure.tsx';
import { largest, Strip } from '../figures/heat.tsx';
import { Count, Made, Num, rowOf } from '../num.tsx';
import { Traced } from '../traced.tsx';
import { tokenAt, type X } from '../x.ts';

const kinds = ['rmsNorm', 'layerNorm', 'batchNorm'] as const;

/** The norm that the scene shows: the one before attention; of a model whose norms stand behind the sums, that of the first sum. */
function placesOf({ normPlacement }: LlamaConfig, block: number): readonly [before: string, after: string] {
  return normPlacement === 'before' || normPlacement === 'both'
    ? [`hidden.${block}`, `blocks.${block}.attention.input`]
    : [`hidden.${block}`, `blocks.${block}.afterAttention`];
}

export function NormsScene({ x }: { readonly x: X }) {
  const { t, w, block, query, state, set } = x;
  const { config } = x.model.facts;
  const [before, after] = placesOf(config, block);
  const gain = useGain(x, `blocks.${block}.attnNorm_D`);
  const gain_D = gain.value;
  return (
    <Traced x={x} names={[before, after]}>
      {(traces, shown) => {
        const row = Math.min(query, shown.ids.length - 1);
        const [x_D, y_D] = [rowOf(traces.get(before), row), rowOf(traces.get(after), row)];
        const column = Math.max(0, Math.min(x_D.length - 1, state.column));
        const stats = statistics(x_D);
        const N = shown.ids.length;
        const norms = normsOf(traces.get(before).data, N, x.model.facts.config.normEps);
        const c = state.factor === 1 ? 2 : state.factor;
        const changed = {
          multiplied: normsOf(
            traces.get(before).data.map((value) => value * c),
            N,
            x.model.facts.config.normEps,
          ),
          // In units of the row's own size, so that it is seen.
          shifted: normsOf(
            traces.get(before).data.map((value) => value + c * stats.rms),
            N,
            x.model.facts.config.normEps,
          ),
        };
        const moved = (how: keyof typeof changed, kind: keyof typeof norms) => {
          const [a, b] = [rowAt(norms[kind], row, x_D.length), rowAt(changed[how][kind], row, x_D.length)];
          return lengthOf(a.map((value, i) => b[i]! - value)) / (lengthOf(a) || 1);
        };
        const most = Math.max(largest(x_D), largest(y_D));
        const choose = (chosen: number) => set({ column: chosen });
        return (
          <>
            <Figure x={x} title={`“${tokenAt(shown, row)}”: ${before} → ${after}`} traces={traces}>
              <h4>{t.before}</h4>
              <Strip
                values={x_D}
                most={most}
                label={`${before}: ${t.rms} ${stats.rms.toPrecision(3)}`}
                chosen={column}
                onChoose={choose}
              />
              <h4>{t.after}</h4>
              <Strip
                values={y_D}
                most={most}
                label={`${after}: ${t.rms} ${statistics(y_D).rms.toPrecision(3)}`}
                chosen={column}
                onChoose={choose}
              />
              {gain.trouble !== '' && <Missing asked={gain} />}
              {gain_D?.length === x_D.length && (
                <>
                  <h4>
                    {t.gain} − 1 (blocks.{block}.attnNorm_D)
                  </h4>
                  <Strip
                    values={gain_D!.map((gain) => gain - 1)}
                    label={`${t.gain} − 1: blocks.${block}.attnNorm_D`}
                    chosen={column}
                    onChoose={choose}
                  />
                </>
              )}
              <div class="wide">
                <table>
                  <thead>
                    <tr>
                      <td />
                      <th scope="col">{t.rms}</th>
                      <th scope="col">{t.mean}</th>
                      <th scope="col">{t.deviation}</th>
                      <th scope="col">
                        {w.column} <Count value={column} />
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {(
                      [
                        [t.before, before, x_D],
                        [t.after, after, y_D],
                      ] as const
                    ).map(([label, name, values]) => {
                      const { rms, mean, deviation } = statistics(values);
                      return (
                        <tr key={name}>
                          <th scope="row">{label}</th>
                          <td>
                            <Made by={`√mean(${name}[${row}]²)`} value={rms} />
                          </td>
                          <td>
                            <Made by={`mean(${name}[${row}])`} value={mean} />
                          </td>
                          <td>
                            <Made by={`deviation(${name}[${row}])`} value={deviation} />
                          </td>
                          <td>
                            <Num name={name} at={[row, column]} value={values[column]!} />
                          </td>
                        </tr>
                      );
                    })}
                  </tbody>
                </table>
              </div>
            </Figure>
            <Figure x={x} title={t.moves}>
              <p class="dials">
                <label>
                  c = {c}
                  <input
                    type="range"
                    min={0.25}
                    max={4}
                    step={0.25}
                    value={c}
                    onInput={(event) => set({ factor: Number(event.currentTarget.value) })}
                  />
                </label>
              </p>
              {(['multiplied', 'shifted'] as const).map((how) => (
                <div key={how}>
                  <h4>{how === 'multiplied' ? t.multiplied : t.shifted}</h4>
                  <Bars
                    label={how === 'multiplied' ? t.multiplied : t.shifted}
                    rows={kinds.map((kind) => ({
                      key: kind,
                      label: kind,
                      share: moved(how, kind) / 1.5,
                      kind: kind === 'rmsNorm' ? 'chosen' : 'plain',
                      value: (
                        <Made
                          by={`|${kind}(${how}) − ${kind}(x)| / |${kind}(x)|`}
                          value={Number(moved(how, kind).toFixed(3))}
                        />
                      ),
                    }))}
                  />
                </div>
              ))}
            </Figure>
            <Figure
              x={x}
              title={t.sameNumbers}
              values={kinds.map((kind) => [kind, rowAt(norms[kind], row, x_D.length)] as const)}
            >
              {kinds.map((kind) => (
                <div key={kind} class="norm-kind">
                  <Cells kind={kind} label={`${kind}: ${kind === 'batchNorm' ? t.overColumn : t.overRow}`} />
                  <div>
                    <h4>
                      {kind} ({kind === 'batchNorm' ? `${t.overColumn}, N = ${N}` : t.overRow})
                    </h4>
                    <Strip
                      values={rowAt(norms[kind], row, x_D.length)}
                      most={largest(norms.rmsNorm)}
                      label={`${kind} ${t.after}`}
                    />
                  </div>
                </div>
              ))}
            </Figure>
          </>
        );
      }}
    </Traced>
  );
}

/** Which cells of N rows and D columns one number is divided by: its row, or its column. */
function Cells({ kind, label }: { readonly kind: (typeof kinds)[number]; readonly label: string }) {
  const [rows, columns, size] = [5, 8, 13];
  const isMarked = (r: number, c: number) => (kind === 'batchNorm' ? c === 3 : r === 2);
  return (
    <svg viewBox={`0 0 ${columns * size + 22} ${rows * size + 18}`} class="cells" role="img" aria-label={label}>
      {Array.from({ length: rows * columns }, (_, i) => {
        const [r, c] = [Math.floor(i / columns), i % columns];
        return (
          <rect
            key={i}
            class={isMarked(r, c) ? 'marked' : ''}
            x={c * size + 20}
            y={r * size + 1}
            width={size - 2}
            height={size - 2}
            rx={2}
          />
        );
      })}
      <text x={8} y={(rows * size) / 2 + 4} text-anchor="middle">
        N
      </text>
      <text x={(columns * size) / 2 + 20} y={rows * size + 14} text-anchor="middle">
        D
      </text>
    </svg>
  );
}

/** The learned gain of a norm, where it is a parameter of this model. */
function useGain(x: X, name: string): Asked<Float32Array> {
  const isThere = Object.hasOwn(x.model.facts.dtypeOf, name);
  return useAsked(isThere ? `${x.serial} ${name}` : null, () => x.model.parameterRows(name, 0, 1));
}

function rowAt(values: Float32Array, row: number, columns: number): Float32Array {
  return values.slice(row * columns, (row + 1) * columns);
}

export function statistics(values: ArrayLike<number>): { rms: number; mean: number; deviation: number } {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    sum += values[i]!;
    squares += values[i]! ** 2;
  }
  const mean = sum / values.length;
  return {
    rms: Math.sqrt(squares / values.length),
    mean,
    deviation: Math.sqrt(Math.max(0, squares / values.length - mean ** 2)),
  };
}

/** The same rows under the three norms, without learned gains and shifts. */
function normsOf(x_ND: Float32Array, N: number, eps: number) {
  const D = x_ND.length / N;
  const [ones, zeros] = [new Float32Array(D).fill(1), new Float32Array(D)];
  const made = {
    rmsNorm: new Float32Array(x_ND.length),
    layerNorm: new Float32Array(x_ND.length),
    batchNorm: new Float32Array(x_ND.length),
  };
  rmsNorm(made.rmsNorm, x_ND, ones, eps);
  layerNorm(made.layerNorm, x_ND, ones, zeros, eps);
  const statistics = { mean_D: new Float32Array(D), variance_D: new Float32Array(D), momentum: 0, training: true };
  batchNorm(made.batchNorm, x_ND, ones, zeros, eps, statistics);
  return made;
}
