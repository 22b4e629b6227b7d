/** The numbers of a figure as a table, by pages: for who does not see colours, and for who wants to know exactly. */
import { useState } from 'preact/hooks';
import type { TraceSlice } from '../../../inference/observe.ts';
import type { Traces } from '../../../inference/remote/traces.ts';
import { Made, Num } from '../num.tsx';

const [ROWS, COLUMNS] = [25, 10];

export function TraceTable({ traces, slice }: { readonly traces: Traces; readonly slice: TraceSlice }) {
  const names = [...traces.keys()];
  const [chosen, choose] = useState(names[0]!);
  const [[row, column], go] = useState<readonly [number, number]>([0, 0]);
  const name = names.includes(chosen) ? chosen : names[0]!;
  const { shape, data } = traces.get(name);
  const columns = shape.at(-1)!;
  const each = shape.at(-2)!;
  const rows = data.length / columns;
  const [r0, c0] = [Math.min(row, Math.max(0, rows - 1)), Math.min(column, Math.max(0, columns - 1))];
  const isChanged = (slice.without?.length ?? 0) > 0 || slice.keyGroups !== undefined;
  const placeOf = (r: number) => {
    const place = slice.rows?.[r % each] ?? r % each;
    return shape.length === 2 ? [place] : [slice.heads?.[Math.floor(r / each)] ?? Math.floor(r / each), place];
  };
  const page = (label: string, by: readonly [number, number], able: boolean) => (
    <button
      type="button"
      class="plain"
      disabled={!able}
      onClick={() => go([Math.max(0, r0 + by[0]), Math.max(0, c0 + by[1])])}
    >
      {label}
    </button>
  );
  return (
    <div class="trace-table">
      <p class="dials">
        <select aria-label="activation" value={name} onChange={(event) => choose(event.currentTarget.value)}>
          {names.map((each) => (
            <option key={each} value={each}>
              {each}
            </option>
          ))}
        </select>
        {page('↑', [-ROWS, 0], r0 > 0)}
        {page('↓', [ROWS, 0], r0 + ROWS < rows)}
        {page('←', [0, -COLUMNS], c0 > 0)}
        {page('→', [0, COLUMNS], c0 + COLUMNS < columns)}
      </p>
      <div class="wide">
        <table>
          <thead>
            <tr>
              <td />
              {Array.from({ length: Math.min(COLUMNS, columns - c0) }, (_, i) => (
                <th key={c0 + i} scope="col">
                  {c0 + i}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {Array.from({ length: Math.min(ROWS, rows - r0) }, (_, i) => {
              const place = placeOf(r0 + i);
              return (
                <tr key={r0 + i}>
                  <th scope="row">{place.join(', ')}</th>
                  {Array.from({ length: Math.min(COLUMNS, columns - c0) }, (_, j) => {
                    const value = data[(r0 + i) * columns + c0 + j]!;
                    return (
                      <td key={c0 + j}>
                        {isChanged ? (
                          <Made by={`${name}, changed`} value={value} />
                        ) : (
                          <Num name={name} at={[...place, c0 + j]} value={value} />
                        )}
                      </td>
                    );
                  })}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </div>
  );
}
