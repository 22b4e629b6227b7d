/** One forward pass as a line: the tokens, and the ten steps of the walk, which lead to their scenes. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { type StepKey, stepKeys, walkOf } from '../../explorer/walk.ts';
import { tokenText, type X } from './x.ts';

const SHOWN_TOKENS = 400;

export function Timeline({ x }: { readonly x: X }) {
  const { t, w, state, set, ids, query, block, model } = x;
  const { blockCount } = model.facts.config;
  const steps = walkOf(model.facts.config, block);
  const at = Math.max(
    0,
    steps.findIndex(({ scene }) => scene === state.scene),
  );
  const [playing, setPlaying] = useState(false);
  const go = (by: number) => {
    const next = (at + by + steps.length) % steps.length;
    // Two steps of one scene are one stop.
    const stop = steps[next]!.scene === state.scene ? (next + by + steps.length) % steps.length : next;
    set({ scene: steps[stop]!.scene });
  };
  useEffect(() => {
    if (!playing) return;
    return x.world.after(2500, () => {
      if (at === steps.length - 1) setPlaying(false);
      else go(1);
    });
  });
  const tokens = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // The arrows take the focus along.
    if (tokens.current?.contains(document.activeElement)) {
      tokens.current.querySelector<HTMLElement>('[aria-checked=true]')?.focus();
    }
  }, [query]);
  const onTokenKey = (event: KeyboardEvent) => {
    const by = event.key === 'ArrowLeft' ? -1 : event.key === 'ArrowRight' ? 1 : 0;
    if (by === 0) return;
    event.preventDefault();
    if (event.shiftKey) set({ block: Math.max(0, Math.min(blockCount - 1, block + by)) });
    else set({ query: Math.max(0, Math.min(ids.length - 1, query + by)), key: -1 });
  };
  return (
    <section class="timeline" aria-label={t.timeline} onKeyDown={onTokenKey}>
      <div class="tokens" ref={tokens} role="radiogroup" aria-label={w.tokens}>
        {ids.slice(0, SHOWN_TOKENS).map((id, place) => (
          // biome-ignore lint/a11y/useSemanticElements: a token that is chosen among others
          <button
            key={`${place} ${id}`}
            type="button"
            role="radio"
            aria-checked={place === query}
            tabIndex={place === query ? 0 : -1}
            class={place >= x.promptLength ? 'added' : ''}
            onClick={() => set({ query: place, key: -1 })}
          >
            {tokenText(x, id)}
          </button>
        ))}
        {ids.length > SHOWN_TOKENS && <small>{t.firstOf(SHOWN_TOKENS, ids.length)}</small>}
      </div>
      <div class="steps">
        {!x.world.reducedMotion && (
          <button type="button" class="quiet" onClick={() => setPlaying(!playing)}>
            {playing ? `⏸ ${t.pause}` : `▶ ${t.play}`}
          </button>
        )}
        <button type="button" class="quiet" aria-label={t.back} onClick={() => go(-1)}>
          ←
        </button>
        <ol>
          {stepKeys.map((key: StepKey, i) => (
            <li key={key}>
              <button
                type="button"
                class={`step${steps[i]!.scene === state.scene ? ' current' : ''}`}
                onClick={() => set({ scene: steps[i]!.scene })}
              >
                {w.steps[key].title}
              </button>
            </li>
          ))}
        </ol>
        <button type="button" class="quiet" aria-label={t.forth} onClick={() => go(1)}>
          →
        </button>
        <label class="block">
          {w.block}
          <input
            type="number"
            min={0}
            max={blockCount - 1}
            value={block}
            onInput={(event) => set({ block: Number(event.currentTarget.value) || 0 })}
          />
        </label>
      </div>
    </section>
  );
}
