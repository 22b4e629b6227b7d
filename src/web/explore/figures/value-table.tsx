/** Numbers that a figure made, as a table on request: for who does not see curves and colours, and for who wants to know exactly. */
import { useState } from 'preact/hooks';
import { Made } from '../num.tsx';
import type { Strings } from '../strings.ts';

export type Columns = readonly (readonly [name: string, values: ArrayLike<number>])[];

const PAGE = 25;

export function ValueTable({
  t,
  columns,
  title = t.numbers,
}: {
  readonly t: Strings;
  readonly columns: Columns;
  readonly title?: string;
}) {
  const [open, setOpen] = useState(false);
  const [from, setFrom] = useState(0);
  const count = Math.max(...columns.map(([, values]) => values.length));
  const first = Math.min(from, Math.max(0, count - 1));
  return (
    <details class="numbers" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{title}</summary>
      {open && (
        <>
          {count > PAGE && (
            <p class="dials">
              <button
                type="button"
                class="plain"
                aria-label={t.back}
                disabled={first === 0}
                onClick={() => setFrom(first - PAGE)}
              >
                ↑
              </button>
              <button
                type="button"
                class="plain"
                aria-label={t.forth}
                disabled={first + PAGE >= count}
                onClick={() => setFrom(first + PAGE)}
              >
                ↓
              </button>
            </p>
          )}
          <div class="wide">
            <table>
              <thead>
                <tr>
                  <td />
                  {columns.map(([name]) => (
                    <th key={name} scope="col">
                      {name}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {Array.from({ length: Math.min(PAGE, count - first) }, (_, i) => (
                  <tr key={first + i}>
                    <th scope="row">{first + i}</th>
                    {columns.map(([name, values]) => (
                      <td key={name}>
                        {first + i < values.length && <Made by={`${name}[${first + i}]`} value={values[first + i]!} />}
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </details>
  );
}
