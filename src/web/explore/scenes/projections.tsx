import { Missing, useAsked } from '../asked.tsx';
import { Figure } from '../figures/figure.tsx';
import { Groups } from '../figures/groups.tsx';
import { Strip } from '../figures/heat.tsx';
import { Count, Made, Num, rowOf } from '../num.tsx';
import { Traced } from '../traced.tsx';
import { tokenAt, type X } from '../x.ts';

const matrices = {
  q: { name: 'queriesPlain', weight: 'wq_QD', heads: 'headCount' },
  k: { name: 'keysPlain', weight: 'wk_PD', heads: 'kvHeadCount' },
  v: { name: 'values', weight: 'wv_PD', heads: 'kvHeadCount' },
} as const;

export function ProjectionsScene({ x }: { readonly x: X }) {
  const { t, w, block, query, state, set, model } = x;
  const { config } = model.facts;
  const which = state.choice === 'k' || state.choice === 'v' ? state.choice : 'q';
  const { name, weight, heads } = matrices[which];
  const E = config.headSize;
  const input = `blocks.${block}.attention.input`;
  const output = `blocks.${block}.attention.${name}`;
  const column = Math.max(0, Math.min(config[heads] * E - 1, state.column));
  const parameter = `blocks.${block}.${weight}`;
  const matrixRow = useAsked(`${x.serial} ${parameter} ${column}`, () =>
    x.model.parameterRows(parameter, column, column + 1),
  );
  const row_D = matrixRow.value;
  return (
    <>
      <p class="dials">
        <label>
          {t.matrix}
          <select value={which} onChange={(event) => set({ choice: event.currentTarget.value })}>
            {(Object.keys(matrices) as (keyof typeof matrices)[]).map((key) => (
              <option key={key} value={key}>
                {key.toUpperCase()} = x · {matrices[key].weight}ᵀ
              </option>
            ))}
          </select>
        </label>
      </p>
      <Traced x={x} names={[input, output]} rows={[query]}>
        {(traces, shown) => {
          const row = shown.query;
          const x_D = rowOf(traces.get(input), 0);
          const y_O = rowOf(traces.get(output), 0);
          const products = row_D && x_D.map((value, i) => value * row_D[i]!);
          return (
            <>
              <Figure
                x={x}
                title={`“${tokenAt(shown, row)}”: ${output}, ${config[heads]} × E = ${E}`}
                traces={traces}
                slice={{ rows: [row] }}
              >
                <Strip
                  values={y_O}
                  wide={E}
                  names={Array.from({ length: config[heads] }, (_, h) => `${which}${h}`)}
                  label={w.scenes.projections.what}
                  chosen={column}
                  onChoose={(chosen) => set({ column: chosen, head: Math.floor(chosen / E) })}
                />
                <p class="reading">
                  {w.head} <Count value={Math.floor(column / E)} />, {w.column} <Count value={column % E} />:{' '}
                  <Num name={output} at={[row, column]} value={y_O[column] ?? Number.NaN} />
                </p>
              </Figure>
              <Figure
                x={x}
                title={t.cellIs}
                values={
                  products
                    ? [
                        [input, x_D],
                        [`${parameter}[${column}]`, row_D!],
                        [t.product, products],
                      ]
                    : [[input, x_D]]
                }
              >
                <h4>
                  {t.inputRow} ({input})
                </h4>
                <Strip values={x_D} label={t.inputRow} />
                <h4>
                  × {t.weightRow} ({parameter}[{column}])
                </h4>
                {products ? (
                  <>
                    <Strip values={row_D!} label={t.weightRow} />
                    <h4>=</h4>
                    <Strip values={products} label={t.cellIs} />
                    <p class="reading">
                      {t.sum}{' '}
                      <Made
                        by={`Σ ${input}[${row}] · ${parameter}[${column}]`}
                        value={products.reduce((a, b) => a + b, 0)}
                      />{' '}
                      · {t.printed} <Num name={output} at={[row, column]} value={y_O[column] ?? Number.NaN} />{' '}
                      <small>({t.rounding})</small>
                    </p>
                  </>
                ) : (
                  <Missing asked={matrixRow} />
                )}
              </Figure>
            </>
          );
        }}
      </Traced>
      <Figure x={x} title={t.queriesShare}>
        <Groups
          heads={config.headCount}
          groups={config.kvHeadCount}
          query="q"
          keys="k"
          label={`${t.queriesShare}: H = ${config.headCount}, K = ${config.kvHeadCount}`}
        />
        <p>
          H = <Count value={config.headCount} />, K = <Count value={config.kvHeadCount} />
        </p>
      </Figure>
    </>
  );
}
