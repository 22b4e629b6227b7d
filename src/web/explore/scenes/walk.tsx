import { shapesOf, walkOf } from '../../../explorer/walk.ts';
import { presets } from '../../../model/presets.ts';
import { notes } from '../notes.ts';
import { Num } from '../num.tsx';
import { Traced } from '../traced.tsx';
import { tokenAt, type X } from '../x.ts';

const [ROWS, COLUMNS] = [2, 4];

export function WalkScene({ x }: { readonly x: X }) {
  const { t, w, block, head, set, model, ids } = x;
  const { config } = model.facts;
  const steps = walkOf(config, block);
  const names = steps.flatMap((step) => step.names);
  const rows = ids.slice(0, ROWS).map((_, i) => i);
  const own = shapesOf(config, ids.length);
  const large = shapesOf(presets['llama-2-7b'], ids.length);
  return (
    <>
      <Traced x={x} names={names} rows={rows} slice={{ heads: [head] }}>
        {(traces) => (
          <ol class="walk">
            {steps.map(({ key, scene, names: shown }) => (
              <li key={key}>
                <h3>
                  <button type="button" class="quiet" onClick={() => set({ scene }, true)}>
                    {w.steps[key].title} →
                  </button>
                </h3>
                <p>{w.steps[key].text}</p>
                {shown.map((name) => {
                  const { shape, data } = traces.get(name);
                  const columns = shape.at(-1)!;
                  const headed = shape.length === 3;
                  return (
                    <div key={name} class="wide">
                      <table class="corner">
                        <caption>
                          <code>{name}</code> {own.get(name)?.letters} = {own.get(name)?.numbers}
                          <small>
                            {' '}
                            · Llama 2 7B: {large.get(name.replace(/^blocks\.\d+/, 'blocks.0'))?.numbers ?? '–'}
                          </small>
                        </caption>
                        <tbody>
                          {rows.slice(0, shape.at(-2)).map((row) => (
                            <tr key={row}>
                              <th scope="row">{tokenAt(x, row)}</th>
                              {Array.from(
                                data.subarray(row * columns, row * columns + Math.min(COLUMNS, columns)),
                                (value, column) => (
                                  <td key={column}>
                                    <Num name={name} at={headed ? [head, row, column] : [row, column]} value={value} />
                                  </td>
                                ),
                              )}
                              <td>…</td>
                            </tr>
                          ))}
                        </tbody>
                      </table>
                    </div>
                  );
                })}
              </li>
            ))}
          </ol>
        )}
      </Traced>
      <h3>{t.differences}</h3>
      <div class="wide">
        <table class="notes">
          <thead>
            <tr>
              <th scope="col">{t.note}</th>
              <th scope="col">{t.model}</th>
            </tr>
          </thead>
          <tbody>
            {notes[w.language as keyof typeof notes].map(([note, fact]) => (
              <tr key={note}>
                <td>{note}</td>
                <td>{fact}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
