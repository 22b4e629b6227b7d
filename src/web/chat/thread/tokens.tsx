/** An answer token by token: the less likely, the warmer; what else could have stood there shows beside it on hover or focus. */
import { useState } from 'preact/hooks';
import type { TokenInfo } from '../conversation/conversation.ts';

export function Tokens({ tokens }: { readonly tokens: readonly TokenInfo[] }) {
  const [at, setAt] = useState<number | null>(null);
  const [place, setPlace] = useState<Place>({ left: 0, top: 0, above: false });
  const chosen = at === null ? null : tokens[at];
  const show = (i: number, token: HTMLElement) => {
    setAt(i);
    setPlace(placeOf(token));
  };
  return (
    <div class="tokens">
      <p>
        {tokens.map(({ token, logprob }, i) => [
          <button
            type="button"
            key={i}
            class={`token heat${heatOf(logprob)}${i === at ? ' chosen' : ''}`}
            onMouseEnter={({ currentTarget }) => show(i, currentTarget)}
            onFocus={({ currentTarget }) => show(i, currentTarget)}
            onMouseLeave={() => setAt(null)}
            onBlur={() => setAt(null)}
          >
            {token.replaceAll('\n', '⏎')}
          </button>,
          token.includes('\n') && <br key={`${i} end`} />,
        ])}
      </p>
      {chosen && (
        <dl
          class={`alternatives${place.above ? ' above' : ''}`}
          aria-live="polite"
          style={{ left: `${place.left}px`, top: `${place.top}px` }}
        >
          {[chosen, ...chosen.top.filter(({ token }) => token !== chosen.token)].map(({ token, logprob }, i) => (
            <div key={token} class={i === 0 ? 'picked' : ''}>
              <dt>{JSON.stringify(token).slice(1, -1)}</dt>
              <dd>{percent(logprob)}</dd>
              <meter min={0} max={1} value={Math.exp(logprob)} />
            </div>
          ))}
        </dl>
      )}
    </div>
  );
}

interface Place {
  /** Pixels from the corner of the text. */
  readonly left: number;
  readonly top: number;
  /** Over the token, as there is no room under it. */
  readonly above: boolean;
}

/** About the size of the list of alternatives, in pixels. */
const LIST = { width: 340, height: 190 };

function placeOf(token: HTMLElement): Place {
  const box = token.offsetParent as HTMLElement;
  const bottom = token.closest('.thread')?.getBoundingClientRect().bottom ?? Number.POSITIVE_INFINITY;
  const above = token.getBoundingClientRect().bottom + LIST.height > bottom;
  return {
    left: Math.max(0, Math.min(token.offsetLeft, box.clientWidth - LIST.width)),
    top: above ? token.offsetTop - 4 : token.offsetTop + token.offsetHeight + 4,
    above,
  };
}

/** 0: certain … 5: a surprise of several nats. */
function heatOf(logprob: number): number {
  return Math.min(5, Math.floor(-logprob));
}

function percent(logprob: number): string {
  const share = 100 * Math.exp(logprob);
  return share >= 0.05 ? `${share.toFixed(1)} %` : `< 0.1 %`;
}
