import { formatShare } from '../../../explorer/numbers.ts';
import type { Traces } from '../../../inference/remote/traces.ts';
import { Bars } from '../figures/bars.tsx';
import { Figure } from '../figures/figure.tsx';
import { Heat, largest } from '../figures/heat.tsx';
import { Count, Length, Num, rowOf } from '../num.tsx';
import { Traced } from '../traced.tsx';
import { tokenAt, type X } from '../x.ts';

/** Beyond so many numbers maps are sampled. */
const MOST_CELLS = 1 << 21;
const SAMPLED_ROWS = 64;
/** Tokens that the row below lists, the most looked at first. */
const LISTED = 12;

export function AttentionScene({ x }: { readonly x: X }) {
  const { t, w, block, head, query, set, model, ids } = x;
  const { headCount: H, kvHeadCount: K, headSize: E, blockCount } = model.facts.config;
  const N = ids.length;
  const all = H * N * N <= MOST_CELLS;
  const rows = all ? ids.map((_, i) => i) : spread(N, SAMPLED_ROWS);
  const part = (name: string) => `blocks.${block}.attention.${name}`;
  const [p, s] = [part('probabilities'), part('scores')];
  return (
    <>
      <Traced x={x} names={[p]} slice={all ? {} : { rows }}>
        {(traces, shown) => {
          const count = shown.ids.length;
          const places = all ? shown.ids.map((_, i) => i) : spread(count, SAMPLED_ROWS);
          const R = places.length;
          const { data } = traces.get(p);
          const maps = mapsOf(data, H, places, count);
          const map = (h: number) => maps[h]!;
          const own = Math.min(head, H - 1);
          const row = nearest(places, Math.min(query, count - 1));
          const column =
            x.state.key < 0
              ? strongest(map(own).subarray(row * R, row * R + row + 1))
              : nearest(places, Math.min(x.state.key, places[row]!));
          const share = map(own)[row * R + column]!;
          const sentence = w.looksAt(
            own,
            `“${tokenAt(shown, places[row]!)}”`,
            `“${tokenAt(shown, places[column]!)}”`,
            formatShare(share),
          );
          return (
            <Figure x={x} title={`${t.allHeads} (${block})`} traces={traces} slice={all ? {} : { rows }}>
              {R < count && <p class="remark">{w.ofRows(R, count)}</p>}
              <div class="heads">
                {Array.from({ length: H }, (_, h) => (
                  <button
                    key={h}
                    type="button"
                    class={`thumb${h === own ? ' chosen' : ''}`}
                    aria-pressed={h === own}
                    onClick={() => set({ head: h })}
                  >
                    <Heat rows={R} columns={R} values={map(h)} most={1} square causal label={`${w.head} ${h}`} />
                    <span>
                      {w.head} {h}
                    </span>
                  </button>
                ))}
              </div>
              <div class="large">
                <div class="row-labels" aria-hidden="true">
                  {R <= 40 &&
                    places.map((place) => (
                      <span key={place} class={place === places[row] ? 'chosen' : ''}>
                        {tokenAt(shown, place)}
                      </span>
                    ))}
                </div>
                <Heat
                  rows={R}
                  columns={R}
                  values={map(own)}
                  most={1}
                  square
                  causal
                  label={sentence}
                  chosen={{ row, column }}
                  onChoose={(r, c) => set({ query: places[r]!, key: places[c]! })}
                />
                <div class="column-labels" aria-hidden="true">
                  {R <= 40 &&
                    places.map((place) => (
                      <span key={place} class={place === places[column] ? 'chosen' : ''}>
                        {tokenAt(shown, place)}
                      </span>
                    ))}
                </div>
              </div>
              <p class="reading">
                {w.head} <Count value={own} />: “{tokenAt(shown, places[row]!)}” → “{tokenAt(shown, places[column]!)}”{' '}
                <Num name={p} at={[own, places[row]!, places[column]!]} value={share} form="share" />
              </p>
            </Figure>
          );
        }}
      </Traced>
      <Traced x={x} names={[part('values')]}>
        {(valued) => (
          <Traced x={x} names={[s, p, part('mix')]} rows={[query]} slice={{ heads: [head] }}>
            {(traces, shown) => {
              const row = shown.query;
              const own = (name: string, place: number, group: number, from: Traces) =>
                rowOf(from.get(part(name)), place).slice(group * E, (group + 1) * E);
              const mix = own('mix', 0, head, traces);
              const valuesAt = (place: number) => own('values', place, Math.floor((head * K) / H), valued);
              const scores = traces.get(s).data;
              const shares = traces.get(p).data;
              const order = Array.from({ length: row + 1 }, (_, place) => place).sort(
                (a, b) => shares[b]! - shares[a]! || a - b,
              );
              const listed = order.slice(0, LISTED);
              return (
                <Figure
                  x={x}
                  title={`${t.scoresToShares}: “${tokenAt(shown, row)}”`}
                  traces={traces}
                  slice={{ rows: [row], heads: [head] }}
                >
                  <Bars
                    label={t.scoresToShares}
                    rows={listed.map((place) => ({
                      key: String(place),
                      label: `${tokenAt(shown, place)}`,
                      share: shares[place]!,
                      kind: place === x.state.key ? 'chosen' : 'plain',
                      value: (
                        <>
                          <Num name={s} at={[head, row, place]} value={scores[place]!} /> →{' '}
                          <Num name={p} at={[head, row, place]} value={shares[place]!} form="share" />
                        </>
                      ),
                      detail: (
                        <Heat
                          rows={1}
                          columns={E}
                          values={valuesAt(place).map((value) => value * shares[place]!)}
                          most={largest(mix)}
                          label={`${t.shareTimesValue}: ${tokenAt(shown, place)}`}
                        />
                      ),
                      onClick: () => set({ key: place }),
                    }))}
                  />
                  <div class="mix">
                    <span>{t.mixOf}</span>
                    <Heat rows={1} columns={E} values={mix} most={largest(mix)} label={t.mixOf} />
                  </div>
                  {order.length > LISTED && <p class="remark">{t.firstOf(LISTED, order.length)}</p>}
                </Figure>
              );
            }}
          </Traced>
        )}
      </Traced>
      <Traced x={x} names={[part('heads'), part('output')]} rows={[query]}>
        {(traces, shown) => {
          const D = model.facts.config.width;
          const { data } = traces.get(part('heads'));
          const parts = Array.from({ length: H }, (_, h) => data.subarray(h * D, (h + 1) * D));
          const lengths = parts.map((values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0)));
          const most = Math.max(...lengths);
          return (
            <Figure x={x} title={t.headParts} traces={traces} slice={{ rows: [shown.query] }}>
              <Bars
                label={t.headParts}
                rows={lengths.map((length, h) => ({
                  key: String(h),
                  label: `${w.head} ${h}`,
                  share: length / most,
                  kind: h === head ? 'chosen' : 'plain',
                  value: <Num name={part('heads')} at={[h, shown.query]} value={length} form="length" />,
                  onClick: () => set({ head: h }),
                }))}
              />
              <p class="reading">
                {part('output')}:{' '}
                <Length name={part('output')} row={shown.query} values={rowOf(traces.get(part('output')), 0)} />
              </p>
              <button
                type="button"
                class="plain"
                disabled={block === blockCount - 1}
                onClick={() => set({ block: block + 1 }, true)}
              >
                {t.follow} ↑ {w.block} <Count value={Math.min(block + 1, blockCount - 1)} />
              </button>
            </Figure>
          );
        }}
      </Traced>
    </>
  );
}

const made = new WeakMap<Float32Array, readonly Float32Array[]>();

/** Each head's map, of the places that are shown; made once, so that a choice draws nothing anew. */
function mapsOf(data: Float32Array, H: number, places: readonly number[], count: number): readonly Float32Array[] {
  const known = made.get(data);
  if (known) return known;
  const R = places.length;
  const maps = Array.from({ length: H }, (_, h) => {
    const map = new Float32Array(R * R);
    for (let r = 0; r < R; r++) for (let s = 0; s < R; s++) map[r * R + s] = data[(h * R + r) * count + places[s]!]!;
    return map;
  });
  made.set(data, maps);
  return maps;
}

function spread(N: number, most: number): number[] {
  return N <= most
    ? Array.from({ length: N }, (_, i) => i)
    : Array.from({ length: most }, (_, i) => Math.round((i * (N - 1)) / (most - 1)));
}

function nearest(places: readonly number[], place: number): number {
  let best = 0;
  for (const [i, each] of places.entries()) if (Math.abs(each - place) < Math.abs(places[best]! - place)) best = i;
  return best;
}

function strongest(shares: Float32Array): number {
  let best = 0;
  for (let i = 0; i < shares.length; i++) if (shares[i]! > shares[best]!) best = i;
  return best;
}
