import { lengthOf } from '../../../explorer/numbers.ts';
import { softmax } from '../../../kernels/softmax/reference.ts';
import { Figure } from '../figures/figure.tsx';
import { Plot } from '../figures/plot.tsx';
import { Length, Made, rowOf } from '../num.tsx';
import { Traced } from '../traced.tsx';
import { tokenAt, tokenText, type X } from '../x.ts';
import { divergence, Top, topOf } from './sharing.tsx';

export function StreamScene({ x }: { readonly x: X }) {
  const { t, w, query, state, set, model, ids } = x;
  const { blockCount } = model.facts.config;
  const states = Array.from({ length: blockCount + 1 }, (_, i) => `hidden.${i}`);
  const toggle = (name: string) =>
    set({ off: state.off.includes(name) ? state.off.filter((each) => each !== name) : [...state.off, name] });
  const last = ids.length - 1;
  return (
    <>
      <Traced
        x={x}
        names={['hidden.*', 'hidden.*.logits', 'blocks.*.attention.output', 'blocks.*.feedForward.output']}
        rows={[query]}
      >
        {(traces, shown) => {
          const row = shown.query;
          const of = (name: string) => rowOf(traces.get(name), 0);
          const lengths = states.map((name) => lengthOf(of(name)));
          const branch = (i: number, part: string) => `blocks.${i}.${part}.output`;
          return (
            <Figure x={x} title={`“${tokenAt(shown, row)}”: ${w.length}`} traces={traces} slice={{ rows: [row] }}>
              <Plot
                x={x}
                label={w.streamLengths}
                xLabel={w.block}
                yLabel={w.length}
                curves={[
                  { label: 'hidden', points: lengths.map((length, i) => [i, length] as const), color: 0 },
                  ...(['attention', 'feedForward'] as const).map((part, c) => ({
                    label: part === 'attention' ? t.partAttention : t.partFeedForward,
                    points: Array.from(
                      { length: blockCount },
                      (_, i) => [i + 1, lengthOf(of(branch(i, part)))] as const,
                    ),
                    kind: 'dashed' as const,
                    color: c + 1,
                  })),
                ]}
              />
              <div class="wide">
                <table class="stacked">
                  <thead>
                    <tr>
                      <td />
                      <th scope="col">{w.length}</th>
                      <th scope="col">+ {t.partAttention}</th>
                      <th scope="col">+ {t.partFeedForward}</th>
                      <th scope="col">cos</th>
                      <th scope="col">{t.ifEnded}</th>
                    </tr>
                  </thead>
                  <tbody>
                    {states.map((name, i) => (
                      <tr key={name}>
                        <th scope="row">{name}</th>
                        <td data-label={w.length}>
                          <Length name={name} row={row} values={of(name)} />
                        </td>
                        {(['attention', 'feedForward'] as const).map((part) => (
                          <td key={part} data-label={`+ ${part === 'attention' ? t.partAttention : t.partFeedForward}`}>
                            {i > 0 && (
                              <label class={`check${state.off.includes(branch(i - 1, part)) ? ' off' : ''}`}>
                                <input
                                  type="checkbox"
                                  aria-label={`${branch(i - 1, part)}: ${t.switchOff}`}
                                  checked={!state.off.includes(branch(i - 1, part))}
                                  onChange={() => toggle(branch(i - 1, part))}
                                />
                                <Length name={branch(i - 1, part)} row={row} values={of(branch(i - 1, part))} />
                              </label>
                            )}
                          </td>
                        ))}
                        <td data-label="cos">
                          {i > 0 && (
                            <Made
                              by={`cosine(hidden.${i - 1}, hidden.${i})`}
                              value={cosine(of(states[i - 1]!), of(name))}
                            />
                          )}
                        </td>
                        <td class="lens" data-label={t.ifEnded}>
                          {lens(of(`${name}.logits`)).map(({ id, p }) => (
                            <span key={id} class="guess">
                              {tokenText(x, id)}{' '}
                              <Made by={`softmax(${name}.logits[${row}])[${id}]`} value={p} form="share" />
                            </span>
                          ))}
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            </Figure>
          );
        }}
      </Traced>
      <Traced x={x} names={['probabilities']} rows={[last]}>
        {(plain) => (
          <Traced x={x} names={['probabilities']} rows={[last]} slice={{ without: state.off }}>
            {(changed) => {
              const [p, q] = [plain.get('probabilities').data, changed.get('probabilities').data];
              return (
                <Figure
                  x={x}
                  title={`${t.nextToken}: ${state.off.length === 0 ? t.asIs : `${t.switchedOff}: ${state.off.join(', ')}`}`}
                  traces={changed}
                  slice={{ rows: [last], without: state.off }}
                >
                  <div class="side-by-side">
                    <Top x={x} title={t.asIs} p={p} by="probabilities" />
                    {state.off.length > 0 && (
                      <Top x={x} title={t.switchedOff} p={q} by={`probabilities without ${state.off.join(', ')}`} />
                    )}
                  </div>
                  {state.off.length > 0 && (
                    <p class="reading">
                      KL = <Made by="Σ p·ln(p/q)" value={divergence(p, q)} /> nats{' '}
                      <button type="button" class="plain" onClick={() => set({ off: [] })}>
                        {t.reset}
                      </button>
                    </p>
                  )}
                </Figure>
              );
            }}
          </Traced>
        )}
      </Traced>
    </>
  );
}

function cosine(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0) / (lengthOf(a) * lengthOf(b) || 1);
}

function lens(logits: Float32Array): { id: number; p: number }[] {
  const p = new Float64Array(logits.length);
  softmax(p, logits);
  return topOf(logits, 3).map((id) => ({ id, p: p[id]! }));
}
