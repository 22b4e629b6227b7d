import { useEffect, useState } from 'preact/hooks';
import { Figure } from '../figures/figure.tsx';
import { Count, Made } from '../num.tsx';
import { tokenText, type X } from '../x.ts';

/** One sentence in two languages, to compare how many tokens they take. */
const samples = { english: 'The cat is sleeping on the sofa.', korean: '고양이가 소파 위에서 자고 있습니다.' } as const;

export function TokensScene({ x }: { readonly x: X }) {
  const { t, w, ids, words, state, set, query } = x;
  const word = Math.max(0, Math.min(words.length - 1, Number(state.choice) || 0));
  const shown = words[word];
  const count = shown?.merges.length ?? 0;
  const step = Math.max(0, Math.min(count, state.shift));
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
            </button>
          ))}
        </div>
      </Figure>
      {shown && (
        <Figure x={x} title={`${t.word} “${shown.states[0]!.join('').replaceAll('▁', '␣').replaceAll('Ġ', '␣')}”`}>
          <p class="dials">
            <label>
              {t.word}
              <select value={String(word)} onChange={(event) => set({ choice: event.currentTarget.value, shift: 0 })}>
                {words.map(({ states }, i) => (
                  // biome-ignore lint/suspicious/noArrayIndexKey: words stand where they stand
                  <option key={i} value={String(i)}>
                    {states.at(-1)!.join('·').replaceAll('▁', '␣').replaceAll('Ġ', '␣')}
                  </option>
                ))}
              </select>
            </label>
            <button type="button" class="plain" disabled={step === 0} onClick={() => set({ shift: step - 1 })}>
              ←
            </button>
            <button type="button" class="plain" disabled={step === count} onClick={() => set({ shift: step + 1 })}>
              →
            </button>
            <span>
              {shown.whole ? t.whole : t.mergeStep(step, count)}
              {merge && `, ${t.mergedRank(merge.rank)}`}
            </span>
          </p>
          <ol class="merges">
            {shown.states.slice(0, step + 1).map((state, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: states stand where they stand
              <li key={i}>
                {state.map((symbol, at) => (
                  // biome-ignore lint/suspicious/noArrayIndexKey: symbols stand where they stand
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

function Languages({ x }: { readonly x: X }) {
  const { t, model } = x;
  const [counts, setCounts] = useState<Readonly<Record<string, number>>>({});
  useEffect(() => {
    for (const [name, text] of Object.entries(samples)) {
      void model.read(text).then(({ ids }) => setCounts((before) => ({ ...before, [name]: ids.length })));
    }
  }, [model]);
  return (
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
  );
}
