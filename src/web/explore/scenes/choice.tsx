import { type StageCandidate, samplerStages } from '../../../inference/sampler/stages.ts';
import { Bars } from '../figures/bars.tsx';
import { Figure } from '../figures/figure.tsx';
import { Count, Made, Num, rowOf } from '../num.tsx';
import { Traced } from '../traced.tsx';
import { tokenText, type X } from '../x.ts';

const LISTED = 12;

export function ChoiceScene({ x }: { readonly x: X }) {
  const { t, w, state, set, model, ids, promptLength } = x;
  const V = model.facts.config.vocabSize;
  const rows = ids.slice(promptLength - 1).map((_, i) => promptLength - 1 + i);
  const dial = (name: 'temperature' | 'topP' | 'minP' | 'topK' | 'seed', most: number, step: number) => (
    <label>
      {name === 'temperature' ? t.temperature : name === 'seed' ? t.seed : name} {state[name]}
      <input
        type="range"
        min={0}
        max={most}
        step={step}
        value={state[name]}
        onInput={(event) => set({ [name]: Number(event.currentTarget.value) })}
      />
    </label>
  );
  return (
    <>
      <div class="dials">
        {dial('temperature', 2, 0.05)}
        {dial('topK', 100, 1)}
        {dial('topP', 1, 0.01)}
        {dial('minP', 0.5, 0.01)}
        {dial('seed', 99, 1)}
        <button type="button" class="plain" onClick={() => set({ seed: state.seed + 1 })}>
          {t.takeAnother}
        </button>
      </div>
      <Traced x={x} names={['logits', 'probabilities']} slice={{ rows }}>
        {(traces, shown) => {
          const { temperature, topK, topP, minP, seed } = state;
          const logits = traces.get('logits').data;
          const first = shown.promptLength;
          const choice = samplerStages(logits, V, Uint32Array.from(shown.ids), first, {
            most: LISTED,
            sampling: { temperature, topK, topP, minP, seed: Math.max(0, seed) },
          });
          const last = shown.ids.length - 1;
          const [own, p] = [
            rowOf(traces.get('logits'), rows.length - 1),
            rowOf(traces.get('probabilities'), rows.length - 1),
          ];
          const stages = choice.stages.filter(
            ({ name, count }, i) =>
              i === 0 || name === 'pick' || count !== choice.stages[i - 1]!.count || name === 'temperature',
          );
          const listed = choice.stages[0]!.best;
          return (
            <Figure x={x} title={w.scenes.choice.title} traces={traces} slice={{ rows }}>
              <div class="stages">
                {stages.map(({ name, count, best }) => {
                  const left = new Map(best.map((candidate) => [candidate.id, candidate.probability]));
                  return (
                    <section key={name} class="stage">
                      <h4>{name}</h4>
                      <small>{w.leftOf(count)}</small>
                      <Bars
                        label={`${name}: ${w.leftOf(count)}`}
                        rows={listed.map(({ id }) => {
                          const share = left.get(id);
                          return {
                            key: String(id),
                            label: tokenText(x, id),
                            share:
                              share === undefined ? 0 : share / Math.max(...best.map(({ probability }) => probability)),
                            kind:
                              share === undefined
                                ? 'dropped'
                                : name === 'pick' && id === choice.id
                                  ? 'chosen'
                                  : 'plain',
                            value:
                              share === undefined ? (
                                '–'
                              ) : name === 'logits' ? (
                                <Num name="probabilities" at={[last, id]} value={p[id]!} form="share" />
                              ) : (
                                <Made by={`${name} of samplerStages`} value={share} form="share" />
                              ),
                          };
                        })}
                      />
                    </section>
                  );
                })}
              </div>
              <Draw x={x} best={choice.stages.at(-1)!.best} draw={choice.draw} id={choice.id} />
              <p class="reading big">
                {w.chosen}: <strong>{tokenText(x, choice.id)}</strong> (<Count value={choice.id} />, logit{' '}
                <Num name="logits" at={[last, choice.id]} value={own[choice.id]!} />)
              </p>
              <p class="dials">
                <button
                  type="button"
                  onClick={() => set({ appended: [...state.appended, choice.id], query: -1, key: -1 }, true)}
                >
                  {t.appendToken}
                </button>
                {state.appended.length > 0 && (
                  <button
                    type="button"
                    class="plain"
                    onClick={() => set({ appended: state.appended.slice(0, -1), query: -1, key: -1 })}
                  >
                    {t.removeToken}
                  </button>
                )}
              </p>
            </Figure>
          );
        }}
      </Traced>
    </>
  );
}

/** All that is left as one line of shares, and where the random number falls. */
function Draw({
  x,
  best,
  draw,
  id,
}: {
  readonly x: X;
  readonly best: readonly StageCandidate[];
  readonly draw: number | null;
  readonly id: number;
}) {
  const { t, w } = x;
  if (draw === null) return <p class="reading">{w.notDrawn}</p>;
  return (
    <div class="draw" role="img" aria-label={`${t.theDraw}: ${draw.toFixed(4)}`}>
      <div class="line">
        {best.map((candidate, i) => (
          <span
            key={candidate.id}
            class={`part${candidate.id === id ? ' chosen' : ''} tone${i % 2}`}
            style={{ left: `${100 * candidate.before}%`, width: `${100 * candidate.probability}%` }}
          >
            {candidate.probability > 0.06 ? tokenText(x, candidate.id) : ''}
          </span>
        ))}
        <span class="needle" style={{ left: `${100 * draw}%` }} />
      </div>
      <p>
        {t.theDraw}: <Made by="uniform random number of the sampler" value={draw} />
      </p>
    </div>
  );
}
