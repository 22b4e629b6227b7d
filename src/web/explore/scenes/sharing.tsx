import { formatBytes } from '../../../base/units.ts';
import { cacheTokenBytes } from '../../../inference/remote/load-defaults.ts';
import { Bars } from '../figures/bars.tsx';
import { Figure } from '../figures/figure.tsx';
import { Groups } from '../figures/groups.tsx';
import { Made } from '../num.tsx';
import { Traced } from '../traced.tsx';
import { tokenText, type X } from '../x.ts';

export function SharingScene({ x }: { readonly x: X }) {
  const { t, state, set, model, ids } = x;
  const { config, kvType } = model.facts;
  const { headCount: H, kvHeadCount: K } = config;
  const choices = Array.from({ length: K }, (_, i) => i + 1).filter((groups) => K % groups === 0);
  const groups = choices.includes(state.groups) ? state.groups : 1;
  const kind = (G: number) => (G === H ? t.kinds.mha : G === 1 ? t.kinds.mqa : t.kinds.gqa);
  const shown = [...new Set([H, K, groups, nearestDivisor(H), 1])].sort((a, b) => b - a);
  const bytes = (G: number) => cacheTokenBytes({ ...config, kvHeadCount: G }, kvType) * config.contextLength;
  const last = ids.length - 1;
  return (
    <>
      <p class="dials">
        <label>
          {t.groups}
          <select value={String(groups)} onChange={(event) => set({ groups: Number(event.currentTarget.value) })}>
            {choices.map((each) => (
              <option key={each} value={String(each)}>
                {each} ({kind(each)})
              </option>
            ))}
          </select>
        </label>
      </p>
      <Figure x={x} title={`${kind(groups)}: H = ${H}, K = ${groups}`}>
        <Groups heads={H} groups={groups} query="q" keys="k" label={`${t.queriesShare}: H = ${H}, K = ${groups}`} />
        <h4>
          {t.cacheBytes} ({config.contextLength} {x.w.tokens}, {kvType})
        </h4>
        <Bars
          label={t.cacheBytes}
          rows={shown.map((G) => ({
            key: String(G),
            label: `K = ${G} ${kind(G)}${G === nearestDivisor(H) && G !== 1 ? ' ≈ √H' : ''}${G === K ? ` · ${t.thisModel}` : ''}`,
            share: bytes(G) / bytes(H),
            kind: G === groups ? 'chosen' : 'plain',
            value: <span data-count="">{formatBytes(bytes(G))}</span>,
          }))}
        />
      </Figure>
      <Traced x={x} names={['probabilities']} rows={[last]}>
        {(plain) => (
          <Traced x={x} names={['probabilities']} rows={[last]} slice={{ keyGroups: groups }}>
            {(pooled) => {
              const [p, q] = [plain.get('probabilities').data, pooled.get('probabilities').data];
              return (
                <Figure
                  x={x}
                  title={`${t.klTo}: K = ${groups}`}
                  traces={pooled}
                  slice={{ rows: [last], keyGroups: groups }}
                >
                  <p class="reading">
                    KL = <Made by={`Σ p·ln(p/q), q with keyGroups ${groups}`} value={divergence(p, q)} /> nats
                  </p>
                  <div class="side-by-side">
                    <Top x={x} title={t.asIs} p={p} by="probabilities" />
                    <Top x={x} title={t.pooledTo(groups)} p={q} by={`probabilities, keyGroups ${groups}`} />
                  </div>
                </Figure>
              );
            }}
          </Traced>
        )}
      </Traced>
    </>
  );
}

/** The five likeliest tokens. */
export function Top({
  x,
  title,
  p,
  by,
}: {
  readonly x: X;
  readonly title: string;
  readonly p: Float32Array;
  readonly by: string;
}) {
  const best = topOf(p, 5);
  return (
    <div>
      <h4>{title}</h4>
      <Bars
        label={title}
        rows={best.map((id) => ({
          key: String(id),
          label: tokenText(x, id),
          share: p[id]! / p[best[0]!]!,
          value: <Made by={`${by}[${x.ids.length - 1}, ${id}]`} value={p[id]!} form="share" />,
        }))}
      />
    </div>
  );
}

export function topOf(values: ArrayLike<number>, count: number): number[] {
  const best: number[] = [];
  for (let id = 0; id < values.length; id++) {
    if (best.length === count && !(values[id]! > values[best.at(-1)!]!)) continue;
    let place = best.length;
    while (place > 0 && values[best[place - 1]!]! < values[id]!) place--;
    best.splice(place, 0, id);
    if (best.length > count) best.pop();
  }
  return best;
}

export function divergence(p: Float32Array, q: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < p.length; i++) if (p[i]! > 0) sum += p[i]! * Math.log(p[i]! / Math.max(q[i]!, 1e-30));
  return Math.max(0, sum);
}

/** The divisor of H nearest to √H. */
function nearestDivisor(H: number): number {
  let best = 1;
  for (let d = 1; d <= H; d++) if (H % d === 0 && Math.abs(d - Math.sqrt(H)) < Math.abs(best - Math.sqrt(H))) best = d;
  return best;
}
