import { useState } from 'preact/hooks';
import { formatBytes } from '../../../base/units.ts';
import { STEPS, type Steps } from '../../../explorer/page-model.ts';
import { multiplyAdds } from '../../../explorer/recording.ts';
import { cacheTokenBytes } from '../../../inference/remote/load-defaults.ts';
import { KV_BLOCK_TOKENS, kvTypes } from '../../../kernels/ops.ts';
import { dimensions, type LlamaConfig } from '../../../model/config.ts';
import { listParameters } from '../../../model/parameters.ts';
import { presets } from '../../../model/presets.ts';
import { Bars } from '../figures/bars.tsx';
import { Figure } from '../figures/figure.tsx';
import { Heat } from '../figures/heat.tsx';
import { Count } from '../num.tsx';
import type { X } from '../x.ts';

/** Squares that the picture draws across. */
const DRAWN = 48;
const MOST_TOKENS = 4096;

export function CacheScene({ x }: { readonly x: X }) {
  const { t, w, state, set, model } = x;
  const { config } = model.facts;
  const n = Math.max(1, Math.min(MOST_TOKENS, state.tokens));
  const b = Math.max(1, Math.min(64, state.batch));
  const type = kvTypes.find((each) => each === state.choice) ?? model.facts.kvType;
  const each = cacheTokenBytes(config, type);
  const cells = Math.min(DRAWN, n);
  const square = Float32Array.from({ length: cells * cells }, (_, i) => Number(i % cells <= Math.floor(i / cells)));
  const row = square.map((value, i) => (Math.floor(i / cells) === cells - 1 ? value : value * 0.12));
  const counted = {
    without: multiplyAdds(config, { tokens: n + 1 }),
    with: multiplyAdds(config, { tokens: 1, cached: n }),
  };
  const blocks = Math.ceil(n / KV_BLOCK_TOKENS);
  const [steps, setSteps] = useState<Steps | 'running' | Error | null>(null);
  const hasRoom = x.ids.length + 1 + STEPS <= Math.min(model.facts.contextLength, config.contextLength);
  const decode = () => {
    setSteps('running');
    model.decode(x.ids).then(
      (found) => {
        setSteps(found);
        const [next] = found.ids;
        if (next === undefined) return;
        set({ appended: [...state.appended, next], query: -1, key: -1, tokens: x.ids.length + 1 });
      },
      (error: Error) => setSteps(error),
    );
  };
  return (
    <>
      <p class="dials">
        <label>
          {t.tokensSoFar} <Count value={n} />
          <input
            type="range"
            min={1}
            max={MOST_TOKENS}
            step={1}
            value={n}
            onInput={(event) => set({ tokens: Number(event.currentTarget.value) })}
          />
        </label>
        <button type="button" disabled={!hasRoom || steps === 'running'} onClick={decode}>
          {t.oneMore}
        </button>
        <label>
          {t.sequences} <Count value={b} />
          <input
            type="range"
            min={1}
            max={64}
            value={b}
            onInput={(event) => set({ batch: Number(event.currentTarget.value) })}
          />
        </label>
        <label>
          {t.type}
          <select value={type} onChange={(event) => set({ choice: event.currentTarget.value })}>
            {kvTypes.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </p>
      <Figure x={x} title={t.perToken}>
        <div class="side-by-side squares">
          <div>
            <h4>{t.withoutCache}</h4>
            <Heat
              rows={cells}
              columns={cells}
              values={square}
              square
              label={`${t.withoutCache}: ${n + 1} × ${n + 1}`}
            />
          </div>
          <div>
            <h4>{t.withCache}</h4>
            <Heat rows={cells} columns={cells} values={row} square label={`${t.withCache}: 1 × ${n + 1}`} />
          </div>
        </div>
        <div class="wide">
          <table class="stacked">
            <thead>
              <tr>
                <td />
                <th scope="col">{t.predicted}</th>
                <th scope="col">{t.counted}</th>
                <th scope="col">{t.bytesRead}</th>
              </tr>
            </thead>
            <tbody>
              {(['without', 'with'] as const).map((which) => (
                <tr key={which}>
                  <th scope="row">{which === 'without' ? t.withoutCache : t.withCache}</th>
                  <td data-label={t.predicted}>
                    <Count value={which === 'without' ? predicted(config, n + 1, 0) : predicted(config, 1, n)} />
                  </td>
                  <td data-label={t.counted}>
                    <Count value={counted[which]} />
                  </td>
                  <td data-label={t.bytesRead}>
                    <span data-count="">
                      {formatBytes(model.facts.weightBytes)}
                      {which === 'with' && ` + ${formatBytes(each * n)}`}
                    </span>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <Bars
          label={t.perToken}
          rows={(['without', 'with'] as const).map((which) => ({
            key: which,
            label: which === 'without' ? t.withoutCache : t.withCache,
            share: counted[which] / counted.without,
            kind: which === 'with' ? 'chosen' : 'plain',
            value: <Count value={counted[which]} />,
          }))}
        />
      </Figure>
      <Figure x={x} title={t.live}>
        <Live x={x} steps={steps} />
      </Figure>
      <Figure x={x} title={`${t.blocksOf32}: ${blocks}`}>
        <div
          class="blocks"
          role="img"
          aria-label={`${t.blocksOf32}: ${blocks}, ${t.inLast(n - (blocks - 1) * KV_BLOCK_TOKENS)}`}
        >
          {Array.from({ length: blocks }, (_, i) => (
            <span key={i}>
              <span
                style={{ width: `${(100 * Math.min(KV_BLOCK_TOKENS, n - i * KV_BLOCK_TOKENS)) / KV_BLOCK_TOKENS}%` }}
              />
            </span>
          ))}
        </div>
        <p class="remark">{t.inLast(n - (blocks - 1) * KV_BLOCK_TOKENS)}</p>
        <p class="reading">{w.cacheOf(n * b, formatBytes(each * n * b), formatBytes(each))}</p>
        <p class="formula-line">
          2 · L · K · E · {type} = 2 · {config.blockCount} · {config.kvHeadCount} · {config.headSize} ·{' '}
          {each / (2 * config.blockCount * config.kvHeadCount * config.headSize)} B = {formatBytes(each)}
        </p>
      </Figure>
      <Figure x={x} title={t.presetsAt(String(MOST_TOKENS))}>
        <Bars
          label={t.presetsAt(String(MOST_TOKENS))}
          rows={(['llama-2-7b', 'llama-2-13b', 'llama-2-70b', 'llama-3-8b', 'tinyllama-1.1b'] as const).map((name) => {
            const bytes = cacheTokenBytes(presets[name], 'f16') * MOST_TOKENS * b;
            const most = cacheTokenBytes(presets['llama-2-13b'], 'f16') * MOST_TOKENS * b;
            return {
              key: name,
              label: `${name}, K\u00a0=\u00a0${presets[name].kvHeadCount}`,
              share: bytes / most,
              value: <span data-count="">{formatBytes(bytes)}</span>,
            };
          })}
        />
      </Figure>
    </>
  );
}

/** What the engine took for the text, and for one more token that attends to all of it. */
function Live({ x, steps }: { readonly x: X; readonly steps: Steps | 'running' | Error | null }) {
  const { t } = x;
  if (steps === null) return <p class="remark">{t.liveRemark}</p>;
  if (steps === 'running') return <p class="waiting" />;
  if (steps instanceof Error) return <p role="alert">{steps.message}</p>;
  const { computed, cached, promptMs, tokenMs } = steps;
  const most = Math.max(promptMs, tokenMs ?? 0) || 1;
  const row = (key: string, label: string, milliseconds: number) => ({
    key,
    label,
    share: milliseconds / most,
    kind: key === 'next' ? ('chosen' as const) : ('plain' as const),
    value: (
      <span class="num" data-made="timings">
        {milliseconds.toFixed(milliseconds < 10 ? 2 : 0)} ms
      </span>
    ),
  });
  const rows = [row('text', t.wholeText(computed, cached), promptMs)];
  if (tokenMs !== null) rows.push(row('next', t.eachNext, tokenMs));
  return <Bars label={t.live} rows={rows} />;
}

/** Matrix weights a row, and 2·Q a pair of tokens and block: the formula beside the count of the recording. */
function predicted(config: LlamaConfig, rows: number, cached: number): number {
  const matrices = listParameters(config).filter(
    ({ spec, key }) => spec.shape.length === 2 && key !== 'embed_VD' && key !== 'positions_CD',
  );
  const { Q, V, D } = dimensions(config);
  const weights = matrices.reduce((sum, { shape }) => sum + shape[0]! * shape[1]!, config.tiedEmbeddings ? V * D : 0);
  const pairs = (rows * (rows + 1)) / 2 + rows * cached;
  return rows * weights + config.blockCount * 2 * pairs * Q;
}
