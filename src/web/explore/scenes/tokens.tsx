import { useEffect, useState } from 'preact/hooks';
import { Figure } from '../figures/figure.tsx';
import { Count, Made } from '../num.tsx';
import { tokenText, type X } from '../x.ts';

/** One sentence in two languages, to compare how many tokens they take. */
const samples = { english: 'The cat is sleeping on the sofa.', korean: '고양이가 소파 위에서 자고 있습니다.' } as const;

export function TokensScene({ x }: { readonly x: X }) {
  const { t, w, ids, words, state, set, query } = x;
  const longest = words.reduce((best, { merges }, i) => (merges.length > words[best]!.merges.length ? i : best), 0);
  const word = state.choice === '' ? longest : Math.max(0, Math.min(words.length - 1, Number(state.choice) || 0));
  const shown = words[word];
  const count = shown?.merges.length ?? 0;
  // The dial holds 1 + the step, so that without one all merges are shown.
  const step = state.shift > 0 ? Math.min(count, state.shift - 1) : count;
  const bytes = bytesOf(x);
  const merge = step > 0 ? shown!.merges[step - 1] : undefined;
  return (
    <>
      <Figure x={x} title={`${w.tokens}: ${ids.length}`}>
        <div class="pieces">
          {ids.map((id, place) => (
            <button
              key={`${place} ${id}`}
              type="button"
              class={`piece${place === query ? ' chosen' : ''}`}
              onClick={() => set({ query: place })}
            >
              <span>{tokenText(x, id)}</span>
              <Count value={id} />
              {bytes[place] && <small>{bytes[place]}</small>}
            </button>
          ))}
        </div>
        {bytes.some(Boolean) && <p class="remark">{t.bytesBehind}</p>}
      </Figure>
      {shown && (
        <Figure x={x} title={`${t.word} “${shown.states[0]!.join('').replaceAll('▁', '␣').replaceAll('Ġ', '␣')}”`}>
          <p class="dials">
            <label>
              {t.word}
              <select value={String(word)} onChange={(event) => set({ choice: event.currentTarget.value, shift: 0 })}>
                {words.map(({ states }, i) => (
                  <option key={i} value={String(i)}>
                    {states.at(-1)!.join('·').replaceAll('▁', '␣').replaceAll('Ġ', '␣')}
                  </option>
                ))}
              </select>
            </label>
            <button
              type="button"
              class="plain"
              disabled={step === 0}
              aria-label={t.back}
              onClick={() => set({ shift: step })}
            >
              ←
            </button>
            <button
              type="button"
              class="plain"
              disabled={step === count}
              aria-label={t.forth}
              onClick={() => set({ shift: step + 2 })}
            >
              →
            </button>
            <span>
              {shown.whole ? t.whole : t.mergeStep(step, count)}
              {merge && `, ${t.mergedRank(merge.rank)}`}
            </span>
          </p>
          <ol class="merges">
            {shown.states.slice(0, step + 1).map((state, i) => (
              <li key={i}>
                {state.map((symbol, at) => (
                  <span key={at} class={`symbol${i > 0 && shown.merges[i - 1]!.at === at ? ' new' : ''}`}>
                    {symbol.replaceAll('▁', '␣').replaceAll('Ġ', '␣')}
                  </span>
                ))}
                {i > 0 && <small>{t.mergedRank(shown.merges[i - 1]!.rank)}</small>}
              </li>
            ))}
          </ol>
        </Figure>
      )}
      {x.model.pieces && <Languages x={x} />}
    </>
  );
}

/** For a token that is one byte of a character: its place in it, and at the last one the character: '2/3', '3/3 = 안'. */
function bytesOf({ ids, model }: X): readonly (string | undefined)[] {
  const byteOf = (id: number) => /^<0x([0-9A-F]{2})>$/.exec(model.pieces?.[id] ?? '')?.[1];
  const found = new Array<string | undefined>(ids.length);
  for (let from = 0; from < ids.length; from++) {
    const first = Number.parseInt(byteOf(ids[from]!) ?? 'x', 16);
    if (Number.isNaN(first)) continue;
    const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
    const own = ids.slice(from, from + length).map((id) => Number.parseInt(byteOf(id) ?? 'x', 16));
    if (own.some(Number.isNaN)) continue;
    const character = new TextDecoder().decode(Uint8Array.from(own));
    for (let i = 0; i < own.length; i++)
      found[from + i] = `${i + 1}/${length}${i === length - 1 ? ` = ${character}` : ''}`;
    from += own.length - 1;
  }
  return found;
}

function Languages({ x }: { readonly x: X }) {
  const { t, model } = x;
  const [counts, setCounts] = useState<Readonly<Record<string, number>>>({});
  useEffect(() => {
    for (const [name, text] of Object.entries(samples)) {
      void model.read(text).then(({ ids }) => setCounts((before) => ({ ...before, [name]: ids.length })));
    }
  }, [model]);
  return (
    <Figure x={x} title={t.perCharacter}>
      <div class="wide">
        <table>
          <tbody>
            {Object.entries(samples).map(([name, text]) => (
              <tr key={name}>
                <th scope="row">{t[name as keyof typeof samples]}</th>
                <td>{text}</td>
                <td>
                  <Count value={counts[name] ?? 0} /> {x.w.tokens}
                </td>
                <td>
                  <Made by={`ids(${name}) / characters`} value={(counts[name] ?? 0) / [...text].length} />{' '}
                  {t.perCharacter}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Figure>
  );
}
