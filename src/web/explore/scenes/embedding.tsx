import type { NearRow } from '../../../inference/reading/parameters.ts';
import { type Asked, Missing, useAsked } from '../asked.tsx';
import { Bars } from '../figures/bars.tsx';
import { Figure } from '../figures/figure.tsx';
import { Strip } from '../figures/heat.tsx';
import { Count, Length, Made, Num, rowOf } from '../num.tsx';
import { Traced } from '../traced.tsx';
import { tokenAt, tokenText, type X } from '../x.ts';

const NEIGHBOURS = 10;
/** The notes say of these that they lie near each other. */
const pairs = [
  ['cat', 'dog'],
  ['house', 'building'],
] as const;
/** Of a pair's second word the rank is looked for up to here. */
const FAR = 100;

export function EmbeddingScene({ x }: { readonly x: X }) {
  const { t, query, ids, set, state, model } = x;
  const id = state.choice === '' ? ids[query]! : Math.min(Number(state.choice) || 0, model.facts.config.vocabSize - 1);
  const near = useNear(x, id, NEIGHBOURS);
  return (
    <>
      <Traced x={x} names={['embedding']} rows={[query]}>
        {(traces, { query: row, ...rest }) => {
          const values = rowOf(traces.get('embedding'), 0);
          const column = Math.max(0, Math.min(values.length - 1, state.column));
          return (
            <Figure
              x={x}
              title={`“${tokenAt({ query: row, ...rest }, row)}” · D = ${values.length}`}
              traces={traces}
              slice={{ rows: [row] }}
            >
              <Strip
                values={values}
                label={x.w.scenes.embedding.what}
                chosen={column}
                onChoose={(column) => set({ column })}
              />
              <p class="reading">
                {x.w.column} <Count value={column} />:{' '}
                <Num name="embedding" at={[row, column]} value={values[column]!} /> · {x.w.length}{' '}
                <Length name="embedding" row={row} values={values} />
              </p>
            </Figure>
          );
        }}
      </Traced>
      <Figure x={x} title={`${t.neighbours}: “${tokenText(x, id)}”`}>
        {near.value === null && <Missing asked={near} />}
        <Bars
          label={t.neighbours}
          rows={(near.value ?? []).map(({ row, cosine }) => ({
            key: String(row),
            label: tokenText(x, row),
            share: cosine,
            value: <Made by={`cosine(embed_VD[${id}], embed_VD[${row}])`} value={cosine} />,
            onClick: () => set({ choice: String(row) }, true),
          }))}
        />
        {state.choice !== '' && (
          <button type="button" class="plain" onClick={() => set({ choice: '' })}>
            ← {tokenAt(x, query)}
          </button>
        )}
      </Figure>
      {model.pieces && (
        <Figure x={x} title={t.pairsOfNotes}>
          <table>
            <thead>
              <tr>
                <td />
                <th scope="col">{x.w.rank}</th>
                <th scope="col">{t.cosine}</th>
              </tr>
            </thead>
            <tbody>
              {pairs.map(([a, b]) => (
                <Pair key={a} x={x} a={a} b={b} />
              ))}
            </tbody>
          </table>
        </Figure>
      )}
    </>
  );
}

function Pair({ x, a, b }: { readonly x: X; readonly a: string; readonly b: string }) {
  const [first, second] = [a, b].map((word) =>
    x.model.pieces!.findIndex((piece) => piece === `▁${word}` || piece === `Ġ${word}`),
  ) as [number, number];
  const isThere = first >= 0 && second >= 0;
  const near = useNear(x, isThere ? first : null, FAR);
  const rows = near.value ?? [];
  const place = rows.findIndex(({ row }) => row === second);
  const what = !isThere ? '–' : near.value === null ? <Missing asked={near} /> : place < 0 ? `> ${FAR}` : null;
  return (
    <tr>
      <th scope="row">
        {a} – {b}
      </th>
      <td>{what ?? <Count value={place + 1} />}</td>
      <td>
        {what === null && <Made by={`cosine(embed_VD[${first}], embed_VD[${second}])`} value={rows[place]!.cosine} />}
      </td>
    </tr>
  );
}

function useNear(x: X, id: number | null, count: number): Asked<readonly NearRow[]> {
  const key = id === null ? null : `${x.serial} ${id} ${count}`;
  return useAsked(key, () => x.model.nearestRows('embed_VD', id!, count));
}
