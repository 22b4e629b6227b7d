import { lengthOf } from '../../../explorer/numbers.ts';
import { batchNorm } from '../../../kernels/batch-norm/reference.ts';
import { layerNorm } from '../../../kernels/layer-norm/reference.ts';
import { rmsNorm } from '../../../kernels/rms-norm/reference.ts';
import { Bars } from '../figures/bars.tsx';
import { Figure } from '../figures/figure.tsx';
import { largest, Strip } from '../figures/heat.tsx';
import { Count, Made, Num, rowOf } from '../num.tsx';
import { Traced } from '../traced.tsx';
import { tokenAt, type X } from '../x.ts';

const kinds = ['rmsNorm', 'layerNorm', 'batchNorm'] as const;

export function NormsScene({ x }: { readonly x: X }) {
  const { t, w, block, query, state, set } = x;
  const [before, after] = [`hidden.${block}`, `blocks.${block}.attention.input`];
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
              {kinds.map((kind) => (
                <div key={kind}>
                  <h4>
                    {kind} ({kind === 'batchNorm' ? `${t.overColumn}, N = ${N}` : t.overRow})
                  </h4>
                  <Strip
                    values={rowAt(norms[kind], row, x_D.length)}
                    most={largest(norms.rmsNorm)}
                    label={`${kind} ${t.after}`}
                  />
                </div>
              ))}
            </Figure>
          </>
        );
      }}
    </Traced>
  );
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
